"""The owner's own application on a real socket, over whatever stores; and a line to it."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import uvicorn

from mayfly.adapters.local.owner_socket import listening, short_path
from mayfly.adapters.memory.clock import ManualClock
from mayfly.adapters.memory.dead_letters import MemoryDeadLetters
from mayfly.adapters.memory.key_store import MemoryKeyStore
from mayfly.adapters.memory.metadata_store import MemoryMetadataStore
from mayfly.adapters.memory.object_store import MemoryObjectStore
from mayfly.adapters.owner.line import OwnerLine
from mayfly.entrypoints.http import server as edge
from mayfly.entrypoints.http.owner.app import create_owner_app
from mayfly.entrypoints.http.owner.protocol import OwnerProtocol
from mayfly.intake.sessions import Sessions
from mayfly.model.instant import MINUTE, Ms
from mayfly.model.retention import LONGEST_MINUTES, History, Retention
from mayfly.model.terms import Terms
from mayfly.ports.clock import Clock
from mayfly.ports.dead_letters import DeadLetters
from mayfly.ports.key_store import KeyStore
from mayfly.ports.metadata_store import MetadataStore
from mayfly.ports.object_store import ObjectStore

PATIENCE_SECONDS = 20.0
START = Ms(29_833_334 * MINUTE)
TERMS = Terms("kafka", History(((Ms(0), Retention(LONGEST_MINUTES)),)), 10_000_000, 100_000_000, {"site": "fact"})


class _Server(uvicorn.Server):
    """In a thread, on a listener that is there already, as `entrypoints.http.server` serves it."""

    def __init__(self, app: Any, listener: socket.socket) -> None:
        super().__init__(edge._config(app, OwnerProtocol))
        self._listener = listener
        self.listening = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=[])

        def protocol() -> Any:
            make: Any = self.config.http_protocol_class
            return make(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)

        self.servers.append(await asyncio.get_running_loop().create_unix_server(protocol, sock=self._listener))
        self.listening.set()


@contextmanager
def served(folder: Path, sessions: Sessions) -> Iterator[None]:
    """The owner answers on the folder's socket while this lasts."""
    stages: Any = SimpleNamespace(sessions=sessions, clock=sessions.clock)
    with listening(folder) as listener:
        server = _Server(create_owner_app(stages), listener)
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        assert server.listening.wait(PATIENCE_SECONDS)
        try:
            yield
        finally:
            server.should_exit = server.force_exit = True
            thread.join(PATIENCE_SECONDS)
            assert not thread.is_alive()


@dataclass
class Owner:
    """Stores, in memory unless told otherwise, and the sessions over them. `terms` may be changed between two runs."""

    folder: Path
    clock: Clock = field(default_factory=lambda: ManualClock(START))
    metadata: MetadataStore = None  # type: ignore[assignment]
    letters: DeadLetters = None  # type: ignore[assignment]
    keys: KeyStore = field(default_factory=MemoryKeyStore)
    objects: ObjectStore = None  # type: ignore[assignment]
    terms: Terms = TERMS

    def __post_init__(self) -> None:
        if self.metadata is None:
            memory = MemoryMetadataStore(self.clock)
            self.metadata, self.letters = memory, self.letters or MemoryDeadLetters(memory)
        self.objects = self.objects or MemoryObjectStore(self.clock)

    @contextmanager
    def up(self) -> Iterator[Sessions]:
        """It runs, and knows of no session from before."""
        with self.running(lambda sessions: sessions) as sessions:
            yield sessions

    @contextmanager
    def running(self, between: Callable[[Sessions], Any]) -> Iterator[Sessions]:
        """`between` may put something before the sessions that are served."""
        sessions = Sessions(self.metadata, self.objects, self.keys, self.letters, self.clock, lambda: self.terms)
        with served(self.folder, between(sessions)):
            yield sessions

    @contextmanager
    def line(self, patience_seconds: float = PATIENCE_SECONDS) -> Iterator[OwnerLine]:
        line = OwnerLine(partial(short_path, self.folder))
        try:
            line.open(patience_seconds)
            yield line
        finally:
            line.close()
