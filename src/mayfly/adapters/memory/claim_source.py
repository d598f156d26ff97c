"""Claimed files in a dictionary."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from mayfly.model.claim import Claim, ClaimPrefix, Place, place_of
from mayfly.model.errors import ClaimMismatch, ClaimMissing, ClaimRefused, Unavailable
from mayfly.ports.claim_source import CHUNK_BYTES, ClaimedFile


@dataclass(eq=False)
class _File:
    data: bytes | None
    """None: something that is no plain file."""


@dataclass
class MemoryClaimSource:
    """`fault`, while it is set, is what every open and every removal meets."""

    prefixes: Sequence[ClaimPrefix]
    fault: Unavailable | None = None
    files: dict[str, _File] = field(default_factory=dict)

    def put(self, path: str, data: bytes | None) -> None:
        """A new file at an absolute path; None is something that is no plain file."""
        self.files[path] = _File(data)

    def write(self, path: str, data: bytes) -> None:
        """Write into the file that stands there."""
        self.files[path].data = data

    def open(self, claim: Claim) -> ClaimedFile:
        place = place_of(claim.uri, self.prefixes)
        self.refuse_away()
        path = str(place.prefix.folder.joinpath(*place.names))
        found = self.files.get(path)
        if found is None:
            raise ClaimMissing("nothing stands where the claim check points")
        if found.data is None:
            raise ClaimRefused("the claim check points at what is no plain file")
        if len(found.data) != claim.size:
            raise ClaimMismatch("the claim check says another size")
        return _Opened(self, path, found, place, claim.size)

    def refuse_away(self) -> None:
        if self.fault is not None:
            raise self.fault


class _Opened:
    def __init__(self, source: MemoryClaimSource, path: str, found: _File, place: Place, size: int) -> None:
        self._source = source
        self._path = path
        self._found = found
        self._size = size
        self.external = place.prefix.external

    def chunks(self) -> Iterator[bytes]:
        data = self._found.data or b""
        if len(data) != self._size:
            raise ClaimMismatch("the claimed file changed while it was read")
        for start in range(0, len(data), CHUNK_BYTES):
            yield data[start : start + CHUNK_BYTES]

    def remove(self) -> None:
        if self.external:
            return
        self._source.refuse_away()
        if self._source.files.get(self._path) is self._found:
            del self._source.files[self._path]

    def close(self) -> None:
        """Nothing is held."""
