"""The threads that take records, and those that write letters: what blocks, blocks here.

What passes (a full disk, an owner or a broker that is away) is tried again without end, and nothing is dead-lettered
for it.
"""

import random
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mayfly.entrypoints.consumer_hand import Errand, Hand
from mayfly.entrypoints.ending import ended_within
from mayfly.intake.stream import Buried, Early, Kept, Outcome, Passed
from mayfly.model.errors import MayflyError
from mayfly.model.stream import Letter, StreamRecord
from mayfly.ports.dead_letters import DeadLetters
from mayfly.ports.image_stream import ImageStream

TAKERS = 12
"""Each waits for the disk, or for the owner, most of its time. With 8 the disk is idle in between; with 16 they wait
for the interpreter instead (records of 285 KB on two cores: 130, 195 and 185 a second)."""
BURIERS = 2

Take = Callable[[StreamRecord], Outcome]


@dataclass(frozen=True, slots=True)
class Backoff:
    """Seconds."""

    first: float = 0.2
    longest: float = 5.0

    def after(self, failures: int) -> float:
        """How long to wait after so many failures, one or more. With jitter: what failed together comes back apart."""
        longest = min(self.first * 2.0 ** min(failures - 1, 30), self.longest)
        return longest * random.uniform(0.5, 1.0)  # noqa: S311 - no secret


class Burial:
    """Writes letters to the dead-letter topic, and counts them."""

    def __init__(self, stream: ImageStream, letters: DeadLetters) -> None:
        self._stream = stream
        self._letters = letters
        self._lock = threading.Lock()
        self.written = 0

    def write(self, letter: Letter) -> None:
        """Raises:
        Unavailable: nobody knows whether the topic has it.
        """
        self._stream.bury(letter)
        with self._lock:
            self.written += 1

    def mark(self, letter: Letter) -> None:
        """The topic has it.

        Raises:
            Unavailable: that is not remembered; it may be written once more.
        """
        self._letters.published(letter.key, letter.died_at)


class Crew:
    def __init__(self, hand: Hand, take: Take, burial: Burial, backoff: Backoff) -> None:
        self._hand = hand
        self._take = take
        self._burial = burial
        self._backoff = backoff
        self._threads = [
            threading.Thread(target=self._takes, name=f"taker-{number}", daemon=True) for number in range(TAKERS)
        ] + [threading.Thread(target=self._buries, name=f"burier-{number}", daemon=True) for number in range(BURIERS)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def ended(self, seconds: float) -> bool:
        """Wait so long at most, after the hand was closed. Whether all have ended."""
        return ended_within(self._threads, seconds)

    def _takes(self) -> None:
        while (errand := self._hand.to_take()) is not None:
            try:
                outcome = self._take(errand.record)
            except Exception as fault:
                self._again(errand, fault)
            else:
                self._settle(errand, outcome)

    def _settle(self, errand: Errand, outcome: Outcome) -> None:
        match outcome:
            case Kept(created=created):
                self._hand.finish(errand, "created" if created else "found")
            case Passed(reason=reason):
                self._hand.finish(errand, reason)
            case Buried(letter=letter) if letter.published:
                self._hand.finish(errand, "buried")
            case Buried(letter=letter):
                self._hand.bury(errand, letter)
            case Early(until=until):
                self._hand.wait_until(errand, until)

    def _buries(self) -> None:
        while (errand := self._hand.to_bury()) is not None:
            assert errand.letter is not None
            try:
                if not errand.written:
                    self._burial.write(errand.letter)
                    errand.written = True
                self._burial.mark(errand.letter)
            except Exception as fault:
                self._again(errand, fault)
            else:
                self._hand.finish(errand, "buried")

    def _again(self, errand: Errand, fault: Exception) -> None:
        due = time.monotonic() + self._backoff.after(errand.failures + 1)
        self._hand.retry(errand, due, described(fault))


def described(fault: Exception) -> str:
    """What may be logged of a fault. Of one that is not ours only its kind and place: its text may quote the record."""
    if isinstance(fault, MayflyError):
        return str(fault)
    frame = traceback.extract_tb(fault.__traceback__)[-1]
    return f"{type(fault).__name__} in {Path(frame.filename).name}, line {frame.lineno}"
