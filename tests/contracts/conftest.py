"""Every adapter of every port, opened the same way. To hold another adapter to the contracts, name its factory here.

A factory is a context manager that gives a `Subject`: what was opened, and `reopen`, which closes it and opens it
again on the same files (an adapter without files gives the same object).
"""

import itertools
import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

import pytest

from mayfly.adapters.kafka.connection import Connection
from mayfly.adapters.kafka.event_sink import KafkaEventSink
from mayfly.adapters.kafka.image_stream import KafkaImageStream, Subscription
from mayfly.adapters.local.claim_source import LocalClaimSource
from mayfly.adapters.local.clock import SystemClock
from mayfly.adapters.local.database import Database
from mayfly.adapters.local.dead_letters import SqliteDeadLetters
from mayfly.adapters.local.event_log import SqliteEventLog
from mayfly.adapters.local.key_store import SlotKeyStore
from mayfly.adapters.local.metadata_store import SqliteMetadataStore
from mayfly.adapters.local.object_store import LocalObjectStore
from mayfly.adapters.local.retention_history import SqliteRetentionHistory
from mayfly.adapters.local.token_store import SqliteTokenStore
from mayfly.adapters.local.work_queue import SqliteWorkQueue
from mayfly.adapters.memory.broker import MemoryBroker
from mayfly.adapters.memory.claim_source import MemoryClaimSource
from mayfly.adapters.memory.clock import ManualClock
from mayfly.adapters.memory.dead_letters import MemoryDeadLetters
from mayfly.adapters.memory.event_log import MemoryEventLog
from mayfly.adapters.memory.event_sink import MemoryEventSink
from mayfly.adapters.memory.image_stream import MemoryImageStream
from mayfly.adapters.memory.key_store import MemoryKeyStore
from mayfly.adapters.memory.metadata_store import MemoryMetadataStore
from mayfly.adapters.memory.object_store import MemoryObjectStore
from mayfly.adapters.memory.retention_history import MemoryRetentionHistory
from mayfly.adapters.memory.token_store import MemoryTokenStore
from mayfly.adapters.memory.under_way import MemoryUnderWay
from mayfly.adapters.memory.work_queue import MemoryWorkQueue
from mayfly.adapters.owner.clock import OwnerClock
from mayfly.adapters.owner.dead_letters import OwnerDeadLetters
from mayfly.adapters.owner.keys import OwnerKeys
from mayfly.adapters.owner.told import Told as TimeTold
from mayfly.adapters.owner.under_way import OwnerUnderWay
from mayfly.adapters.webhook.event_sink import WebhookEventSink
from mayfly.intake.sessions import MOST_UNDER_WAY
from mayfly.model.claim import ClaimPrefix
from mayfly.model.errors import MayflyError, Postponed, Refused, Unavailable
from mayfly.model.identity import ImageId
from mayfly.model.image import ImageRecord, Source
from mayfly.model.instant import MINUTE, Minute, Ms, minute_of
from mayfly.model.lifecycle import State
from mayfly.model.retention import Retention
from mayfly.model.stream import Coordinates, Partition
from mayfly.ports.claim_source import ClaimSource
from mayfly.ports.clock import Clock, GuardedClock
from mayfly.ports.dead_letters import DeadLetters
from mayfly.ports.event_log import EventLog
from mayfly.ports.event_sink import EventSink
from mayfly.ports.image_stream import ImageStream
from mayfly.ports.key_store import KeyStore
from mayfly.ports.metadata_store import MetadataStore
from mayfly.ports.object_store import ObjectStore
from mayfly.ports.retention_history import RetentionHistory
from mayfly.ports.token_store import TokenStore
from mayfly.ports.under_way import UnderWay
from mayfly.ports.work_queue import WorkQueue
from support.owner import Owner
from support.receiver import KEY, Receiver
from support.topics import Message, Topics

START = Ms(29_833_334 * MINUTE)
SLOTS = 64
PATIENCE_SECONDS = 10.0

T = TypeVar("T")


@dataclass
class Subject(Generic[T]):
    """An adapter under test, and how it is closed and opened again."""

    opened: T
    open_again: Callable[[T], T]

    def reopen(self) -> T:
        self.opened = self.open_again(self.opened)
        return self.opened


@dataclass(frozen=True)
class HandOver:
    """The two ends of a hand-over: what one admits, the other delivers."""

    metadata: MetadataStore
    queue: WorkQueue


@dataclass(frozen=True)
class Outbox:
    """The store that tells, and the log that is read."""

    metadata: MetadataStore
    log: EventLog


@dataclass(frozen=True)
class Graves:
    """The store whose steps kill, and the letters that they leave."""

    metadata: MetadataStore
    letters: DeadLetters


@dataclass(frozen=True)
class Entered:
    """What is under way, how much at `most`, and `ids()`, which are so by whoever removes orphans."""

    under_way: UnderWay
    most: int
    ids: Callable[[], frozenset[ImageId]]

    def eventually(self, wanted: set[ImageId]) -> bool:
        """Whether these, and no others, come to be under way."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self.ids() != wanted and time.monotonic() < deadline:
            time.sleep(0.005)
        return self.ids() == wanted


@dataclass(frozen=True)
class Told:
    """A sink, `taken()`, which gives the key of each delivery, and `answer(how)`: `take`, `later`, `in a minute` or
    `never`. `says_when`: whether a receiver of its kind can say when to come back; else a minute is just later."""

    sink: EventSink
    taken: Callable[[], list[str]]
    answer: Callable[[str], None]
    says_when: bool = True


@dataclass(frozen=True)
class Claims:
    """A source that allows the folders `in`, and `in/theirs` as external; and what producers do beneath `root`: `put`
    a new file (None: something that is no plain file), `write` into one. `away` takes `in` away, and brings it back."""

    source: ClaimSource
    root: Path
    put: Callable[[str, bytes | None], None]
    write: Callable[[str, bytes], None]
    stands: Callable[[str], bool]
    away: Callable[[bool], None]

    def uri(self, path: str) -> str:
        return (self.root / path).as_uri()


@dataclass(frozen=True)
class Turned:
    """A clock, and `turn(offset_ms, believed)`, which sets its wall time that far from where it began."""

    clock: GuardedClock
    turn: Callable[[int, bool], None]


@dataclass(frozen=True)
class Streamed:
    """A topic of two partitions that nobody else uses, and its broker. `join()` opens one more member of the group
    (of another one, by its name; of other topics), `produce(number, value, headers, timestamp)` adds a record,
    `committed(number)` gives the group's offset, `buried()` the keys of the dead letters in their order, and
    `read_elsewhere()` lets another group commit an offset."""

    topic: str
    group: str
    join: Callable[..., ImageStream]
    produce: Callable[..., Coordinates]
    committed: Callable[[int], int | None]
    buried: Callable[[], list[str]]
    read_elsewhere: Callable[[], None]


def the_same(opened: T) -> T:
    return opened


@contextmanager
def memory_objects(folder: Path, clock: Clock) -> Iterator[Subject[ObjectStore]]:
    yield Subject(MemoryObjectStore(clock), the_same)


@contextmanager
def memory_hand_over(folder: Path, clock: Clock) -> Iterator[Subject[HandOver]]:
    metadata = MemoryMetadataStore(clock)
    yield Subject(HandOver(metadata, MemoryWorkQueue(metadata)), the_same)


@contextmanager
def memory_keys(folder: Path, slots: int) -> Iterator[Subject[KeyStore]]:
    yield Subject(MemoryKeyStore(slots), the_same)


@contextmanager
def memory_tokens(folder: Path) -> Iterator[Subject[TokenStore]]:
    yield Subject(MemoryTokenStore(), the_same)


@contextmanager
def memory_clock(folder: Path) -> Iterator[Subject[Turned]]:
    clock = ManualClock(START)

    def turn(offset_ms: int, believed: bool) -> None:
        clock.set(Ms(START + offset_ms))
        if not believed:
            clock.hold()

    def restart(turned: Turned) -> Turned:
        clock.restart()
        return turned

    yield Subject(Turned(clock, turn), restart)


@contextmanager
def local_objects(folder: Path, clock: Clock) -> Iterator[Subject[ObjectStore]]:
    def open_again(_: ObjectStore | None) -> ObjectStore:
        return LocalObjectStore(folder / "objects", clock)

    yield Subject(open_again(None), open_again)


@contextmanager
def local_hand_over(folder: Path, clock: Clock) -> Iterator[Subject[HandOver]]:
    databases: list[Database] = []

    def open_again(_: HandOver | None) -> HandOver:
        for database in databases:
            database.close()
        databases[:] = [Database(folder / "mayfly.db")]
        return HandOver(SqliteMetadataStore(databases[0], clock), SqliteWorkQueue(databases[0], clock))

    yield Subject(open_again(None), open_again)
    databases[0].close()


@contextmanager
def memory_events(folder: Path, clock: Clock) -> Iterator[Subject[Outbox]]:
    metadata = MemoryMetadataStore(clock)
    yield Subject(Outbox(metadata, MemoryEventLog(metadata)), the_same)


@contextmanager
def local_events(folder: Path, clock: Clock) -> Iterator[Subject[Outbox]]:
    databases: list[Database] = []

    def open_again(_: Outbox | None) -> Outbox:
        for database in databases:
            database.close()
        databases[:] = [Database(folder / "mayfly.db")]
        return Outbox(SqliteMetadataStore(databases[0], clock), SqliteEventLog(databases[0]))

    yield Subject(open_again(None), open_again)
    databases[0].close()


@contextmanager
def memory_graves(folder: Path, clock: Clock) -> Iterator[Subject[Graves]]:
    metadata = MemoryMetadataStore(clock)
    yield Subject(Graves(metadata, MemoryDeadLetters(metadata)), the_same)


@contextmanager
def local_graves(folder: Path, clock: Clock) -> Iterator[Subject[Graves]]:
    databases: list[Database] = []

    def open_again(_: Graves | None) -> Graves:
        for database in databases:
            database.close()
        databases[:] = [Database(folder / "mayfly.db")]
        return Graves(SqliteMetadataStore(databases[0], clock), SqliteDeadLetters(databases[0], clock))

    yield Subject(open_again(None), open_again)
    databases[0].close()


@contextmanager
def owner_graves(folder: Path, clock: Clock) -> Iterator[Subject[Graves]]:
    """The letters of a database, asked for over the owner's socket."""
    stack = ExitStack()

    def open_again(_: Graves | None) -> Graves:
        stack.close()
        database = Database(folder / "mayfly.db")
        stack.callback(database.close)
        owner = Owner(folder, clock, SqliteMetadataStore(database, clock), SqliteDeadLetters(database, clock))
        stack.enter_context(owner.up())
        return Graves(owner.metadata, OwnerDeadLetters(stack.enter_context(owner.line())))

    yield Subject(open_again(None), open_again)
    stack.close()


@contextmanager
def memory_under_way(folder: Path, clock: Clock) -> Iterator[Entered]:
    under_way = MemoryUnderWay(8)
    yield Entered(under_way, 8, under_way.ids)


@contextmanager
def owner_under_way(folder: Path, clock: Clock) -> Iterator[Entered]:
    owner = Owner(folder, clock)
    owner.keys.provide(minute_of(START), Minute(minute_of(START) + 100))
    with owner.up() as sessions, owner.line() as line:
        under_way = OwnerUnderWay(line, OwnerKeys(line, OwnerClock(line)))
        yield Entered(under_way, MOST_UNDER_WAY, sessions.ids)


@contextmanager
def memory_histories(folder: Path) -> Iterator[Subject[RetentionHistory]]:
    yield Subject(MemoryRetentionHistory(), the_same)


@contextmanager
def local_histories(folder: Path) -> Iterator[Subject[RetentionHistory]]:
    databases: list[Database] = []

    def open_again(_: RetentionHistory | None) -> RetentionHistory:
        for database in databases:
            database.close()
        databases[:] = [Database(folder / "mayfly.db")]
        return SqliteRetentionHistory(databases[0])

    yield Subject(open_again(None), open_again)
    databases[0].close()


@contextmanager
def memory_sink(request: pytest.FixtureRequest) -> Iterator[Told]:
    sink = MemoryEventSink()
    faults = {"later": Unavailable("no"), "in a minute": Postponed("no", 60.0), "never": Refused("no")}

    def answer(how: str) -> None:
        sink.fault = faults.get(how)

    yield Told(sink, lambda: [event.key for event in sink.taken], answer)


@contextmanager
def webhook_sink(request: pytest.FixtureRequest) -> Iterator[Told]:
    receiver = Receiver().up()
    sink = WebhookEventSink(receiver.url, KEY, "urn:mayfly:test", allow_private=True)

    def answer(how: str) -> None:
        receiver.status = {"take": 204, "later": 503, "in a minute": 429, "never": 422}[how]
        receiver.headers = {"Retry-After": "60"} if how == "in a minute" else {}

    yield Told(sink, lambda: [taken.key for taken in receiver.taken], answer)
    sink.close()
    receiver.down()


@contextmanager
def memory_claims(folder: Path, prefixes: Sequence[ClaimPrefix]) -> Iterator[Claims]:
    source = MemoryClaimSource(prefixes)

    def away(gone: bool) -> None:
        source.fault = Unavailable("not now") if gone else None

    yield Claims(
        source,
        folder,
        lambda path, body: source.put(str(folder / path), body),
        lambda path, body: source.write(str(folder / path), body),
        lambda path: str(folder / path) in source.files,
        away,
    )


@contextmanager
def local_claims(folder: Path, prefixes: Sequence[ClaimPrefix]) -> Iterator[Claims]:
    (folder / "in").mkdir()

    def put(path: str, body: bytes | None) -> None:
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if body is None:
            os.mkfifo(target)
            return
        part = folder / "part"
        part.write_bytes(body)
        part.replace(target)

    def write(path: str, body: bytes) -> None:
        (folder / path).write_bytes(body)

    def away(gone: bool) -> None:
        here, elsewhere = folder / "in", folder / "elsewhere"
        (here if gone else elsewhere).rename(elsewhere if gone else here)

    yield Claims(
        LocalClaimSource(prefixes),
        folder,
        put,
        write,
        lambda path: (folder / path).exists(),
        away,
    )


@contextmanager
def memory_stream(request: pytest.FixtureRequest) -> Iterator[Streamed]:
    broker = MemoryBroker({"photos": 2})

    def join(group: str = "mayfly", topics: tuple[str, ...] = ("photos",)) -> ImageStream:
        return MemoryImageStream(broker, topics, group)

    def produce(
        number: int, value: bytes | None, headers: Sequence[tuple[str, bytes | None]] = (), timestamp: Ms = START
    ) -> Coordinates:
        told = [(name, content or b"") for name, content in headers]
        return broker.produce(Partition("photos", number), value, told, timestamp)

    yield Streamed(
        "photos",
        "mayfly",
        join,
        produce,
        lambda number: broker.committed("mayfly", Partition("photos", number)),
        lambda: [letter.key for letter in broker.letters],
        lambda: broker.rewind("analytics", Partition("photos", 0), 1),
    )


@contextmanager
def kafka_stream(request: pytest.FixtureRequest) -> Iterator[Streamed]:
    """On the real broker, with a topic, a group and dead letters of its own."""
    broker: Topics = request.getfixturevalue("broker")
    topic = broker.create_topic(partitions=2)
    own, letters = f"group-{topic}", broker.create_topic()

    def join(group: str = own, topics: tuple[str, ...] = (topic,)) -> ImageStream:
        return KafkaImageStream(
            Connection(broker.bootstrap), Subscription(topics, group, letters), lambda *_, **__: None
        )

    def produce(
        number: int, value: bytes | None, headers: Sequence[tuple[str, bytes | None]] = (), timestamp: Ms = START
    ) -> Coordinates:
        message = Message(value, headers=tuple(headers), partition=number, timestamp=timestamp)
        (written,) = broker.produce(topic, message)
        return Coordinates(Partition(topic, number), written.offset)

    yield Streamed(
        topic,
        own,
        join,
        produce,
        lambda number: broker.committed(own, topic).get(number),
        lambda: [(message.key or b"").decode() for message in broker.records(letters)],
        lambda: broker.commit(f"other-{topic}", topic, {0: 1}),
    )
    broker.delete_topic(topic)


@contextmanager
def kafka_sink(request: pytest.FixtureRequest) -> Iterator[Told]:
    """On the real broker. That its topic is not there is later, a limit below any event's size is never."""
    broker: Topics = request.getfixturevalue("broker")
    topic = broker.create_topic(partitions=3)
    sink = KafkaEventSink(Connection(broker.bootstrap), topic, "urn:mayfly:test", seconds=2.0)
    there = True

    def answer(how: str) -> None:
        nonlocal there
        gone = how in ("later", "in a minute")
        if gone and there:
            broker.delete_topic(topic)
        elif not gone and not there:
            broker.create_topic(topic, partitions=3)
        there = not gone
        if there:
            broker.alter(topic, {"max.message.bytes": "100" if how == "never" else "1000000"})

    def taken() -> list[str]:
        return [json.loads(message.value or b"")["id"] for message in broker.records(topic)]

    yield Told(sink, taken, answer, says_when=False)
    sink.close()
    if there:
        broker.delete_topic(topic)


@contextmanager
def local_keys(folder: Path, slots: int) -> Iterator[Subject[KeyStore]]:
    stores: list[SlotKeyStore] = []

    def open_again(_: KeyStore | None) -> KeyStore:
        for store in stores:
            store.close()
        stores[:] = [SlotKeyStore(folder / "keys", slots)]
        return stores[0]

    yield Subject(open_again(None), open_again)
    stores[0].close()


@contextmanager
def local_tokens(folder: Path) -> Iterator[Subject[TokenStore]]:
    databases: list[Database] = []

    def open_again(_: TokenStore | None) -> TokenStore:
        for database in databases:
            database.close()
        databases[:] = [Database(folder / "mayfly.db")]
        return SqliteTokenStore(databases[0])

    yield Subject(open_again(None), open_again)
    databases[0].close()


@contextmanager
def local_clock(folder: Path) -> Iterator[Subject[Turned]]:
    """The system's clock, turned by its file. The kernel is said to be unsynchronised, so that the file decides."""
    moved_by = folder / "clock"
    clocks: list[SystemClock] = []

    def turn(offset_ms: int, believed: bool) -> None:
        part = moved_by.with_suffix(".part")
        part.write_text(f"{offset_ms / 1000:+.3f}" + ("" if believed else " untrusted"), encoding="utf-8")
        part.replace(moved_by)

    def open_again(_: Turned | None) -> Turned:
        for clock in clocks:
            clock.close()
        clocks[:] = [SystemClock(folder / "clock.tick", moved_by, synchronised=lambda: False)]
        return Turned(clocks[0], turn)

    yield Subject(open_again(None), open_again)
    clocks[0].close()


@contextmanager
def owner_clock(folder: Path) -> Iterator[Subject[Turned]]:
    """The owner's clock, asked for its time over the socket before each look; turned and confirmed at the owner."""
    own = ManualClock(START)
    stack = ExitStack()

    def turn(offset_ms: int, believed: bool) -> None:
        own.set(Ms(START + offset_ms))
        if not believed:
            own.hold()

    def open_again(_: Turned | None) -> Turned:
        stack.close()
        own.restart()
        owner = Owner(folder, own)
        stack.enter_context(owner.up())
        line = stack.enter_context(owner.line())
        # Time goes by hand here: nothing passes between what the owner says and the look.
        line.told = TimeTold(lambda: 0.0)
        return Turned(AskedClock(own, OwnerClock(line), OwnerDeadLetters(line)), turn)

    yield Subject(open_again(None), open_again)
    stack.close()


class AskedClock:
    """`now` and `held` as a consumer has them, an instant after the owner was heard."""

    def __init__(self, own: ManualClock, told: OwnerClock, anything: OwnerDeadLetters) -> None:
        self.confirm, self.tick = own.confirm, own.tick
        self._told = told
        self._anything = anything

    def now(self) -> Ms:
        self._anything.letter("none")
        return self._told.now()

    def held(self) -> bool:
        self._anything.letter("none")
        return self._told.held()


OBJECT_STORES: dict[str, Callable[[Path, Clock], AbstractContextManager[Subject[ObjectStore]]]] = {
    "memory": memory_objects,
    "local": local_objects,
}
HAND_OVERS: dict[str, Callable[[Path, Clock], AbstractContextManager[Subject[HandOver]]]] = {
    "memory": memory_hand_over,
    "local": local_hand_over,
}
EVENT_LOGS: dict[str, Callable[[Path, Clock], AbstractContextManager[Subject[Outbox]]]] = {
    "memory": memory_events,
    "local": local_events,
}
DEAD_LETTERS: dict[str, Callable[[Path, Clock], AbstractContextManager[Subject[Graves]]]] = {
    "memory": memory_graves,
    "local": local_graves,
    "owner": owner_graves,
}
UNDER_WAYS: dict[str, Callable[[Path, Clock], AbstractContextManager[Entered]]] = {
    "memory": memory_under_way,
    "owner": owner_under_way,
}
RETENTION_HISTORIES: dict[str, Callable[[Path], AbstractContextManager[Subject[RetentionHistory]]]] = {
    "memory": memory_histories,
    "local": local_histories,
}
EVENT_SINKS: dict[str, Callable[[pytest.FixtureRequest], AbstractContextManager[Told]]] = {
    "kafka": kafka_sink,
    "memory": memory_sink,
    "webhook": webhook_sink,
}
IMAGE_STREAMS: dict[str, Callable[[pytest.FixtureRequest], AbstractContextManager[Streamed]]] = {
    "memory": memory_stream,
    "kafka": kafka_stream,
}
KEY_STORES: dict[str, Callable[[Path, int], AbstractContextManager[Subject[KeyStore]]]] = {
    "memory": memory_keys,
    "local": local_keys,
}
CLAIM_SOURCES: dict[str, Callable[[Path, Sequence[ClaimPrefix]], AbstractContextManager[Claims]]] = {
    "memory": memory_claims,
    "local": local_claims,
}
TOKEN_STORES: dict[str, Callable[[Path], AbstractContextManager[Subject[TokenStore]]]] = {
    "memory": memory_tokens,
    "local": local_tokens,
}
CLOCKS: dict[str, Callable[[Path], AbstractContextManager[Subject[Turned]]]] = {
    "memory": memory_clock,
    "local": local_clock,
    "owner": owner_clock,
}


class WatchedClock(ManualClock):
    """A manual clock that tells when somebody looked at it: proof that a waiting thread has begun to wait."""

    def __init__(self, start: Ms) -> None:
        super().__init__(start)
        self.looked_at = threading.Event()

    def now(self) -> Ms:
        self.looked_at.set()
        return super().now()


@pytest.fixture
def clock() -> WatchedClock:
    return WatchedClock(START)


@pytest.fixture(params=OBJECT_STORES)
def stored(request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock) -> Iterator[Subject[ObjectStore]]:
    with OBJECT_STORES[request.param](tmp_path, clock) as subject:
        yield subject


@pytest.fixture
def objects(stored: Subject[ObjectStore]) -> ObjectStore:
    return stored.opened


@pytest.fixture(params=HAND_OVERS)
def open_hand_over(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Callable[[Clock], AbstractContextManager[Subject[HandOver]]]:
    """Opens one more, in a folder of its own, at each call."""
    numbers = itertools.count()

    def open_one(clock: Clock) -> AbstractContextManager[Subject[HandOver]]:
        folder = tmp_path / str(next(numbers))
        folder.mkdir()
        return HAND_OVERS[request.param](folder, clock)

    return open_one


@pytest.fixture
def hand_over(
    open_hand_over: Callable[[Clock], AbstractContextManager[Subject[HandOver]]], clock: ManualClock
) -> Iterator[Subject[HandOver]]:
    with open_hand_over(clock) as subject:
        yield subject


@pytest.fixture
def metadata(hand_over: Subject[HandOver]) -> MetadataStore:
    return hand_over.opened.metadata


@pytest.fixture
def queue(hand_over: Subject[HandOver]) -> WorkQueue:
    return hand_over.opened.queue


@pytest.fixture(params=EVENT_LOGS)
def outbox(request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock) -> Iterator[Subject[Outbox]]:
    with EVENT_LOGS[request.param](tmp_path, clock) as subject:
        yield subject


@pytest.fixture(params=DEAD_LETTERS)
def graves(request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock) -> Iterator[Subject[Graves]]:
    with DEAD_LETTERS[request.param](tmp_path, clock) as subject:
        yield subject


@pytest.fixture(params=["memory", "local"])
def own_graves(request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock) -> Iterator[Graves]:
    """Whose letters are counted, too: the owner's own."""
    with DEAD_LETTERS[request.param](tmp_path, clock) as subject:
        yield subject.opened


@pytest.fixture(params=UNDER_WAYS)
def entered(request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock) -> Iterator[Entered]:
    with UNDER_WAYS[request.param](tmp_path, clock) as opened:
        yield opened


@pytest.fixture(params=RETENTION_HISTORIES)
def kept_history(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Subject[RetentionHistory]]:
    with RETENTION_HISTORIES[request.param](tmp_path) as subject:
        yield subject


@pytest.fixture(params=EVENT_SINKS)
def told(request: pytest.FixtureRequest) -> Iterator[Told]:
    with EVENT_SINKS[request.param](request) as opened:
        yield opened


@pytest.fixture(params=IMAGE_STREAMS)
def streamed(request: pytest.FixtureRequest) -> Iterator[Streamed]:
    """What `join` opened is closed at the end."""
    with IMAGE_STREAMS[request.param](request) as opened, ExitStack() as closing:

        def join(**how: Any) -> ImageStream:
            stream = opened.join(**how)
            closing.callback(stream.close)
            return stream

        yield replace(opened, join=join)


@pytest.fixture
def slots() -> int:
    """How many keys of minutes the key stores under test have room for."""
    return SLOTS


@pytest.fixture(params=KEY_STORES)
def open_keys(
    request: pytest.FixtureRequest, tmp_path: Path, slots: int
) -> Callable[[], AbstractContextManager[Subject[KeyStore]]]:
    """Opens one more, in a folder of its own, at each call."""
    numbers = itertools.count()
    return lambda: KEY_STORES[request.param](tmp_path / f"keys-{next(numbers)}", slots)


@pytest.fixture
def kept_keys(open_keys: Callable[[], AbstractContextManager[Subject[KeyStore]]]) -> Iterator[Subject[KeyStore]]:
    with open_keys() as subject:
        yield subject


@pytest.fixture
def keys(kept_keys: Subject[KeyStore]) -> KeyStore:
    return kept_keys.opened


@pytest.fixture(params=TOKEN_STORES)
def kept_tokens(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Subject[TokenStore]]:
    with TOKEN_STORES[request.param](tmp_path) as subject:
        yield subject


@pytest.fixture
def tokens(kept_tokens: Subject[TokenStore]) -> TokenStore:
    return kept_tokens.opened


@pytest.fixture(params=CLAIM_SOURCES)
def claims(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Claims]:
    allowed = (ClaimPrefix(tmp_path / "in"), ClaimPrefix(tmp_path / "in" / "theirs", external=True))
    with CLAIM_SOURCES[request.param](tmp_path, allowed) as opened:
        yield opened


@pytest.fixture
def no_claims(claims: Claims) -> ClaimSource:
    """The same kind of source, to which nothing is allowed."""
    return type(claims.source)([])  # type: ignore[call-arg]


@pytest.fixture(params=CLOCKS)
def turned(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Subject[Turned]]:
    with CLOCKS[request.param](tmp_path) as subject:
        yield subject


@pytest.fixture
def an_image(clock: ManualClock) -> Callable[..., ImageRecord]:
    """Makes records: born now, unless `birth` says otherwise, to live `minutes`."""

    def make(*, minutes: int = 60, birth: Ms | None = None, **fields: Any) -> ImageRecord:
        image_id = ImageId.new(clock.now() if birth is None else birth, Retention(minutes))
        values: dict[str, Any] = {"state": State.RECEIVED, "source": Source.HTTP, "media_type": "image/png", "size": 3}
        return ImageRecord(image_id, **(values | {"sealed": b"sealed"} | fields))

    return make


Race = Callable[[int, Callable[[int], object]], list[object]]


@pytest.fixture
def race(in_background: Callable[[Callable[[], object]], Future[object]]) -> Race:
    """Runs `act(0)`, `act(1)`, ... in as many threads at once; gives what each returned or raised."""

    def run(count: int, act: Callable[[int], object]) -> list[object]:
        barrier = threading.Barrier(count)

        def one(number: int) -> object:
            barrier.wait(PATIENCE_SECONDS)
            try:
                return act(number)
            except MayflyError as refusal:
                return refusal

        futures = [in_background(partial(one, number)) for number in range(count)]
        return [future.result(PATIENCE_SECONDS) for future in futures]

    return run


@pytest.fixture
def in_background() -> Callable[[Callable[[], object]], Future[object]]:
    """Runs a call in a thread of its own."""

    def begin(call: Callable[[], object]) -> Future[object]:
        future: Future[object] = Future()

        def run() -> None:
            try:
                future.set_result(call())
            except BaseException as fault:
                future.set_exception(fault)

        threading.Thread(target=run, daemon=True).start()
        return future

    return begin


@pytest.fixture
def eventually() -> Callable[[Callable[[], bool]], bool]:
    """Looks until it is so, or patience ends; says whether it was."""

    def look(is_so: Callable[[], bool]) -> bool:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not is_so():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.005)
        return True

    return look
