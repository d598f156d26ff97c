"""Where an image's bytes stand: every address is computed from the id and says when it dies."""

import re
from dataclasses import dataclass
from enum import StrEnum

from mayfly.model.errors import InvalidRequest, NotFound
from mayfly.model.identity import ImageId
from mayfly.model.instant import Minute, minute_label

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")


class Kind(StrEnum):
    ORIGINAL = "original"
    RENDITION = "rendition"


@dataclass(frozen=True, slots=True)
class Address:
    """An object's address. `name` is 1 to 32 of a-z, 0-9, `_`, `-`, beginning with a letter."""

    kind: Kind
    image_id: ImageId
    name: str

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise InvalidRequest(f"a name is 1 to 32 of a-z, 0-9, _ and -, beginning with a letter; got {self.name!r}")

    @classmethod
    def original(cls, image_id: ImageId) -> "Address":
        return cls(Kind.ORIGINAL, image_id, "original")

    @classmethod
    def rendition(cls, image_id: ImageId, name: str) -> "Address":
        return cls(Kind.RENDITION, image_id, name)

    @property
    def minute(self) -> Minute:
        """The minute in which it dies."""
        return self.image_id.expiry_minute

    @property
    def file_name(self) -> str:
        return f"{self.image_id}.{self.kind}.{self.name}"

    @classmethod
    def from_file_name(cls, text: str) -> "Address":
        """The inverse of `file_name`.

        Raises:
            NotFound, ValueError, InvalidRequest: no address reads like this.
        """
        identity, kind, name = text.split(".")
        return cls(Kind(kind), ImageId.parse(identity), name)

    def __str__(self) -> str:
        """The canonical text: what a sealed object is bound to, the same in every store."""
        return f"{self.kind}/{minute_label(self.minute)}/{self.image_id}/{self.name}"


def parse_file_name(text: str) -> Address | None:
    """The address a file name stands for, or None where it stands for none."""
    try:
        return Address.from_file_name(text)
    except (NotFound, ValueError, InvalidRequest):
        return None
