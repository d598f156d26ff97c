"""The front of the house, the same for every door: what is asked of the stores while an image comes in."""

from dataclasses import dataclass

from mayfly.intake.idempotency import Idempotency
from mayfly.model.errors import ClockHeld
from mayfly.model.image import ImageRecord
from mayfly.model.instant import Ms
from mayfly.model.journal import Journal
from mayfly.ports.clock import Clock
from mayfly.ports.key_store import Keys
from mayfly.ports.metadata_store import Admissions
from mayfly.ports.object_store import ObjectStore
from mayfly.ports.under_way import UnderWay
from mayfly.vault.vault import Vault


@dataclass(frozen=True, slots=True)
class Intake:
    """All of it may stand in another process but the objects: a door that is a process of its own brings adapters that
    ask the owner."""

    vault: Vault
    objects: ObjectStore
    admissions: Admissions
    keys: Keys
    clock: Clock
    under_way: UnderWay
    journal: Journal

    @property
    def idempotency(self) -> Idempotency:
        return Idempotency(self.admissions, self.keys, self.clock, self.vault)

    def refuse_unbelieved(self, birth: Ms) -> None:
        """Raise ClockHeld while the time is in doubt, or where it was when this image was born."""
        # A birth from the future is one that a jump gave, which was set right since: it would lengthen a life.
        if self.clock.held() or birth > self.clock.now():
            raise ClockHeld("wall time jumped and nobody confirmed it yet: nothing is taken in meanwhile")

    def tell_received(self, record: ImageRecord, seconds: float) -> None:
        """`seconds`: from its beginning to its being durable."""
        # Rounded up: the log stays for ever, and a size to the byte would single out a picture that is known elsewhere.
        kib = -(-record.size // 1_024)
        self.journal(
            "received",
            image=str(record.id),
            source=record.source,
            kib=kib,
            media_type=record.media_type,
            size=record.size,
            seconds=seconds,
        )
