"""What `ports.key_store.Keys` promises, of a door that is a process of its own: the very tests of the store, with
these verbs asked over a real socket. Keys of minutes that have ended are not kept, and these all have."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from contracts import test_key_store as suite
from mayfly.adapters.memory.key_store import MemoryKeyStore
from mayfly.adapters.owner.keys import OwnerKeys
from mayfly.model.instant import CALENDAR_END, MINUTE, Ms
from mayfly.ports.key_store import KeyStore
from support.owner import Owner

if TYPE_CHECKING:
    from contracts.conftest import Subject


class Asked:
    """The store as its owner has it, but for what a door asks."""

    def __init__(self, store: KeyStore, keys: OwnerKeys) -> None:
        self.key, self.week_key, self.is_erased = keys.key, keys.week_key, keys.is_erased
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


class HurriedClock:
    """A minute later at each look, long after every minute: nothing that was answered is kept."""

    def __init__(self) -> None:
        self._minutes = itertools.count()

    def now(self) -> Ms:
        return Ms(CALENDAR_END + next(self._minutes) * MINUTE)

    def held(self) -> bool:
        return False


class _OverTheSocket:
    @pytest.fixture
    def open_keys(self, tmp_path: Path, slots: int) -> "Callable[[], AbstractContextManager[Subject[KeyStore]]]":
        from contracts.conftest import Subject, the_same

        @contextmanager
        def open_one() -> "Iterator[Subject[KeyStore]]":
            owner = Owner(tmp_path, keys=MemoryKeyStore(slots))
            with owner.up(), owner.line() as line:
                asked: Any = Asked(owner.keys, OwnerKeys(line, HurriedClock()))
                yield Subject(asked, the_same)

        return open_one


class TestMaking(_OverTheSocket, suite.TestMaking):
    pass


class TestDestroying(_OverTheSocket, suite.TestDestroying):
    pass


class TestErasures(_OverTheSocket, suite.TestErasures):
    pass


class TestWeeks(_OverTheSocket, suite.TestWeeks):
    pass
