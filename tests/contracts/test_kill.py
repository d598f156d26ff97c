"""Local adapters in a process that is killed while it writes: what was acknowledged stands, what was destroyed never
comes back. Then the states that only a power cut leaves, made by hand."""

import random
import signal
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mayfly.adapters.local.key_store import SlotKeyStore
from mayfly.adapters.local.slots import HEADER_BYTES, SLOT_BYTES
from mayfly.model.address import Address
from mayfly.model.errors import KeyDestroyed, KeyNotMade, NotFound, ObjectMissing
from mayfly.model.identity import ImageId
from mayfly.model.instant import Minute
from mayfly.model.lifecycle import State
from support import scribe
from support.scribe import KEYS_AT_ONCE, SLOTS, Adapters, body_of, dying_in

ROUNDS = 5
FEWEST_LINES, MOST_LINES = 40, 800
MINUTE = scribe.FIRST_MINUTE


@dataclass
class Told:
    """What the process acknowledged, over all its lives."""

    keys: dict[Minute, str] = field(default_factory=dict)
    doomed_keys: set[Minute] = field(default_factory=set)
    destroyed: set[Minute] = field(default_factory=set)
    erased: set[ImageId] = field(default_factory=set)
    objects: set[ImageId] = field(default_factory=set)
    awaited: set[ImageId] = field(default_factory=set)
    records: set[ImageId] = field(default_factory=set)
    doomed_images: set[ImageId] = field(default_factory=set)
    gone: set[ImageId] = field(default_factory=set)

    def take(self, line: str) -> None:
        sign, what, name, *more = line.split()
        if what in ("key", "destroyed"):
            self._take_key(sign + what, Minute(int(name)), *more)
            return
        places = {"+object": self.objects, "+record": self.records, "-image": self.doomed_images}
        places |= {"+awaited": self.awaited}
        places |= {"+gone": self.gone, "+erased": self.erased}
        places[sign + what].add(ImageId.parse(name))

    def _take_key(self, what: str, minute: Minute, key: str = "") -> None:
        if what == "+key":
            assert minute not in self.keys, "a minute's key was made twice"
            self.keys[minute] = key
        else:
            (self.doomed_keys if what == "-key" else self.destroyed).add(minute)


def live_until_killed(folder: Path, told: Told, lines: int) -> None:
    """One life of the process, ended by SIGKILL after that many lines."""
    command = [sys.executable, str(Path(scribe.__file__)), str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for number, line in enumerate(process.stdout):
            # A line without its end was cut off by the kill: nobody could have acted on it.
            if line.endswith("\n"):
                told.take(line)
            if number == lines:
                process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL


def assert_keys_stand(adapters: Adapters, told: Told, folder: Path) -> None:
    store = adapters.keys
    body = (folder / "keys" / "minutes.slots").read_bytes()
    for minute, key in told.keys.items():
        if minute in told.destroyed:
            with pytest.raises(KeyDestroyed):
                store.key(minute)
            assert bytes.fromhex(key) not in body
        elif minute not in told.doomed_keys:
            assert store.key(minute).hex() == key
    assert told.destroyed.isdisjoint(store.live())
    for image_id in told.erased:
        if image_id.expiry_minute in store.live():
            assert store.is_erased(image_id)
        else:
            assert image_id.expiry_minute in told.doomed_keys
            assert not store.is_erased(image_id)
            assert image_id.raw not in (folder / "keys" / "erased.ids").read_bytes()


def assert_images_stand(adapters: Adapters, told: Told) -> None:
    for image_id in told.objects - told.doomed_images:
        assert stored(adapters, image_id) == body_of(image_id)
    for image_id in told.records - told.doomed_images:
        assert adapters.metadata.get(image_id).size == 16_000
    for image_id in told.awaited - told.records - told.doomed_images:
        # Cut off before its hand-over was acknowledged: it happened whole, or not at all.
        record = adapters.metadata.get(image_id)
        assert (record.state, record.size) in ((State.AWAITED, 0), (State.RECEIVED, 16_000))
    for image_id in told.gone:
        with pytest.raises(NotFound):
            adapters.metadata.get(image_id)
        with pytest.raises(ObjectMissing):
            adapters.objects.open(Address.original(image_id))
    for minute in adapters.objects.minutes():
        for found in adapters.objects.listing(minute):
            # Nothing half written stands under a name.
            assert found.unfinished or stored(adapters, found.address.image_id) == body_of(found.address.image_id)


def stored(adapters: Adapters, image_id: ImageId) -> bytes:
    reader = adapters.objects.open(Address.original(image_id))
    try:
        return reader.read(0, reader.size)
    finally:
        reader.close()


def test_what_was_acknowledged_survives_kills_and_what_was_destroyed_does_not(tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")
    chance, told = random.Random(seed), Told()
    for _ in range(ROUNDS):
        live_until_killed(tmp_path, told, chance.randrange(FEWEST_LINES, MOST_LINES))
        adapters = Adapters(tmp_path)
        try:
            assert_keys_stand(adapters, told, tmp_path)
            assert_images_stand(adapters, told)
        finally:
            adapters.close()
    assert told.records
    assert told.destroyed
    print(f"{len(told.records)} records, {len(told.gone)} gone, {len(told.keys)} keys, {len(told.destroyed)} destroyed")


LAST = Minute(MINUTE + KEYS_AT_ONCE - 1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A key folder with eight keys."""
    with closing(SlotKeyStore(tmp_path, SLOTS)) as store:
        store.provide(MINUTE, LAST)
    return tmp_path


def slot_of(minute: int) -> slice:
    start = HEADER_BYTES + minute % SLOTS * SLOT_BYTES
    return slice(start, start + SLOT_BYTES)


def change(file: Path, where: slice, data: bytes) -> None:
    content = bytearray(file.read_bytes())
    content[where] = data
    file.write_bytes(content)


def test_a_torn_slot_is_a_key_that_is_gone_and_its_room_is_used_again(folder: Path) -> None:
    file = folder / "minutes.slots"
    whole = file.read_bytes()[slot_of(MINUTE)]
    change(file, slot_of(MINUTE), whole[:20] + bytes(SLOT_BYTES - 20))
    with closing(SlotKeyStore(folder, SLOTS)) as store:
        with pytest.raises(KeyDestroyed):
            store.key(MINUTE)
        assert len(store.live()) == KEYS_AT_ONCE - 1
        store.provide(MINUTE, Minute(MINUTE + SLOTS))
        assert Minute(MINUTE + SLOTS) in store.live()


def test_what_a_torn_or_damaged_slot_holds_is_overwritten_at_the_next_opening(folder: Path) -> None:
    file = folder / "minutes.slots"
    whole = [file.read_bytes()[slot_of(minute)] for minute in range(MINUTE, MINUTE + 3)]
    elsewhere = slot_of(MINUTE + SLOTS // 2)
    change(file, slot_of(MINUTE), whole[0][:20] + bytes(SLOT_BYTES - 20))
    change(file, slot_of(MINUTE + 1), bytes(8) + whole[1][8:])
    change(file, slot_of(MINUTE + 2), bytes(SLOT_BYTES))
    change(file, elsewhere, whole[2])
    with closing(SlotKeyStore(folder, SLOTS)) as store:
        assert len(store.live()) == KEYS_AT_ONCE - 3
    after = file.read_bytes()
    for where in (*map(slot_of, range(MINUTE, MINUTE + 3)), elsewhere):
        assert after[where] == bytes(SLOT_BYTES)


def test_keys_that_a_power_cut_kept_without_their_mark_are_made_anew_without_holes(folder: Path) -> None:
    file, later = folder / "minutes.slots", Minute(LAST + KEYS_AT_ONCE)
    header = file.read_bytes()[:HEADER_BYTES]
    with closing(SlotKeyStore(folder, SLOTS)) as store:
        store.provide(MINUTE, later)
        never_told = store.key(later)
    change(file, slice(0, HEADER_BYTES), header)
    change(file, slot_of(LAST + 3), bytes(SLOT_BYTES))
    with closing(SlotKeyStore(folder, SLOTS)) as store:
        assert store.high_water() == LAST
        with pytest.raises(KeyNotMade):
            store.key(later)
        assert never_told not in file.read_bytes()
        assert store.provide(MINUTE, later) == KEYS_AT_ONCE
        assert store.live() == [Minute(minute) for minute in range(MINUTE, later + 1)]


def test_a_key_file_whose_making_was_cut_off_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "minutes.slots").write_bytes(bytes(HEADER_BYTES + SLOTS * SLOT_BYTES))
    with closing(SlotKeyStore(tmp_path, SLOTS)) as store:
        assert (store.high_water(), store.live()) == (None, [])
        store.provide(MINUTE, LAST)
    with closing(SlotKeyStore(tmp_path, SLOTS)) as store:
        assert len(store.live()) == KEYS_AT_ONCE


def test_the_memory_of_an_erasure_whose_key_went_first_goes_at_the_next_opening(folder: Path) -> None:
    file, erased, kept = folder / "erased.ids", dying_in(MINUTE), dying_in(LAST)
    with closing(SlotKeyStore(folder, SLOTS)) as store:
        store.remember_erased(erased)
        store.remember_erased(kept)
        before = file.read_bytes()
        store.destroy([MINUTE])
    file.write_bytes(before)
    with closing(SlotKeyStore(folder, SLOTS)) as store:
        assert not store.is_erased(erased)
        assert store.is_erased(kept)
        assert erased.raw not in file.read_bytes()
