"""What a consumer does beside taking records: letters of images that decoding rejected, surveys, trimming.

All of it may wait for the broker or the owner, and none of it is in a record's way.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from mayfly.entrypoints.consumer_crew import Burial, described
from mayfly.entrypoints.consumer_hand import Hand
from mayfly.entrypoints.ending import ended_within
from mayfly.model.consumption import PartitionFigures
from mayfly.model.instant import MINUTE, SECOND, Ms
from mayfly.model.journal import Journal
from mayfly.model.stream import Partition, Survey
from mayfly.ports.clock import Clock
from mayfly.ports.dead_letters import DeadLetters
from mayfly.ports.image_stream import ImageStream

LETTERS = 200
"""At a look."""


@dataclass(frozen=True, slots=True)
class Rounds:
    """Seconds."""

    letters: float = 1.0
    survey: float = 5.0


@dataclass(slots=True)
class _Trouble:
    """What is in the way of one duty; told when it begins, when it changes and when it ends."""

    duty: str
    journal: Journal
    reason: str | None = field(default=None)

    def say(self, reason: str | None) -> None:
        if reason != self.reason:
            self.reason = reason
            self.journal(f"{self.duty}_waits" if reason else f"{self.duty}_resumes", reason=reason)


class Tending:
    def __init__(
        self,
        stream: ImageStream,
        hand: Hand,
        burial: Burial,
        letters: DeadLetters,
        clock: Clock,
        journal: Journal,
        *,
        trim: bool,
        rounds: Rounds,
    ) -> None:
        self._stream = stream
        self._hand = hand
        self._burial = burial
        self._letters = letters
        self._clock = clock
        self._trim = trim
        self._rounds = rounds
        self._surveys: dict[Partition, Survey] = {}
        self._trimmed_in = clock.now() // MINUTE
        self.trims = 0
        self._stopping = threading.Event()
        self._publishing = _Trouble("letters", journal)
        self._surveying = _Trouble("survey", journal)
        self._trimming = _Trouble("trim", journal)
        self._thread = threading.Thread(target=self._run, name="tending", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def begin_stop(self) -> None:
        self._stopping.set()

    def ended(self, seconds: float) -> bool:
        return ended_within([self._thread], seconds)

    def publish(self) -> None:
        """Write the letters of the partitions held here that the topic does not have. A partition is held by one
        consumer at a time, so no two write the same one."""
        for letter in self._letters.unpublished(LETTERS, list(self._hand.held)):
            ours = letter.at is not None and letter.at.partition in self._hand.held
            if self._stopping.is_set() or not ours or letter.at is None or self._hand.holds(letter.at):
                continue
            self._burial.write(letter)
            self._burial.mark(letter)

    def survey(self) -> None:
        """See how the partitions held stand."""
        self._surveys = {found.partition: found for found in self._stream.survey(list(self._hand.held))}

    def trim(self) -> None:
        """Delete from the topic what is done here, never past an open letter."""
        # In this order: a letter of what is settled by now was noted before.
        done = self._hand.settled()
        bounds: dict[Partition, int] = {}
        for topic in {partition.topic for partition in done}:
            open_letters = self._letters.bounds(topic)
            for partition, offset in done.items():
                if partition.topic == topic:
                    bounds[partition] = min(offset, open_letters.get(partition, offset))
        if bounds:
            self._stream.trim(bounds)
            self.trims += 1

    def figures(self) -> tuple[PartitionFigures, ...]:
        """Of every partition held."""
        now = self._clock.now()
        return tuple(self._figures(partition, now) for partition in sorted(self._hand.held))

    def _figures(self, partition: Partition, now: Ms) -> PartitionFigures:
        survey = self._surveys.get(partition)
        oldest = self._hand.oldest(partition)
        if survey is None:
            return PartitionFigures(partition, None, _age(now, oldest), None)
        done = max(survey.earliest, survey.committed or 0, self._hand.settled().get(partition, 0))
        lag = max(0, survey.latest - done)
        waited = _age(now, oldest) if oldest is not None else 0.0 if not lag else None
        return PartitionFigures(partition, lag, waited, _age(now, survey.oldest_at))

    def _run(self) -> None:
        due = dict.fromkeys(("letters", "survey"), 0.0)
        while not self._stopping.wait(min(self._rounds.letters, self._rounds.survey)):
            if time.monotonic() >= due["letters"]:
                self._do(self._publishing, self.publish)
                due["letters"] = time.monotonic() + self._rounds.letters
            if time.monotonic() >= due["survey"] or not self._surveys.keys() >= self._hand.held.keys():
                self._do(self._surveying, self.survey)
                due["survey"] = time.monotonic() + self._rounds.survey
            if self._trim and (minute := self._clock.now() // MINUTE) != self._trimmed_in:
                self._trimmed_in = minute
                self._do(self._trimming, self.trim)

    def _do(self, trouble: _Trouble, duty: Callable[[], None]) -> None:
        if self._stopping.is_set():
            return
        try:
            duty()
            trouble.say(None)
        except Exception as fault:
            trouble.say(described(fault))


def _age(now: Ms, instant: Ms | None) -> float | None:
    return None if instant is None else max(0.0, (now - instant) / SECOND)
