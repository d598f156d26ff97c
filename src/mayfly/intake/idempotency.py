"""One key, one image: whoever brings the same key again meets the image it made, and other bytes under it are refused.

An Idempotency-Key of HTTP and a CloudEvent's source and id go through the same conditional write.
"""

import contextlib
import hmac
from dataclasses import dataclass

from mayfly.model.errors import Erased, IdempotencyReused, KeyDestroyed, KeyNotMade, NotFound
from mayfly.model.identity import ImageId
from mayfly.model.image import ImageRecord, Personal
from mayfly.model.instant import MINUTE, Ms, Week, week_of
from mayfly.ports.clock import Clock
from mayfly.ports.key_store import Keys
from mayfly.ports.metadata_store import Admissions, Reservation
from mayfly.vault.vault import Vault

_RESERVED_FOR = 15 * MINUTE
"""How long an unfinished request holds its key; a server that restarts frees it at once."""


@dataclass(frozen=True, slots=True)
class Held:
    """A key that was asked for. `holder` is the image that was admitted under it before; None: it is ours."""

    reservation: Reservation
    holder: ImageId | None


class Idempotency:
    def __init__(self, admissions: Admissions, keys: Keys, clock: Clock, vault: Vault) -> None:
        self._admissions = admissions
        self._keys = keys
        self._clock = clock
        self._vault = vault

    def reserve(self, scope: str, text: str, image_id: ImageId) -> Held:
        """Take a key, or find whose it is. `scope` says whose keys these are, and holds no NUL.

        Raises:
            InFlight: somebody else holds it right now.
            Expired: the image is due already.
            KeyNotMade, StorageFull: not now.
        """
        # Callers put names and numbers into keys; hashed under a key that dies, they cannot be looked up later.
        said = f"{scope}\x00{text}".encode()
        own, *aliases = (hmac.digest(key, said, "sha256") for key in self._living(week_of(image_id.birth)))
        reservation = Reservation(own, image_id, tuple(aliases))
        holder = self._admissions.reserve(reservation, Ms(self._clock.now() + _RESERVED_FOR))
        return Held(reservation, None if holder == image_id else holder)

    def give_back(self, held: Held) -> None:
        """Let go of a key under which nothing was admitted. One that is another's, or kept, stays as it is."""
        if held.holder is None:
            self._admissions.release(held.reservation)

    def met(self, holder: ImageId, sha256: str) -> tuple[ImageRecord, Personal]:
        """The image that was admitted under the key, which came again with bytes of this hash (hex).

        Raises:
            Erased: it is no more.
            Expired: it is due.
            IdempotencyReused: it came with other bytes.
        """
        try:
            record = self._admissions.get(holder)
        except NotFound:
            raise Erased("the image made under this Idempotency-Key was erased") from None
        personal = self._vault.open_personal(holder, record.sealed)
        if personal.sha256 != sha256:
            raise IdempotencyReused("this Idempotency-Key was used with other bytes; use a new key for a new image")
        return record, personal

    def _living(self, born: Week) -> list[bytes]:
        """The keys of all weeks that a living image may have hashed under: first that of its own week. One that was
        born before the store's first week takes the next there is."""
        now = week_of(self._clock.now())
        keys = []
        for week in sorted({born, *map(Week, range(now - 1, now + 2))}, key=lambda week: (week != born, week)):
            with contextlib.suppress(KeyDestroyed, KeyNotMade):
                keys.append(self._keys.week_key(week))
        if not keys:
            raise KeyNotMade("no week has a key yet")
        return keys
