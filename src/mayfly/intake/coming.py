"""One record that has a birth, and what follows from it: its retention, its id, its labels, what is wrong with it."""

import contextlib
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from mayfly.intake.envelope import Envelope
from mayfly.intake.labels import split_labels
from mayfly.model.claim import Claim
from mayfly.model.errors import ClaimFault, ClaimRefused, EmptyBody, InvalidRequest, TooLarge
from mayfly.model.identity import ImageId
from mayfly.model.instant import Ms
from mayfly.model.retention import Retention
from mayfly.model.stream import Coordinates
from mayfly.model.terms import Terms
from mayfly.ports.claim_source import CHUNK_BYTES, ClaimedFile, ClaimSource


@dataclass(frozen=True)
class Coming:
    """One record that has a birth. `fault` is what is wrong with its headers."""

    at: Coordinates
    value: bytes
    envelope: Envelope
    birth: Ms
    terms: Terms

    @cached_property
    def retention(self) -> Retention:
        """The one in force at its birth, or the shorter one that it asks for."""
        in_force = self.terms.history.at(self.birth)
        return min(in_force, self.envelope.retain or in_force)

    @cached_property
    def image_id(self) -> ImageId:
        partition = self.at.partition
        return ImageId.of_record(
            self.birth, self.retention, self.terms.source_name, partition.topic, partition.number, self.at.offset
        )

    @cached_property
    def _labels(self) -> tuple[Mapping[str, str], Mapping[str, str]] | InvalidRequest:
        try:
            return split_labels(self.envelope.labels, self.terms.labels)
        except InvalidRequest as fault:
            return fault

    @property
    def fact_labels(self) -> Mapping[str, str]:
        return {} if isinstance(self._labels, InvalidRequest) else self._labels[0]

    @property
    def personal_labels(self) -> Mapping[str, str]:
        return {} if isinstance(self._labels, InvalidRequest) else self._labels[1]

    @property
    def fault(self) -> InvalidRequest | None:
        if self.envelope.fault is not None:
            return self.envelope.fault
        if self.envelope.retain is not None and self.envelope.retain > self.retention:
            return InvalidRequest(f"ce_retain may only shorten the retention, which is {self.retention}")
        return self._labels if isinstance(self._labels, InvalidRequest) else None

    @property
    def claim(self) -> Claim | None:
        """Where its bytes stand, unless it holds them itself."""
        return self.envelope.claim if isinstance(self.envelope.claim, Claim) else None

    def refuse_unkept(self) -> None:
        """Raise for what is not even kept: nothing at all, more than is taken, a claim check that cannot be read.

        Raises:
            EmptyBody, TooLarge, ClaimRefused: which.
        """
        if isinstance(self.envelope.claim, ClaimRefused):
            raise self.envelope.claim
        size = max(len(self.value), 0 if self.claim is None else self.claim.size)
        if size > self.terms.max_bytes:
            raise TooLarge(f"an image is at most {self.terms.max_bytes} bytes")
        if not self.value or (self.claim is not None and not self.claim.size):
            raise EmptyBody("the record holds no image")

    def chunks(self) -> Iterator[memoryview]:
        """Its value, without another copy of it."""
        view = memoryview(self.value)
        return (view[start : start + CHUNK_BYTES] for start in range(0, len(view), CHUNK_BYTES))


def remove_claimed(claims: ClaimSource, coming: Coming) -> None:
    """Remove the claimed file of a record that is done with, if it still is the one that was claimed.

    Raises:
        Unavailable: not now; it stands.
    """
    claim = coming.claim
    if claim is None or claim.size > coming.terms.max_bytes:
        return
    with contextlib.suppress(ClaimFault), contextlib.closing(claims.open(claim)) as claimed:
        if not claimed.external and _sha256(claimed) == claim.sha256:
            claimed.remove()


def _sha256(claimed: ClaimedFile) -> str:
    digest = hashlib.sha256()
    for chunk in claimed.chunks():
        digest.update(chunk)
    return digest.hexdigest()
