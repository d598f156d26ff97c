"""What an attempt makes of an image: renditions in the store, facts for the record.

What is there already and made by the recipe in force is kept. What replaces an older rendition is stored beside it, and
takes its place when the claim is settled: until then, and if the attempt fails, readers get the old one whole.
"""

import hashlib
import hmac
import time
from collections.abc import Callable, Iterable, Mapping

from mayfly.model.address import Address
from mayfly.model.errors import KeyDestroyed, Unopenable
from mayfly.model.image import Facts, ImageRecord, Rendition
from mayfly.model.instant import Week, week_of
from mayfly.model.job import Processed
from mayfly.processing.recipe import Recipe
from mayfly.processing.sandbox import Outcome, Picture, Sandbox
from mayfly.processing.shared_body import SharedBody
from mayfly.processing.verdicts import Stores

_FINGERPRINT_BYTES = 16
_NAME_CHARACTERS = 32
"""The longest name an object may have (`model.address`)."""


class Making:
    """Used by one thread."""

    def __init__(self, stores: Stores, sandbox: Sandbox) -> None:
        self._stores = stores
        self._sandbox = sandbox

    def make(self, record: ImageRecord) -> Processed:
        """Make what the record lacks. Its new renditions are stored when this returns, and named by nobody yet.

        Raises:
            Rejected, AttemptFailed: as `Sandbox.run`.
            ObjectMissing, Unopenable, Expired, Erased, Unavailable: as the stores.
        """
        watch = _Stopwatch()
        queued_ms = self._stores.clock.now() - record.id.birth
        current = {rendition.name: rendition for rendition in record.renditions}
        wanted = [recipe for recipe in self._sandbox.recipes if not _stands(current.get(recipe.name), recipe)]
        stages = [recipe.stages[0] for recipe in wanted]
        made: dict[str, Rendition] = {}
        with self._sandbox.desk(record.size) as body:
            self._open_into(body, record)
            watch.lap("open")
            with self._sandbox.run(body, record.media_type, stages) as outcome:
                watch.lap("work")
                for recipe, picture in zip(wanted, outcome.pictures, strict=True):
                    made[recipe.name] = self._store(record, recipe, picture, current.get(recipe.name))
                watch.lap("store")
                facts = self._facts(outcome, {"queued": float(queued_ms), **watch.laps})
        return Processed(self._in_order(current | made), facts)

    def remove_what_was_replaced(self, before: ImageRecord, after: ImageRecord) -> None:
        """Once the claim is settled. What a crash leaves, a reconcile finds."""
        self._delete(before, _objects(before.renditions) - _objects(after.renditions))

    def remove_everything(self, record: ImageRecord) -> None:
        """Whatever attempts at this image may have stored: it is gone."""
        names = {name for recipe in self._sandbox.recipes for name in (recipe.name, _second_name(recipe.name))}
        self._delete(record, names | _objects(record.renditions))

    def _delete(self, record: ImageRecord, names: Iterable[str]) -> None:
        for name in names:
            self._stores.objects.delete(Address.rendition(record.id, name))

    def _open_into(self, body: SharedBody, record: ImageRecord) -> None:
        reader = self._stores.vault.open(Address.original(record.id))
        try:
            if reader.size != record.size:
                raise Unopenable("the original has another size than its record")
            reader.read_into(body.view[: record.size])
        finally:
            reader.close()

    def _store(self, record: ImageRecord, recipe: Recipe, picture: Picture, current: Rendition | None) -> Rendition:
        # Two names take turns, so that no attempt writes over what the record names.
        stored_as = _second_name(recipe.name) if current is not None and current.stored_as is None else None
        made = Rendition(
            recipe.name,
            picture.media_type,
            len(picture.data),
            picture.width,
            picture.height,
            recipe.hash,
            stored_as,
        )
        writer = self._stores.vault.create(Address.rendition(record.id, made.object_name), replace=True)
        try:
            writer.write(picture.data)
            writer.commit()
        finally:
            writer.abort()
        return made

    def _in_order(self, renditions: Mapping[str, Rendition]) -> tuple[Rendition, ...]:
        """As the settings name them; after them what they name no more, which stays as it is."""
        named = [recipe.name for recipe in self._sandbox.recipes]
        return tuple(renditions[name] for name in [*named, *(name for name in renditions if name not in named)])

    def _facts(self, outcome: Outcome, timings: Mapping[str, float]) -> Facts:
        laps = {**timings, **outcome.timings}
        laps.pop("work", None)
        return {
            **outcome.facts,
            "fingerprint": self._fingerprints(outcome.phash),
            "timings": {f"{name}_ms": round(value, 1) for name, value in laps.items()},
        }

    def _fingerprints(self, phash: bytes) -> dict[str, str]:
        """The picture's hash under this week's key and next week's, so that neighbours in time stay comparable.

        HMAC-SHA256, cut to 16 bytes; once a week's key is dead nobody can compute or look up such a value.
        """
        keys, current = self._stores.keys, week_of(self._stores.clock.now())
        found: dict[str, str] = {}
        for week in (current, Week(current + 1)):
            try:
                digest = hmac.digest(keys.week_key(week), phash, "sha256")
            except KeyDestroyed:
                continue
            found[str(week)] = digest[:_FINGERPRINT_BYTES].hex()
        return found


def _stands(rendition: Rendition | None, recipe: Recipe) -> bool:
    return rendition is not None and rendition.recipe == recipe.hash


def _objects(renditions: Iterable[Rendition]) -> set[str]:
    return {rendition.object_name for rendition in renditions}


def _second_name(name: str) -> str:
    """The other name under which a rendition may be stored."""
    return "b" + hashlib.sha256(name.encode()).hexdigest()[: _NAME_CHARACTERS - 1]


class _Stopwatch:
    """Milliseconds between laps, by name."""

    def __init__(self, now: Callable[[], float] = time.perf_counter) -> None:
        self._now = now
        self._last = now()
        self.laps: dict[str, float] = {}

    def lap(self, name: str) -> None:
        moment = self._now()
        self.laps[name] = (moment - self._last) * 1_000
        self._last = moment
