"""One image on its way in: straight, or by a form. Whatever is tried again, it never makes two images of one."""

import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from mayfly.client.errors import MayflyClientError, UsageError
from mayfly.client.server import Server
from mayfly.client.shapes import Image
from mayfly.client.source import MeteredFile, Readable, Source, source_of

AWAITED = "awaited"
_ADMISSION_SECONDS = 30.0
"""How long an image may take to be admitted once its form was posted: on AWS the store tells of it a moment later."""
_ADMISSION_LOOK_SECONDS = 0.2

Meter = Callable[[int], None]
"""Told of bytes that were sent; of fewer than none when a try begins anew."""


def no_meter(_: int) -> None:
    """Nobody counts."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What is asked for one image beside its bytes."""

    retain: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    idempotency_key: str | None = None


def wishes_of(
    retain: timedelta | str | None, labels: Mapping[str, str] | None, idempotency_key: str | None = None
) -> Wishes:
    """
    Raises:
        UsageError: the retention is not a number of whole minutes.
    """
    if isinstance(retain, timedelta):
        minutes, rest = divmod(retain, timedelta(minutes=1))
        if rest or minutes < 1:
            raise UsageError(f"a retention is whole minutes; got {retain}")
        retain = f"PT{minutes}M"
    return Wishes(retain, dict(labels or {}), idempotency_key)


def upload(
    server: Server,
    readable: Readable,
    wishes: Wishes,
    *,
    file_name: str | None = None,
    media_type: str | None = None,
    form: bool | None = None,
    meter: Meter = no_meter,
    stop: threading.Event | None = None,
) -> Image:
    """See `Client.upload`."""
    source = source_of(readable, file_name, media_type)
    one = Upload(server, source, wishes, meter, stop or threading.Event())
    above = source.size > server.limits().direct_bytes
    return one.by_form() if form or (form is None and above) else one.direct()


@dataclass(frozen=True, slots=True)
class Upload:
    """Everything that one upload takes. `stop` ends its pauses."""

    server: Server
    source: Source
    wishes: Wishes
    meter: Meter = no_meter
    stop: threading.Event = field(default_factory=threading.Event)

    def direct(self) -> Image:
        """The bytes as the body of one request. The key is made once, so that a repeat meets the first try's image."""
        headers = {
            "Content-Type": self.source.media_type,
            "Content-Length": str(self.source.size),
            "Idempotency-Key": self.wishes.idempotency_key or uuid.uuid4().hex,
        }
        if self.source.disposition is not None:
            headers["Content-Disposition"] = self.source.disposition
        parameters = {f"label.{name}": value for name, value in self.wishes.labels.items()}
        if self.wishes.retain is not None:
            parameters["retain"] = self.wishes.retain

        def attempt() -> Image:
            counted = _Counted(self.meter)
            try:
                with self.source.chunks(counted) as chunks:
                    return self.server.door.ask(
                        "POST", "/v1/images", Image.of, params=parameters, headers=headers, content=chunks
                    )
            except MayflyClientError:
                counted.take_back()
                raise

        return self.server.persistence.try_until_done(attempt, repeatable=True, stop=self.stop)

    def by_form(self) -> Image:
        """Ask for a form, post it where it says, look at what became of it.

        A form is for one image, and its first admission wins: a try whose answer was lost is looked up by its id. A
        form whose own answer was lost stays unused, and dies unused.
        """
        if self.wishes.idempotency_key is not None:
            raise UsageError("an upload by a form takes no Idempotency-Key: the form itself is good for one image")
        form = self.server.ask("POST", "/v1/uploads", _Form.of, json=self._asked(), stop=self.stop)
        file_name = self.source.file_name or "file"
        tries = 0

        def attempt() -> None:
            nonlocal tries
            tries += 1
            if tries > 1 and self._admitted(form.id) is not None:
                return
            counted = _Counted(self.meter)
            try:
                with self.source.open() as file:
                    part = (file_name, MeteredFile(file, counted), self.source.told_type())
                    self.server.door.post_form(form.url, form.fields, part)
            except MayflyClientError:
                counted.take_back()
                raise

        try:
            self.server.persistence.try_until_done(attempt, repeatable=True, stop=self.stop)
        except MayflyClientError:
            # The last of several tries may have been refused for the very reason that an earlier one came through.
            admitted = self._admitted(form.id) if tries > 1 else None
            if admitted is None:
                raise
            return admitted
        return self._once_admitted(form.id)

    def _asked(self) -> dict[str, Any]:
        asked: dict[str, Any] = {"media_type": self.source.told_type(), "bytes": self.source.size}
        if self.source.file_name is not None:
            asked["file_name"] = self.source.file_name
        if self.wishes.retain is not None:
            asked["retain"] = self.wishes.retain
        if self.wishes.labels:
            asked["labels"] = dict(self.wishes.labels)
        return asked

    def _once_admitted(self, identity: str) -> Image:
        looks = int(_ADMISSION_SECONDS / _ADMISSION_LOOK_SECONDS)
        for _ in range(looks):
            image = self.server.image(identity, self.stop)
            if image.state != AWAITED or self.stop.wait(_ADMISSION_LOOK_SECONDS):
                break
        return image

    def _admitted(self, identity: str) -> Image | None:
        image = self.server.image(identity, self.stop)
        return None if image.state == AWAITED else image


@dataclass(frozen=True, slots=True)
class _Form:
    id: str
    url: str
    fields: Mapping[str, str] = field(repr=False)

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "_Form":
        return cls(document["id"], document["url"], dict(document["fields"]))


class _Counted:
    """Tells a meter of one try's bytes, and takes them back when it failed."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._sent = 0

    def __call__(self, size: int) -> None:
        self._sent += size
        self._meter(size)

    def take_back(self) -> None:
        self._meter(-self._sent)
        self._sent = 0
