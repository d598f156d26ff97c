"""Keys, asked of the owner and kept for as long as they may be."""

import threading
from dataclasses import dataclass

from mayfly.adapters.owner.line import OwnerLine
from mayfly.model.errors import KeyDestroyed, KeyNotMade
from mayfly.model.identity import ImageId
from mayfly.model.instant import Minute, Week, minute_of
from mayfly.model.wire import bytes_of, id_to_json
from mayfly.ports.clock import Clock


@dataclass(frozen=True, slots=True)
class _WeekKey:
    """What was answered for a week, in which minute: a key, or why there is none."""

    asked: Minute
    answer: bytes | KeyDestroyed | KeyNotMade


class OwnerKeys:
    """Implements `ports.key_store.Keys`. A minute's key is kept while its minute lasts, a week's for a minute."""

    def __init__(self, line: OwnerLine, clock: Clock) -> None:
        self._line = line
        self._clock = clock
        self._lock = threading.Lock()
        self._minutes: dict[Minute, bytes] = {}
        self._weeks: dict[Week, _WeekKey] = {}
        self._entered: set[ImageId] = set()
        self._looked = Minute(0)
        # Also where nobody asks for a key any more.
        line.each_second.append(self.forget_ended)

    def key(self, minute: Minute) -> bytes:
        self.forget_ended()
        known = self._minutes.get(minute)
        if known is None:
            known = bytes_of(self._line.ask({"op": "key", "minute": minute}))
            self._keep(minute, known)
        return known

    def week_key(self, week: Week) -> bytes:
        self.forget_ended()
        known = self._weeks.get(week)
        if known is None:
            known = _WeekKey(minute_of(self._clock.now()), self._ask_week(week))
            with self._lock:
                self._weeks[week] = known
        if isinstance(known.answer, bytes):
            return known.answer
        raise type(known.answer)(str(known.answer))

    def is_erased(self, image_id: ImageId) -> bool:
        # Of what is under way here the owner said when it was entered that it is not, and says so when it is admitted.
        if image_id in self._entered:
            return False
        erased: bool = self._line.ask({"op": "erased", "id": id_to_json(image_id)})
        return erased

    def entered(self, image_id: ImageId, key: bytes | None) -> None:
        """The owner took it as under way, and told the key of its minute."""
        with self._lock:
            self._entered.add(image_id)
        if key is not None:
            self._keep(image_id.expiry_minute, key)

    def left(self, image_id: ImageId) -> None:
        with self._lock:
            self._entered.discard(image_id)

    def forget_ended(self) -> None:
        """Let go of every key whose time is over. Looked at once a minute."""
        current = minute_of(self._clock.now())
        if current <= self._looked:
            return
        with self._lock:
            self._looked = current
            self._minutes = {minute: key for minute, key in self._minutes.items() if minute >= current}
            self._weeks = {}

    def _keep(self, minute: Minute, key: bytes) -> None:
        with self._lock:
            if minute >= self._looked:
                self._minutes[minute] = key

    def _ask_week(self, week: Week) -> bytes | KeyDestroyed | KeyNotMade:
        try:
            return bytes_of(self._line.ask({"op": "week_key", "week": week}))
        except (KeyDestroyed, KeyNotMade) as fault:
            return fault
