"""Which images are being taken in right now. What they have stored already is nobody's orphan, though no record names
it yet: `retention.reconcile` asks before it removes."""

from typing import Protocol

from mayfly.model.identity import ImageId


class UnderWay(Protocol):
    def enter(self, image_id: ImageId) -> None:
        """From here on until `leave` what is stored for this image is ours.

        Raises:
            InFlight: somebody brings it in right now, where only one may.
            Busy: too many are under way.
            Expired, Erased: it is gone; nothing was entered.
            Unavailable: not now; nothing was entered.
        """
        ...

    def leave(self, image_id: ImageId) -> None:
        """The opposite. Not entered, or left before: nothing happens."""
        ...
