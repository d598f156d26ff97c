"""Another chance for what died, and no more than was meant."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from mayfly.intake import redrive as module
from mayfly.intake.redrive import MOST_REDRIVES, Redrive, Redriven, Result
from mayfly.intake.stream import Buried
from mayfly.model.address import Address
from mayfly.model.errors import Busy, ClockHeld, StorageFull
from mayfly.model.identity import ImageId
from mayfly.model.instant import MINUTE
from mayfly.model.lifecycle import State
from mayfly.ports.dead_letters import LettersWanted
from mayfly.ports.metadata_store import Failed, RejectedVerdict
from support.house import Crash, Failing
from support.landing import GIF, OTHER, POISON, Landing

ALL = LettersWanted()
MOST_PIXELS = 1_000_000
LARGE = b"GIF89a\xff\xff\xff\xff" + GIF[10:]
WRONG = {"content-type": "image/png"}
NONE: Mapping[str, str] = {}
EVENT = {"ce_source": "/cams/7", "ce_id": "1"}


@pytest.fixture
def landing() -> Landing:
    return Landing()


def redrive(
    landing: Landing, *, dry_run: bool = False, force: bool = False, max_pixels: int = MOST_PIXELS, **instead: object
) -> list[Redriven]:
    house = landing.house
    ports = {"letters": landing.letters, "metadata": house.metadata, "queue": house.queue}
    ports |= {"vault": house.vault, "clock": house.clock}
    stage = Redrive(**{**ports, **instead}, max_pixels=max_pixels, journal=house.told)  # type: ignore[arg-type]
    return stage.run(ALL, dry_run=dry_run, force=force)


def results(done: list[Redriven]) -> list[tuple[Result, str | None]]:
    return [(each.result, each.reason) for each in done]


def bury(landing: Landing, value: bytes | None, offset: int = 7, headers: Mapping[str, str] = NONE) -> ImageId:
    record = landing.record(value, offset=offset, headers=headers, age=MINUTE)
    assert isinstance(landing.take(record), Buried)
    return landing.id_of(record)


def die(landing: Landing, image_id: ImageId, verdict: Failed | RejectedVerdict) -> None:
    landing.house.metadata.settle(landing.house.metadata.claim(image_id, MINUTE), verdict)


def test_what_today_s_settings_take_is_an_image_with_its_birth_and_its_death(landing: Landing) -> None:
    image_id = bury(landing, LARGE)
    before = landing.image(image_id)
    landing.house.clock.move(MINUTE)
    assert results(redrive(landing, max_pixels=1 << 32)) == [(Result.REDRIVEN, "too-many-pixels")]
    assert landing.image(image_id) == replace(before, state=State.RECEIVED, reason=None)
    assert landing.original(image_id) == LARGE
    assert set(landing.house.metadata.tables.jobs) == {image_id}
    assert landing.letters.letters(ALL) == []


def test_what_they_still_refuse_says_why_and_stays_as_it_is(landing: Landing) -> None:
    image_id = bury(landing, POISON)
    before = landing.everything()
    assert results(redrive(landing)) == [(Result.STILL_REFUSED, "unknown-type")]
    assert landing.everything() == before
    assert landing.image(image_id).state is State.REJECTED


def test_bytes_that_were_declared_as_something_else_are_taken_for_what_they_are(landing: Landing) -> None:
    wrong = bury(landing, GIF, 1, headers=WRONG)
    unheard = bury(landing, GIF, 2, headers={"content-type": "text/html"})
    assert [each.result for each in redrive(landing)] == [Result.REDRIVEN] * 2
    assert {landing.image(each).media_type for each in (wrong, unheard)} == {"image/gif"}


def test_a_type_that_nobody_knew_is_set_right_once_it_is_known(landing: Landing) -> None:
    """As when a newer Mayfly takes what the older one did not."""
    image_id = bury(landing, POISON)
    landing.house.put(Address.original(image_id), GIF)
    assert landing.image(image_id).media_type == "application/octet-stream"
    redrive(landing)
    assert landing.image(image_id).media_type == "image/gif"


def test_headers_at_fault_cannot_be_mended_here(landing: Landing) -> None:
    bury(landing, GIF, headers={"ce_labelunheard": "of"})
    assert results(redrive(landing, force=True)) == [(Result.STILL_REFUSED, "invalid-request")]


def test_a_repeated_event_with_other_bytes_becomes_an_image_of_its_own(landing: Landing) -> None:
    landing.take(landing.record(headers=EVENT))
    other = bury(landing, OTHER, 8, EVENT)
    assert results(redrive(landing)) == [(Result.REDRIVEN, "idempotency-reused")]
    assert landing.image(other).state is State.RECEIVED
    assert landing.house.queue.depth() == 2


@pytest.mark.parametrize("verdict", [Failed("worker-died"), RejectedVerdict("corrupt")])
def test_what_died_in_processing_is_processed_again_as_it_is(
    landing: Landing, verdict: Failed | RejectedVerdict
) -> None:
    record = landing.record()
    landing.take(record)
    image_id = landing.id_of(record)
    die(landing, image_id, verdict)
    assert results(redrive(landing)) == [(Result.REDRIVEN, verdict.reason)]
    image = landing.image(image_id)
    assert (image.state, image.attempts, image.media_type) == (State.RECEIVED, 0, "image/gif")


def test_an_image_that_came_over_http_and_failed_is_redriven_too(landing: Landing) -> None:
    image_id = landing.house.admit(GIF)
    die(landing, image_id, Failed("worker-died"))
    (done,) = redrive(landing)
    assert (done.letter.key, done.result) == (str(image_id), Result.REDRIVEN)
    assert landing.image(image_id).state is State.RECEIVED


def test_redriving_twice_makes_one_image(landing: Landing) -> None:
    image_id = bury(landing, GIF, headers=WRONG)
    assert len(redrive(landing)) == 1
    assert redrive(landing) == []
    assert set(landing.house.metadata.tables.images) == {image_id}
    assert landing.house.queue.depth() == 1


def test_a_dry_run_says_the_same_and_changes_nothing(landing: Landing) -> None:
    bury(landing, GIF, 1, headers=WRONG)
    bury(landing, POISON, 2)
    landing.take(landing.record(None, offset=3))
    before, told = landing.everything(), list(landing.house.told.entries)
    dry = redrive(landing, dry_run=True)
    assert (landing.everything(), landing.house.told.entries) == (before, told)
    assert results(redrive(landing)) == results(dry)
    assert [each.result for each in dry] == [Result.REDRIVEN, Result.STILL_REFUSED, Result.NOTHING_KEPT]


def test_of_coordinates_alone_nothing_can_be_made(landing: Landing) -> None:
    landing.take(landing.record(None))
    assert results(redrive(landing, force=True)) == [(Result.NOTHING_KEPT, "empty-body")]


def test_bytes_that_are_not_there_any_more_are_nothing_kept(landing: Landing) -> None:
    image_id = bury(landing, POISON)
    landing.house.objects.delete(Address.original(image_id))
    assert results(redrive(landing)) == [(Result.NOTHING_KEPT, "unknown-type")]


def test_what_dies_each_time_is_left_alone_unless_somebody_insists(landing: Landing) -> None:
    record = landing.record()
    landing.take(record)
    for _ in range(MOST_REDRIVES):
        die(landing, landing.id_of(record), RejectedVerdict("corrupt"))
        assert results(redrive(landing)) == [(Result.REDRIVEN, "corrupt")]
    die(landing, landing.id_of(record), RejectedVerdict("corrupt"))
    before = landing.everything()
    assert results(redrive(landing)) == [(Result.TOO_OFTEN, "corrupt")]
    assert results(redrive(landing, dry_run=True)) == [(Result.TOO_OFTEN, "corrupt")]
    assert landing.everything() == before
    assert results(redrive(landing, force=True)) == [(Result.REDRIVEN, "corrupt")]


def test_what_is_gone_is_gone(landing: Landing) -> None:
    erased, due = bury(landing, GIF, 1, headers={"ce_labelx": "y"}), bury(landing, OTHER, 2, headers={"ce_labelx": "y"})
    letters = landing.letters.letters(ALL)
    landing.house.keys.remember_erased(erased)

    class Listed:
        def letters(self, wanted: LettersWanted) -> object:
            """As they were a moment ago."""
            landing.house.clock.set(due.expires_at)
            return letters

    assert {each.result for each in redrive(landing)} == {Result.GONE, Result.STILL_REFUSED}
    assert [each.result for each in redrive(landing, letters=Listed())] == [Result.GONE] * 2


def test_what_somebody_else_reopened_meanwhile_is_under_way(landing: Landing) -> None:
    image_id = bury(landing, GIF, headers=WRONG)
    letters = landing.letters.letters(ALL)
    redrive(landing)

    class Listed:
        def letters(self, wanted: LettersWanted) -> object:
            return letters

    assert [each.result for each in redrive(landing, letters=Listed())] == [Result.UNDER_WAY]
    assert landing.image(image_id).state is State.RECEIVED


def test_nothing_is_redriven_while_the_clock_is_held(landing: Landing) -> None:
    bury(landing, GIF, headers=WRONG)
    landing.house.clock.hold()
    with pytest.raises(ClockHeld):
        redrive(landing)


@pytest.mark.parametrize("fault", [StorageFull("full"), Crash()], ids=repr)
@pytest.mark.parametrize("after", [False, True])
def test_what_a_fault_cuts_off_is_redriven_once_all_the_same(
    landing: Landing, fault: BaseException, after: bool
) -> None:
    for offset in range(3):
        bury(landing, GIF, offset, headers=WRONG)
    failing = Failing(landing.house.metadata, 2, fault, frozenset({"reopen"}), after=after)
    with pytest.raises(type(fault)):
        redrive(landing, metadata=failing)
    redrive(landing)
    assert landing.house.queue.depth() == 3
    assert {row.record.state for row in landing.house.metadata.tables.images.values()} == {State.RECEIVED}


def test_nothing_is_added_to_a_long_queue(landing: Landing, monkeypatch: pytest.MonkeyPatch) -> None:
    image_id = bury(landing, LARGE)
    monkeypatch.setattr(module, "MOST_WAITING", 1)
    landing.house.admit()
    with pytest.raises(Busy):
        redrive(landing, max_pixels=1 << 32)
    assert landing.image(image_id).state is State.REJECTED
    assert redrive(landing, max_pixels=1 << 32, dry_run=True)[0].result is Result.REDRIVEN
