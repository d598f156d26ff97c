"""What an attempt makes of an image: renditions in the store, facts for the record.

    original → ONE pass through the cage for all recipes → rendition
                    → the user's own step → the cage again → rendition
                                                → ...

What is there already and made by the recipe in force is kept. What replaces an older rendition is stored beside it, and
takes its place when the claim is settled: until then, and if the attempt fails, readers get the old one whole.
"""

import contextlib
import hashlib
import hmac
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from mayfly.model.address import Address
from mayfly.model.errors import AttemptFailed, KeyDestroyed, Rejected, Unopenable
from mayfly.model.image import Facts, ImageRecord, Rendition
from mayfly.model.instant import Week, week_of
from mayfly.model.job import Processed
from mayfly.processing.limits import Limits
from mayfly.processing.own.answer import Answer, at_fault
from mayfly.processing.own.call import OwnSteps
from mayfly.processing.own.step import OwnStep
from mayfly.processing.recipe import Recipe
from mayfly.processing.sandbox import Outcome, Picture, Sandbox
from mayfly.processing.shared_body import SharedBody
from mayfly.processing.stage import Stage
from mayfly.processing.step_facts import StepFacts
from mayfly.processing.steps import Step
from mayfly.processing.verdicts import Stores

_FINGERPRINT_BYTES = 16
_NAME_CHARACTERS = 32
"""The longest name an object may have (`model.address`)."""


class Making:
    """Used by one thread."""

    def __init__(self, stores: Stores, sandbox: Sandbox, own_steps: OwnSteps) -> None:
        self._stores = stores
        self._sandbox = sandbox
        self._own_steps = own_steps
        # What a step may answer; more room than that is for what it is handed.
        self._bounds = replace(sandbox.limits, output=min(sandbox.limits.output, Limits().output))

    def make(self, record: ImageRecord, seconds: float) -> Processed:
        """Make what the record lacks. Its new renditions are stored when this returns, and named by nobody yet.

        Args:
            seconds: the longest it may take; past that nothing more is begun.

        Raises:
            Rejected, AttemptFailed: as `Sandbox.run` and `OwnSteps.call`; `attempt-overdue`.
            ObjectMissing, Unopenable, Expired, Erased, Unavailable: as the stores.
        """
        watch = _Stopwatch(seconds)
        queued_ms = self._stores.clock.now() - record.id.birth
        current = {rendition.name: rendition for rendition in record.renditions}
        wanted = [recipe for recipe in self._sandbox.recipes if not _stands(current.get(recipe.name), recipe)]
        watch.spend("queued", float(queued_ms))
        said = StepFacts()
        made: dict[str, Rendition] = {}
        with self._first_pass(record, wanted, watch) as outcome:
            for recipe, first in _begun(wanted, outcome):
                with self._finished(record, recipe, first, said, watch) as picture:
                    watch.refuse_overdue()
                    made[recipe.name] = self._store(record, recipe, picture, current.get(recipe.name))
                    watch.lap("store")
            facts = self._facts(record, outcome, watch.spent, said, set(made))
        return Processed(self._in_order(current | made), facts, self._sealed(record, said, set(made)))

    @contextlib.contextmanager
    def _first_pass(self, record: ImageRecord, wanted: Sequence[Recipe], watch: "_Stopwatch") -> Iterator[Outcome]:
        """What all recipes need of the original, and its facts, decoded once."""
        with self._original(record, watch) as body:
            outcome = self._sandbox.run(body, record.media_type, _firsts(wanted))
        watch.skip()
        with outcome:
            watch.spend_all(outcome.timings)
            yield outcome

    @contextlib.contextmanager
    def _finished(
        self, record: ImageRecord, recipe: Recipe, first: Picture | None, said: StepFacts, watch: "_Stopwatch"
    ) -> Iterator[Picture]:
        """The picture after every leg. Of the pictures on the way no more than one is held at a time."""
        picture = first
        with contextlib.ExitStack() as held:
            for leg in recipe.legs:
                watch.refuse_overdue()
                if picture is None:
                    with self._original(record, watch) as body, body.view[: record.size] as original:
                        answer = self._call(leg.own, original.toreadonly(), record.media_type)
                else:
                    answer = self._call(leg.own, picture.data, picture.media_type)
                held.close()
                said.add(recipe.name, leg.own.facts, answer.facts)
                watch.lap("own")
                watch.refuse_overdue()
                outcome = held.enter_context(self._decoded(answer, leg.stage))
                watch.skip()
                watch.spend_all(outcome.timings)
                picture = outcome.pictures[0]
            assert picture is not None, "a recipe without a first stage has a leg"
            yield picture

    def _call(self, step: OwnStep, data: memoryview, media_type: str) -> Answer:
        return self._own_steps.call(step, data, media_type, self._bounds)

    def _decoded(self, answer: Answer, stage: Stage) -> Outcome:
        """A step's answer is a stranger's bytes like any upload; but if it is no picture, the step failed."""
        size = len(answer.data)
        with self._sandbox.desk(size) as body:
            body.view[:size] = answer.data
            try:
                return self._sandbox.run(body, answer.media_type, [stage], measured=False)
            except Rejected as fault:
                raise at_fault(fault) from None

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

    @contextlib.contextmanager
    def _original(self, record: ImageRecord, watch: "_Stopwatch") -> Iterator[SharedBody]:
        """The original on the desk, opened."""
        watch.skip()
        with self._sandbox.desk(record.size) as body:
            reader = self._stores.vault.open(Address.original(record.id))
            try:
                if reader.size != record.size:
                    raise Unopenable("the original has another size than its record")
                reader.read_into(body.view[: record.size])
            finally:
                reader.close()
            watch.lap("open")
            yield body

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

    def _facts(
        self, record: ImageRecord, outcome: Outcome, spent: Mapping[str, float], said: StepFacts, remade: set[str]
    ) -> Facts:
        steps = said.facts((record.facts or {}).get("steps", {}), remade)
        return {
            **outcome.facts,
            "fingerprint": self._fingerprints(outcome.phash),
            **({"steps": steps} if steps else {}),
            "timings": {f"{name}_ms": round(value, 1) for name, value in spent.items()},
        }

    def _sealed(self, record: ImageRecord, said: StepFacts, remade: set[str]) -> bytes | None:
        """The personal fields sealed anew, where steps have something to add or to take back."""
        if not record.renditions and not said.has_personal:
            return None
        vault = self._stores.vault
        personal = vault.open_personal(record.id, record.sealed)
        found = said.personal(personal.step_facts, remade)
        if found == personal.step_facts:
            return None
        return vault.seal_personal(record.id, replace(personal, step_facts=found))

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


def _firsts(recipes: Iterable[Recipe]) -> list[Stage]:
    """What the recipes begin with, each once."""
    return list(dict.fromkeys(first for _, first in _with_firsts(recipes) if first))


def _begun(recipes: Iterable[Recipe], outcome: Outcome) -> Iterator[tuple[Recipe, Picture | None]]:
    """Each recipe with what its first stage made; None where it has none."""
    pictures = {picture.name: picture for picture in outcome.pictures}
    for recipe, first in _with_firsts(recipes):
        yield recipe, pictures[first.name] if first else None


def _with_firsts(recipes: Iterable[Recipe]) -> Iterator[tuple[Recipe, Stage | None]]:
    """Where several hand the same picture to steps of the user's own, it is one stage's: they may be whole pictures,
    for more than a few of which there is no room."""
    handed: dict[tuple[Step, ...], Stage] = {}
    for recipe in recipes:
        first = recipe.first
        yield recipe, handed.setdefault(first.steps, first) if first and recipe.legs else first


def _stands(rendition: Rendition | None, recipe: Recipe) -> bool:
    return rendition is not None and rendition.recipe == recipe.hash


def _objects(renditions: Iterable[Rendition]) -> set[str]:
    return {rendition.object_name for rendition in renditions}


def _second_name(name: str) -> str:
    """The other name under which a rendition may be stored."""
    return "b" + hashlib.sha256(name.encode()).hexdigest()[: _NAME_CHARACTERS - 1]


class _Stopwatch:
    """Milliseconds by name, and the instant past which nothing more is to be begun."""

    def __init__(self, seconds: float, now: Callable[[], float] = time.perf_counter) -> None:
        self._now = now
        self._last = now()
        self._end = self._last + seconds
        self.spent: dict[str, float] = {}

    def lap(self, name: str) -> None:
        """Since the last lap or skip."""
        last = self._last
        self.skip()
        self.spend(name, (self._last - last) * 1_000)

    def skip(self) -> None:
        self._last = self._now()

    def spend(self, name: str, milliseconds: float) -> None:
        self.spent[name] = self.spent.get(name, 0.0) + milliseconds

    def spend_all(self, others: Mapping[str, float]) -> None:
        for name, milliseconds in others.items():
            self.spend(name, milliseconds)

    def refuse_overdue(self) -> None:
        """Whoever claims the image next must not meet us."""
        if self._now() > self._end:
            raise AttemptFailed("attempt-overdue")
