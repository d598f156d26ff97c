"""A third consumer that joins a group and leaves it again, over and over: each time partitions change hands."""

import contextlib
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition

from support.topics import Topics

STAY_SECONDS = 2.0
REAL_STAY_SECONDS = 5.0
"""A process has to start first."""
REAL_ONE_IN = 4
END_SECONDS = 30.0


@dataclass
class Guests:
    """Come every so many seconds while `lag` is not 0: mostly one that takes partitions and does nothing, sometimes a
    whole `mayfly consume` (`command`), which works, and is told to leave by SIGTERM."""

    topics: Topics
    group: str
    topic: str
    command: Sequence[str]
    environment: dict[str, str]
    every_seconds: float
    lag: Callable[[], int]
    came: int = 0
    held: int = 0
    """How many partitions they were given, all in all."""
    lags: list[int] = field(default_factory=list)
    codes: list[int] = field(default_factory=list)
    """How the whole ones ended."""
    pids: list[int] = field(default_factory=list)

    @contextlib.contextmanager
    def coming(self) -> Iterator["Guests"]:
        ended = threading.Event()
        thread = threading.Thread(target=self._come_and_go, args=(ended,))
        thread.start()
        try:
            yield self
        finally:
            ended.set()
            thread.join()

    def _come_and_go(self, ended: threading.Event) -> None:
        while not ended.wait(self.every_seconds):
            # The broker may be away just now.
            with contextlib.suppress(KafkaException, TimeoutError, AssertionError):
                if lag := self.lag():
                    self.came += 1
                    self.lags.append(lag)
                    (self._work if self.came % REAL_ONE_IN == 0 else self._sit)(ended)

    def _sit(self, ended: threading.Event) -> None:
        """Hold partitions and read nothing: what was fetched for others goes on from what they committed."""
        settings: dict[str, Any] = {"group.id": self.group, "group.protocol": "consumer", "enable.auto.commit": False}
        guest = Consumer(self.topics.client(**settings, **{"queued.max.messages.kbytes": 64}))

        def assigned(consumer: Consumer, partitions: list[TopicPartition]) -> None:
            self.held += len(partitions)
            consumer.incremental_assign(partitions)
            consumer.pause(partitions)

        guest.subscribe([self.topic], on_assign=assigned)
        for _ in range(int(STAY_SECONDS / 0.1)):
            if ended.is_set():
                break
            guest.poll(0.1)
        guest.close()

    def _work(self, ended: threading.Event) -> None:
        with subprocess.Popen(self.command, env=self.environment, stderr=subprocess.DEVNULL) as guest:
            self.pids.append(guest.pid)
            ended.wait(REAL_STAY_SECONDS)
            guest.terminate()
            self.codes.append(guest.wait(END_SECONDS))
