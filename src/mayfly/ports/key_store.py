"""Keys of minutes and weeks, and the memory of what was erased early. Lies outside the data and is never backed up."""

from collections.abc import Iterable
from typing import Protocol

from mayfly.model.identity import ImageId
from mayfly.model.instant import Minute, Week

KEY_BYTES = 32


class Keys(Protocol):
    """What whoever seals and opens asks. Keys are 32 random bytes."""

    def key(self, minute: Minute) -> bytes:
        """The 32 bytes of the minute's key.

        Raises:
            KeyDestroyed: it lies at or below the mark and is no more.
            KeyNotMade: it lies above the mark.
        """
        ...

    def week_key(self, week: Week) -> bytes:
        """The 32 bytes of the week's key.

        Raises:
            KeyDestroyed: the week ended over a week ago.
            KeyNotMade: it was not made yet.
        """
        ...

    def is_erased(self, image_id: ImageId) -> bool: ...


class KeyStore(Keys, Protocol):
    """One owner makes and destroys."""

    def provide(self, first: Minute, last: Minute) -> int:
        """Make, durably, the key of every minute from `first` to `last` that lies above the high-water mark.

        A minute at or below the mark is never made again, whether its key lives or not. Returns how many were made.

        Raises:
            StorageFull: the room for keys is taken by minutes that are not destroyed yet; nothing was made.
        """
        ...

    def high_water(self) -> Minute | None:
        """The youngest minute a key was ever made for; None before the first. Survives every destruction."""
        ...

    def live(self) -> list[Minute]:
        """The minutes whose keys exist, ascending."""
        ...

    def destroy(self, minutes: Iterable[Minute]) -> int:
        """Destroy keys, durably, and with each the memory of its erased ids. Needs no free space.

        When it returns, no file of the store holds a byte of those keys. Repeatable. Returns how many lived before.
        """
        ...

    def turn_weeks(self, current: Week) -> None:
        """Keep exactly the keys of the week before `current`, of `current` and of the one after: make the missing
        ones from `current` on, destroy, durably, all older. A week's key is made once."""
        ...

    def remember_erased(self, image_id: ImageId) -> None:
        """Remember, durably, that this image was erased early, until its minute's key is destroyed. Repeatable.

        Raises:
            KeyDestroyed: its minute is over; there is nothing left to remember.
            KeyNotMade: its minute has no key yet; nothing can be sealed in it either.
            StorageFull: no room; nothing is remembered.
        """
        ...

    def erased(self, minute: Minute) -> frozenset[ImageId]:
        """The images of that minute that were erased early."""
        ...
