"""One image's way in: under way from its first byte to its hand-over, or to nothing at all."""

import time
from collections.abc import Callable

from mayfly.intake.body import Body
from mayfly.intake.inspect import Inspector
from mayfly.intake.intake import Intake
from mayfly.model.address import Address
from mayfly.model.identity import ImageId
from mayfly.model.image import ImageRecord


class Entry:
    """Used by one caller at a time, who has entered the image as under way; `close` leaves."""

    def __init__(self, intake: Intake, image_id: ImageId, inspector: Inspector, *, stored: bool = True) -> None:
        """`stored`: as `Body`."""
        self.image_id = image_id
        self.body = Body(intake.vault, image_id, inspector, stored=stored)
        self._intake = intake
        self._began = time.perf_counter()
        self._open = True

    @property
    def open(self) -> bool:
        """Until `close`."""
        return self._open

    def hand_over(self, record: ImageRecord, act: Callable[[], None]) -> None:
        """Call `act`, which makes the record durable, after `body.commit`; if it does not, take the object away.

        Raises:
            Whatever `act` raises; nothing is kept.
        """
        try:
            act()
        except BaseException:
            self._intake.objects.delete(Address.original(self.image_id))
            raise
        self._intake.tell_received(record, time.perf_counter() - self._began)

    def close(self) -> None:
        """Leave nothing behind that was not handed over. May be called twice."""
        if not self._open:
            return
        self._open = False
        try:
            self.body.abort()
        finally:
            self._intake.under_way.leave(self.image_id)
