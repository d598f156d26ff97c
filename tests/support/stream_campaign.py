"""A campaign against the second door: messages of every kind, and faults without pause while it works; then the whole
topic once more. What has to hold is told by the checker."""

import os
import random
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from support.broker import Broker
from support.processes import alive
from support.server import Server, until
from support.stream_checker import Report, Witness, check_images, check_letters, check_originals
from support.stream_guests import Guests
from support.stream_pictures import Picture
from support.stream_plan import LABEL, plan
from support.stream_producer import Writer
from support.stream_watch import MIB, Watch, busiest_of, consumers_of
from support.topics import Message

TOPIC, DEAD, GROUP = "pictures", "pictures.dead", "mayfly"
PARTITIONS = 6
SEGMENT = str(64 * MIB)
"""What a broker that was killed has to read again of each partition, at most."""
CONSUMERS = 2
MOST_MEMORY = 300 * MIB
"""Bytes resident, of a consumer."""
CONFIG = f"""
kafka_dead_letters = "{DEAD}"

[labels]
{LABEL} = "fact"

[renditions.dot]
steps = [{{resize = {{width = 32, height = 32}}}}, {{encode = {{format = "jpeg"}}}}]
"""
"""Cheap to process: how fast that goes is not what is tried here."""
AHEAD = 0.1
"""Of the messages, what is in the topic before anybody reads it."""
LATEST = 0.7
"""How far in a pass the last fault strikes: behind it a whole partition may be settled at once."""
MOST_REPLAYS = 5
"""One is wanted; another one is for faults that came too late in it, which happens where little is to be settled."""
TELL_SECONDS = 10.0


Fault = Callable[[], bool]
"""Strikes, if there is lag; says whether it did."""


@dataclass(frozen=True)
class Size:
    """How much of everything; of the faults, how many in the first pass, and how many in the replay."""

    messages: int
    kills: tuple[int, int]
    restarts: tuple[int, int]
    guests_every: float
    """Seconds."""
    originals: int
    patience: float
    """Seconds, between one fault and the next."""


FULL = Size(10_000, kills=(14, 6), restarts=(2, 1), guests_every=4.0, originals=400, patience=900)
SMALL = Size(200, kills=(1, 1), restarts=(1, 0), guests_every=3.0, originals=50, patience=90)


@dataclass
class Campaign:
    """One, in a folder of its own. The same seed gives the same messages, and the same faults in the same order."""

    folder: Path
    size: Size
    seed: int
    photos: Sequence[Picture] = ()
    report: Report = field(default_factory=Report)
    lags: list[int] = field(default_factory=list)
    """At each fault."""
    begun: float = field(default_factory=time.monotonic)
    replays: int = 0
    watched: bool = False
    """Whether the owner has to answer."""

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.broker = Broker(self.folder / "broker")
        doors = ("--kafka", self.broker.bootstrap, "--topic", TOPIC)
        (self.folder / "server").mkdir()
        options = ("--workers", "2", *doors, "--kafka-consumers", str(CONSUMERS))
        self.server = Server(self.folder / "server", options=options, config=CONFIG)
        self.writer = Writer(self.broker, TOPIC, plan(self.size.messages, PARTITIONS, self.seed, self.photos))
        where = ("--data", str(self.server.data), "--keys", str(self.server.keys))
        config = ("--config", str(self.server.folder / "mayfly.toml"))
        command = (sys.executable, "-m", "mayfly", "consume", *where, *config, *doors)
        self.guests = Guests(self.broker, GROUP, TOPIC, command, dict(os.environ), self.size.guests_every, self.lag)
        self.watch = Watch(self._working, lambda: self.server.url if self.watched else "")

    def run(self) -> Report:
        """All of it; what was found."""
        try:
            self._run()
        except AssertionError as fault:
            self.report.check("the campaign comes to its end", False, fault)
        finally:
            self.server.close()
            self.broker.close()
        return self.report

    def lag(self) -> int:
        return self.broker.lag(GROUP, TOPIC)

    def _run(self) -> None:
        self.broker.start()
        self.broker.create_topic(TOPIC, PARTITIONS, retention_ms="-1", segment_bytes=SEGMENT)
        self._tell(f"seed {self.seed}, {self.size.messages:,} messages, {len(self.photos)} photos")
        with self.writer.writing(int(AHEAD * self.size.messages)), self.watch.watching():
            self._serve()
            late = self._pass("first pass", self._faults_of(0))
            faults = late + self._faults_of(1)
            while not self.replays or (faults and self.replays < MOST_REPLAYS):
                self._stop_serving()
                self.broker.commit(GROUP, TOPIC, dict.fromkeys(range(PARTITIONS), 0))
                self.replays += 1
                self._serve()
                faults = self._pass(f"replay {self.replays}", faults)
            self._check()
            self._stop_serving()

    def _tell(self, text: str) -> None:
        print(f"{time.monotonic() - self.begun:6.1f} s  {text}", flush=True)

    def _serve(self) -> None:
        self.server.start()
        self.watched = True
        until(lambda: len(self._consumers()) == CONSUMERS, "the consumers")

    def _stop_serving(self) -> None:
        self.watched = False
        consumers = self._consumers()
        self.report.check("the server stops in an orderly way", self.server.stop() == 0)
        until(lambda: not any(map(alive, consumers)), "the consumers to end")

    def _consumers(self) -> list[int]:
        return consumers_of(self.server.pid) if self.server.process is not None else []

    def _working(self) -> list[int]:
        return self._consumers() + self.guests.pids[-1:]

    def _faults_of(self, number: int) -> list[Fault]:
        faults = [self._kill_a_consumer] * self.size.kills[number] + [self._kill_the_broker] * self.size.restarts[
            number
        ]
        self.chance.shuffle(faults)
        return faults

    def _pass(self, name: str, faults: list[Fault]) -> list[Fault]:
        """Through the topic once, with faults at even distances and guests in between. Returns those that came too
        late: nothing was left to be settled."""
        begun = time.monotonic()
        late = []
        with self.guests.coming():
            for place, fault in enumerate(faults):
                due = LATEST * self.size.messages * (place + 1) / len(faults)
                self._wait(partial(self._has_settled, due), f"{name}: {due:,.0f} messages to be settled")
                if not fault():
                    late.append(fault)
            self._wait(lambda: self.writer.done.is_set() and self.lag() == 0, f"{name}: the end of the topic")
        self._tell(f"{name}: settled after {time.monotonic() - begun:.0f} s")
        return late

    def _has_settled(self, messages: float) -> bool:
        return self._settled() >= messages

    def _settled(self) -> int:
        return sum(self.broker.committed(GROUP, TOPIC).values())

    def _wait(self, check: Callable[[], bool], what: str) -> None:
        """Tells now and then how far it is."""
        deadline = time.monotonic() + self.size.patience
        told = time.monotonic()
        while not check():
            assert time.monotonic() < deadline, f"waited in vain for {what}"
            if time.monotonic() - told > TELL_SECONDS:
                told = time.monotonic()
                peak = max(self.watch.peaks.values(), default=0) // MIB
                self._tell(f"... {self._settled():,} settled, lag {self.lag():,}, peak {peak} MiB; waits for {what}")
            time.sleep(0.1)

    def _kill_a_consumer(self) -> bool:
        # The one that works: the other one may have come just now, and hold no partition yet.
        victim = busiest_of(until(self._consumers, "a consumer"))
        if not self._strikes(f"kill -9 of consumer {victim}"):
            return False
        os.kill(victim, signal.SIGKILL)
        until(lambda: not alive(victim), "it to end")
        until(lambda: len(self._consumers()) == CONSUMERS, "another consumer in its place")
        return True

    def _kill_the_broker(self) -> bool:
        if not self._strikes("kill -9 of the broker"):
            return False
        begun = time.monotonic()
        self.broker.kill()
        self.broker.start()
        self._tell(f"the broker serves again after {time.monotonic() - begun:.1f} s")
        return True

    def _strikes(self, fault: str) -> bool:
        """Tell where, if anything is to be settled still, or will be."""
        self._wait(lambda: self.lag() > 0 or self.writer.done.is_set(), "something to be settled")
        if not (lag := self.lag()):
            return False
        self.lags.append(lag)
        offsets = ", ".join(f"{n}: {offset:,}" for n, offset in sorted(self.broker.committed(GROUP, TOPIC).items()))
        self._tell(f"{fault} at lag {lag:,}, committed {offsets}")
        return True

    def _check(self) -> None:
        sent, report = self.writer.sent, self.report
        poison = sum(one.fate == "letter" for one in sent) + sum(one.fate == "rival" for one in sent) // 2
        witness = Witness(self.server.url)
        self._wait(lambda: not witness.busy(), "every image to be processed")
        self._wait(lambda: len({letter.key for letter in self._letters()}) >= poison, "every dead letter")
        self._tell("every image is processed, every dead letter written")
        letters = self._letters()
        ends = self.broker.bounds(TOPIC)
        report.check(
            "the topic holds what was written, once",
            sum(high for _, high in ends.values()) == len(sent) == len({one.key for one in sent}) == self.size.messages,
            f"{len(sent):,} messages, {sum(one.size for one in sent) / 1e6:,.0f} MB, {poison} of poison",
        )
        struck = f"{len(self.lags)} kills and restarts, {len(self.guests.lags)} rebalances, {self.replays} replays"
        enough = len(self.lags) == sum(self.size.kills) + sum(self.size.restarts)
        report.check("every fault struck while there was lag", enough and min(self.lags + self.guests.lags) > 0, struck)
        report.check("lag ends at 0", self.lag() == 0)
        images = witness.images()
        check_letters(report, sent, letters, witness.letters())
        check_images(report, sent, images, letters)
        check_originals(report, witness, images, self.size.originals)
        witness.close()
        self._check_processes()

    def _check_processes(self) -> None:
        report, watch = self.report, self.watch
        # Two at each start, one in the place of each that was killed, and the guests.
        expected = CONSUMERS * (1 + self.replays) + sum(self.size.kills) + len(self.guests.pids)
        seen = len(watch.peaks)
        report.check("no consumer died but those that were killed", seen == expected, f"{seen} of {expected} seen")
        report.check("third consumers took partitions", self.guests.held > 0, f"{self.guests.came} came")
        report.check("and left in an orderly way", not any(self.guests.codes), self.guests.codes)
        peak = max(watch.peaks.values())
        what = f"at most {peak / MIB:.0f} MiB in {seen} consumers"
        report.check(f"a consumer takes at most {MOST_MEMORY // MIB} MiB", peak <= MOST_MEMORY, what)
        told = f"{watch.answers} answers, the slowest after {watch.slowest:.2f} s; {watch.silences[:5]}"
        report.check("the owner answered throughout", watch.answers > 0 and not watch.silences, told)
        self._tell(f"written in {self.writer.seconds:.0f} s, all checked")

    def _letters(self) -> list[Message]:
        try:
            return self.broker.records(DEAD)
        except KeyError:
            return []  # nobody wrote one yet
