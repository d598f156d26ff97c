"""Ids that tell their birth and their death.

An id is a UUIDv8 (RFC 9562, section 5.8). Its 122 free bits, in order:

    48 bits  birth, milliseconds since the epoch
    14 bits  retention, minutes
    60 bits  random (HTTP), or the hash of a Kafka record's coordinates, so that a replay meets itself

The version and variant bits sit where RFC 9562 puts them, so the 14 bits of retention are cut 12 + 2 around the
variant. Whoever holds an id knows when it dies; nothing has to remember the dead. Ids sort by birth.
"""

import hashlib
import re
import secrets
from dataclasses import dataclass
from functools import cached_property

from mayfly.model.errors import InvalidRequest, NotFound
from mayfly.model.instant import CALENDAR_END, Minute, Ms, minute_of
from mayfly.model.retention import Retention

_TEXT = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_TAIL_BITS = 60
LAST_BIRTH = Ms((1 << 48) - 1)
"""The last instant that an id can tell."""
_VERSION = 8
_VARIANT = 0b10


@dataclass(frozen=True, order=True)
class ImageId:
    """The id of one image. `value` is the UUID as an integer."""

    value: int

    @classmethod
    def new(cls, birth: Ms, retention: Retention) -> "ImageId":
        """An id for an image that entered over HTTP."""
        return cls.compose(birth, retention, secrets.randbits(_TAIL_BITS))

    @classmethod
    def of_record(
        cls, birth: Ms, retention: Retention, source_name: str, topic: str, partition: int, offset: int
    ) -> "ImageId":
        """The id of a Kafka record: the same record always gets the same id."""
        coordinates = "\x00".join((source_name, topic, str(partition), str(offset))).encode()
        digest = hashlib.sha256(coordinates).digest()
        return cls.compose(birth, retention, int.from_bytes(digest[:8], "big") >> 4)

    @classmethod
    def compose(cls, birth: Ms, retention: Retention, tail: int) -> "ImageId":
        high, low = divmod(retention.minutes, 4)
        value = birth << 80 | _VERSION << 76 | high << 64 | _VARIANT << 62 | low << 60 | tail
        return cls(value)

    @classmethod
    def parse(cls, text: str) -> "ImageId":
        """From its canonical text.

        Raises:
            NotFound: no id of ours reads like this.
        """
        if not _TEXT.fullmatch(text):
            raise NotFound("no such image: this is not an id of ours")
        candidate = cls(int(text.replace("-", ""), 16))
        try:
            # An id whose retention is out of bounds, or whose end no calendar can write, was never ours.
            ours = candidate.expires_at < CALENDAR_END
        except InvalidRequest:
            ours = False
        if not ours:
            raise NotFound("no such image: this is not an id of ours")
        return candidate

    @classmethod
    def from_bytes(cls, raw: bytes) -> "ImageId":
        return cls(int.from_bytes(raw, "big"))

    @classmethod
    def first_born_at(cls, birth: Ms) -> "ImageId":
        """A bound, not an id: every id born at or after `birth` sorts at or above it."""
        return cls(birth << 80)

    @cached_property
    def raw(self) -> bytes:
        """Sixteen bytes, big-endian: they sort as the ids do."""
        return self.value.to_bytes(16, "big")

    @property
    def birth(self) -> Ms:
        return Ms(self.value >> 80)

    @cached_property
    def retention(self) -> Retention:
        return Retention((self.value >> 64 & 0xFFF) << 2 | self.value >> 60 & 0b11)

    @cached_property
    def expires_at(self) -> Ms:
        return self.retention.expires_at(self.birth)

    @property
    def expiry_minute(self) -> Minute:
        return minute_of(self.expires_at)

    def __str__(self) -> str:
        text = f"{self.value:032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
