"""The system's clock, with time itself in the test's hands. (`moved_by` a file is held to the port's contract, too.)"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mayfly.adapters.local import clock as clock_module
from mayfly.adapters.local.clock import LARGEST_DRIFT, LARGEST_GAP, SystemClock, kernel_says_synchronised, read_move
from mayfly.model.errors import Misconfigured
from mayfly.model.instant import MINUTE

HOUR = 60 * MINUTE
DAY = 24 * HOUR
BEGAN = 1_790_000_040_000


@dataclass
class Machine:
    """Wall time and time since boot, in ms. Both go on together unless one is told to jump."""

    wall: int = BEGAN
    boot: int = 5 * HOUR

    def goes_on(self, ms: int) -> None:
        self.wall += ms
        self.boot += ms

    def reboots(self, off: int) -> None:
        self.wall += off
        self.boot = MINUTE


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine()
    monkeypatch.setattr(clock_module, "time", SimpleNamespace(time_ns=lambda: machine.wall * 1_000_000))
    monkeypatch.setattr(clock_module, "_boot_ms", lambda: machine.boot)
    return machine


Start = Callable[..., SystemClock]


@pytest.fixture
def start(machine: Machine, tmp_path: Path) -> Iterator[Start]:
    """Starts a clock on the machine, over the same file each time."""
    started: list[SystemClock] = []

    def start_one(*, synchronised: bool = True, moved_by: Path | None = None) -> SystemClock:
        started.append(SystemClock(tmp_path / "clock.tick", moved_by, lambda: synchronised))
        return started[-1]

    yield start_one
    for clock in started:
        clock.close()


def test_time_is_wall_time(machine: Machine, start: Start) -> None:
    clock = start()
    assert clock.now() == BEGAN
    machine.goes_on(3 * DAY)
    assert clock.now() == BEGAN + 3 * DAY
    assert not clock.held()


@pytest.mark.parametrize(("jump", "held"), [(LARGEST_DRIFT, False), (LARGEST_DRIFT + 1, True), (8 * DAY, True)])
def test_a_jump_of_more_than_five_minutes_is_held(machine: Machine, start: Start, jump: int, held: bool) -> None:
    clock = start()
    machine.wall += jump
    assert clock.held() is held
    assert clock.now() == BEGAN + jump, "what is due by it is served no longer, held or not"


def test_small_jumps_add_up_to_one_that_is_held(machine: Machine, start: Start) -> None:
    clock = start()
    for _ in range(6):
        assert not clock.held()
        machine.goes_on(HOUR)
        machine.wall += MINUTE
    assert clock.held()


def test_a_machine_that_was_suspended_did_not_jump(machine: Machine, start: Start) -> None:
    clock = start()
    machine.goes_on(8 * DAY)
    assert not clock.held()
    assert clock.now() == BEGAN + 8 * DAY


def test_boot_time_counts_suspended_hours() -> None:
    """Nobody can suspend a machine in a test; the clock asked is the one that goes on meanwhile."""
    asked = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    before = time.clock_gettime_ns(asked) // 1_000_000
    told = clock_module._boot_ms()
    assert before <= told <= time.clock_gettime_ns(asked) // 1_000_000


def test_a_hold_lasts_while_time_goes_on(machine: Machine, start: Start) -> None:
    clock = start()
    machine.wall += DAY
    for _ in range(3):
        assert clock.held()
        machine.goes_on(HOUR)
    assert clock.held()


def test_a_jump_that_is_set_right_is_no_longer_held_and_never_happened(machine: Machine, start: Start) -> None:
    clock = start()
    machine.wall += DAY
    assert clock.held()
    machine.wall -= DAY
    assert not clock.held()
    assert clock.now() == BEGAN


def test_a_confirmed_jump_is_believed_and_the_next_one_is_held_again(machine: Machine, start: Start) -> None:
    clock = start()
    machine.wall += DAY
    clock.confirm()
    assert not clock.held()
    machine.goes_on(HOUR)
    assert clock.now() == BEGAN + DAY + HOUR
    machine.wall += LARGEST_DRIFT + 1
    assert clock.held()


def test_a_clock_that_was_set_back_stands_still_and_jumping_forth_again_is_held(machine: Machine, start: Start) -> None:
    clock = start()
    assert clock.now() == BEGAN
    machine.wall -= HOUR
    assert clock.now() == BEGAN
    assert not clock.held()
    machine.wall += 2 * HOUR
    assert clock.held(), "it runs ahead of what was believed before it was set back"


def test_a_clock_that_was_set_back_and_then_right_is_never_held(machine: Machine, start: Start) -> None:
    clock = start()
    for away in (MINUTE, 3 * HOUR):
        machine.wall -= HOUR
        machine.goes_on(away)
        assert not clock.held()
        machine.wall += HOUR
        assert not clock.held()
        assert clock.now() == machine.wall
    machine.wall += 30 * DAY
    assert clock.held()
    machine.wall -= 30 * DAY
    assert not clock.held()
    assert clock.now() == machine.wall


def test_a_clock_that_was_set_back_for_good_goes_on_by_its_new_line(machine: Machine, start: Start) -> None:
    clock = start()
    clock.now()
    machine.wall -= HOUR
    machine.goes_on(HOUR)
    assert clock.now() == BEGAN
    machine.goes_on(DAY)
    assert clock.now() == BEGAN + DAY
    assert not clock.held()
    clock.tick()
    machine.wall += HOUR + LARGEST_DRIFT + 1
    assert clock.held(), "past what boot time vouches for"
    machine.wall -= HOUR + LARGEST_DRIFT + 1
    again = start()
    machine.wall += LARGEST_DRIFT + 1
    assert again.held(), "a start believes the lower line"


def test_confirming_without_a_hold_changes_nothing(machine: Machine, start: Start) -> None:
    clock = start()
    machine.wall += LARGEST_DRIFT
    clock.confirm()
    machine.wall += 1
    assert clock.held(), "what was drifted before counts on"
    machine.wall -= HOUR
    clock.confirm()
    machine.wall += HOUR - 1
    assert not clock.held(), "nor does it make a clock that was set back the one that is believed"


def test_the_tick_survives_and_time_never_goes_below_it(machine: Machine, start: Start) -> None:
    clock = start()
    machine.goes_on(DAY)
    clock.tick()
    machine.wall -= 3 * DAY
    again = start()
    assert again.now() == BEGAN + DAY
    assert not again.held()
    machine.goes_on(2 * DAY)
    assert again.now() == BEGAN + DAY
    machine.goes_on(DAY + HOUR)
    assert again.now() == BEGAN + DAY + HOUR


def test_a_held_clock_persists_nothing(machine: Machine, start: Start) -> None:
    clock = start()
    clock.tick()
    machine.wall += 3 * DAY
    clock.tick()
    machine.wall -= 3 * DAY
    assert start().now() == BEGAN


@pytest.mark.parametrize(
    ("off", "synchronised", "held"),
    [
        (LARGEST_GAP, False, False),
        (LARGEST_GAP + 1, False, True),
        (8 * DAY, False, True),
        (8 * DAY, True, False),
    ],
)
def test_a_start_far_past_the_tick_is_held_on_an_unsynchronised_clock_alone(
    machine: Machine, start: Start, off: int, synchronised: bool, held: bool
) -> None:
    start().tick()
    machine.reboots(off)
    again = start(synchronised=synchronised)
    assert again.held() is held
    assert again.now() == BEGAN + off


def test_a_start_that_is_held_ends_its_hold_when_confirmed_or_set_right(machine: Machine, start: Start) -> None:
    start().tick()
    machine.reboots(8 * DAY)
    confirmed, waiting = start(synchronised=False), start(synchronised=False)
    confirmed.confirm()
    assert not confirmed.held()
    assert waiting.held()
    machine.wall -= 8 * DAY - HOUR
    machine.goes_on(HOUR)
    assert waiting.held(), "an hour has passed since; an hour more than that is still too far"
    machine.wall -= HOUR
    assert not waiting.held()


def test_a_held_start_stays_held_over_further_starts(machine: Machine, start: Start) -> None:
    start().tick()
    machine.reboots(8 * DAY)
    for _ in range(3):
        clock = start(synchronised=False)
        clock.tick()
        assert clock.held()
        machine.goes_on(MINUTE)


def test_the_first_start_has_no_tick_to_be_past_of(machine: Machine, start: Start) -> None:
    clock = start(synchronised=False)
    assert not clock.held()
    assert clock.now() == BEGAN


def test_a_start_that_was_cut_before_its_first_tick_is_not_held(machine: Machine, start: Start) -> None:
    """Making the file and the first tick are two steps; between them a power cut may come."""
    start()
    machine.reboots(2 * MINUTE)
    assert not start(synchronised=False).held()


def test_a_damaged_tick_is_named(start: Start, tmp_path: Path) -> None:
    (tmp_path / "clock.tick").write_bytes(bytes(16))
    with pytest.raises(Misconfigured, match=r"clock\.tick in the data folder is damaged"):
        start()


def test_a_tick_is_sixteen_bytes_overwritten_in_place(machine: Machine, start: Start, tmp_path: Path) -> None:
    clock = start()
    before = (tmp_path / "clock.tick").stat()
    for _ in range(3):
        machine.goes_on(MINUTE)
        clock.tick()
    after = (tmp_path / "clock.tick").stat()
    assert (after.st_ino, after.st_size, after.st_mode & 0o777) == (before.st_ino, 16, 0o600)


def test_a_file_moves_the_clock_and_its_word_is_enough(machine: Machine, start: Start, tmp_path: Path) -> None:
    moved_by = tmp_path / "clock"
    clock = start(moved_by=moved_by)
    moved_by.write_text("7d")
    assert (clock.now(), clock.held()) == (BEGAN + 7 * DAY, False)
    moved_by.write_text("14d untrusted")
    assert (clock.now(), clock.held()) == (BEGAN + 14 * DAY, True)
    moved_by.write_text("7d")
    assert (clock.now(), clock.held()) == (BEGAN + 7 * DAY, False)


@pytest.mark.parametrize("synchronised", [True, False])
def test_a_start_far_past_the_tick_by_an_untrusted_file_is_held(
    start: Start, tmp_path: Path, synchronised: bool
) -> None:
    start().tick()
    moved_by = tmp_path / "clock"
    moved_by.write_text("8d untrusted")
    assert start(moved_by=moved_by, synchronised=synchronised).held()
    moved_by.write_text("8d")
    assert not start(moved_by=moved_by, synchronised=synchronised).held()


@pytest.mark.parametrize(
    ("text", "seconds", "trusted"),
    [
        ("", 0, True),
        (" \n", 0, True),
        ("0", 0, True),
        ("+604800", 604_800, True),
        ("604800\n", 604_800, True),
        ("90.5", 90.5, True),
        ("-2h", -7_200, True),
        ("30s", 30, True),
        ("5m", 300, True),
        ("7d", 604_800, True),
        ("1.5w", 907_200, True),
        ("7d untrusted", 604_800, False),
        ("  +1h\tuntrusted \n", 3_600, False),
    ],
)
def test_the_forms_of_a_clock_file(tmp_path: Path, text: str, seconds: float, trusted: bool) -> None:
    (tmp_path / "clock").write_text(text)
    assert read_move(tmp_path / "clock") == (seconds, trusted)


def test_a_clock_file_that_is_missing_is_no_offset(tmp_path: Path) -> None:
    assert read_move(tmp_path / "clock") == (0, True)


@pytest.mark.parametrize(
    "text",
    [
        "tomorrow",
        "7 d",
        "7y",
        "7D",
        "++7",
        "1e6",
        "nan",
        "inf",
        "7d trusted",
        "7d untrusted now",
        "untrusted",
        "٧d",
        "9" * 13,
        "999999w",
        "-400000d",
    ],
)
def test_what_is_no_offset_is_named_with_its_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "clock").write_text(text, encoding="utf-8")
    with pytest.raises(Misconfigured, match=r"/clock: "):
        read_move(tmp_path / "clock")


def test_a_clock_file_of_other_bytes_is_named(tmp_path: Path) -> None:
    (tmp_path / "clock").write_bytes(b"\xff\xfe7d")
    with pytest.raises(Misconfigured, match=r"/clock: "):
        read_move(tmp_path / "clock")


@given(st.integers(-10_000_000_000_000, 10_000_000_000_000))
def test_milliseconds_are_read_as_they_were_written(tmp_path_factory: pytest.TempPathFactory, ms: int) -> None:
    path = tmp_path_factory.getbasetemp() / "clock"
    path.write_text(f"{ms / 1000:+.3f}")
    assert round(read_move(path)[0] * 1_000) == ms


def test_the_kernel_can_be_asked() -> None:
    assert kernel_says_synchronised() in (True, False)
