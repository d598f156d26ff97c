"""The second door: a record is one image, however often it comes; its life is never longer for it."""

import contextlib
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mayfly.entrypoints.http.errors import TABLE
from mayfly.intake import reasons
from mayfly.intake.stream import PATIENCE, Buried, Early, Kept, Passed
from mayfly.model.address import Address
from mayfly.model.errors import (
    ClockHeld,
    Erased,
    Gone,
    InFlight,
    InvalidRequest,
    KeyNotMade,
    LeaseLost,
    NotFound,
    StorageFull,
    Unavailable,
)
from mayfly.model.identity import LAST_BIRTH, ImageId
from mayfly.model.image import Personal, Source
from mayfly.model.instant import MINUTE, SECOND, WEEK, Ms, Week, minute_end, week_of
from mayfly.model.lifecycle import State
from mayfly.model.retention import History, Retention
from mayfly.model.stream import Letter
from support.house import Crash, Failing
from support.landing import GIF, OTHER, POISON, Landing
from support.landing import WEEK as SEVEN_DAYS

HOUR = 60 * MINUTE
DAY = 24 * HOUR
EVENT = {"ce_source": "/cams/7", "ce_id": "1", "content-type": "image/gif"}


@pytest.fixture
def landing() -> Landing:
    return Landing()


def buried(landing: Landing, outcome: object, reason: str, *, kept: bool) -> Letter:
    """The outcome is a letter of that reason, which stands, unpublished; whether its bytes were kept."""
    assert isinstance(outcome, Buried)
    letter = outcome.letter
    assert (letter.reason, letter.published, letter.key) == (reason, False, "photos/2/7")
    assert landing.letters.letter(letter.key) == letter
    assert (letter.image_id is not None) == kept
    if letter.image_id is None:
        assert landing.house.standing() == set()
        assert landing.house.metadata.tables.images == {}
    else:
        record = landing.image(letter.image_id)
        assert (record.state, record.reason, record.origin) == (State.REJECTED, reason, letter.at)
        assert len(landing.house.standing()) == 1
    assert landing.house.queue.depth() == 0
    return letter


class TestAnImage:
    def test_plain_bytes_become_an_image_born_with_their_record(self, landing: Landing) -> None:
        record = landing.record(age=HOUR)
        assert landing.take(record) == Kept(landing.id_of(record), created=True)
        image = landing.image(landing.id_of(record))
        assert (image.state, image.source, image.media_type) == (State.RECEIVED, Source.KAFKA, "image/gif")
        assert (image.size, image.origin, image.labels) == (len(GIF), record.at, {})
        assert landing.house.vault.open_personal(image.id, image.sealed) == Personal(
            hashlib.sha256(GIF).hexdigest(), None, "kafka", {}
        )
        assert landing.original(image.id) == GIF
        assert landing.house.queue.depth() == 1
        assert landing.house.told.events == ["received"]

    def test_a_cloudevent_brings_its_source_name_labels_and_retention(self, landing: Landing) -> None:
        headers = {
            **EVENT,
            "ce_retain": "PT1H",
            "ce_labelsite": "north",
            "ce_labelcustomer": "c-1",
            "content-disposition": 'attachment; filename="me.gif"',
        }
        record = landing.record(headers=headers)
        assert landing.take(record) == Kept(landing.id_of(record, Retention(60)), created=True)
        image = landing.image(landing.id_of(record, Retention(60)))
        personal = landing.house.vault.open_personal(image.id, image.sealed)
        assert image.labels == {"site": "north"}
        assert (personal.file_name, personal.uploader, personal.labels) == ("me.gif", "/cams/7", {"customer": "c-1"})

    def test_it_comes_again_and_meets_itself(self, landing: Landing) -> None:
        record = landing.record(headers=EVENT)
        landing.take(record)
        before = landing.everything()
        for _ in range(3):
            landing.house.clock.move(HOUR)
            assert landing.take(record) == Kept(landing.id_of(record), created=False)
        assert landing.everything() == before

    def test_every_place_of_a_stream_is_an_image_of_its_own(self, landing: Landing) -> None:
        ids = {landing.take(landing.record(offset=offset)) for offset in range(5)}
        assert len(ids) == 5
        assert landing.house.queue.depth() == 5

    def test_both_doors_name_what_they_both_refuse_alike(self) -> None:
        for fault, slug in reasons.SLUGS.items():
            if fault in TABLE:
                assert TABLE[fault].slug == slug


class TestBirths:
    @pytest.mark.parametrize("timestamp", [None, -1, LAST_BIRTH + 1, 1 << 63])
    def test_without_a_time_that_an_id_can_tell_coordinates_are_all_that_is_kept(
        self, landing: Landing, timestamp: int | None
    ) -> None:
        letter = buried(landing, landing.take(landing.record(timestamp=timestamp)), "no-timestamp", kept=False)
        assert letter.minute == SEVEN_DAYS.expiry_minute(landing.now)
        assert landing.house.told.lines == [("dead_lettered", {"source": "kafka", "reason": "no-timestamp"})]

    def test_the_first_instant_of_all_is_long_due(self, landing: Landing) -> None:
        assert landing.take(landing.record(timestamp=0)) == Passed("due")

    def test_the_last_one_is_from_the_future(self, landing: Landing) -> None:
        buried(landing, landing.take(landing.record(timestamp=LAST_BIRTH)), "from-the-future", kept=False)

    def test_a_minute_ahead_is_waited_for_and_more_is_not(self, landing: Landing) -> None:
        ahead = landing.record(age=-PATIENCE)
        assert ahead.timestamp is not None
        assert landing.take(ahead) == Early(ahead.timestamp)
        assert landing.take(landing.record(age=-1)) == Early(Ms(landing.now + 1))
        buried(landing, landing.take(landing.record(age=-PATIENCE - 1)), "from-the-future", kept=False)
        landing.house.clock.set(ahead.timestamp)
        assert landing.take(replace(ahead, at=replace(ahead.at, offset=8))) != Early(ahead.timestamp)

    def test_six_days_and_twenty_three_hours_old_lives_one_hour(self, landing: Landing) -> None:
        record = landing.record(age=7 * DAY - HOUR)
        assert landing.take(record) == Kept(landing.id_of(record), created=True)
        assert landing.id_of(record).expires_at == (landing.now + HOUR) // SECOND * SECOND
        landing.house.clock.set(landing.id_of(record).expires_at)
        assert landing.take(record) == Passed("due")

    def test_eight_days_old_is_passed_as_due(self, landing: Landing) -> None:
        before = landing.everything()
        assert landing.take(landing.record(age=8 * DAY)) == Passed("due")
        assert landing.take(landing.record(age=7 * DAY)) == Passed("due")
        assert landing.everything() == before

    def test_the_retention_in_force_at_its_birth_counts_whatever_is_set_later(self, landing: Landing) -> None:
        change = Ms(landing.now - HOUR)
        history = History(((Ms(0), Retention(24 * 60)), (change, Retention(2 * 60))))
        landing.terms = replace(landing.terms, history=history)
        old, new = landing.record(age=HOUR + 1, offset=1), landing.record(age=HOUR, offset=2)
        landing.take(old)
        landing.take(new)
        assert landing.image(landing.id_of(old, Retention(24 * 60))).id.retention == Retention(24 * 60)
        assert landing.image(landing.id_of(new, Retention(2 * 60))).id.retention == Retention(2 * 60)
        before = landing.everything()
        landing.terms = replace(landing.terms, history=History((*history.changes, (landing.now, SEVEN_DAYS))))
        assert landing.take(old) == Kept(landing.id_of(old, Retention(24 * 60)), created=False)
        assert landing.take(new) == Kept(landing.id_of(new, Retention(2 * 60)), created=False)
        landing.house.clock.move(2 * HOUR)
        assert landing.take(new) == Passed("due")
        assert landing.everything() == before


class TestGone:
    def test_after_the_purge_it_creates_nothing(self, landing: Landing) -> None:
        record = landing.record(headers=EVENT)
        landing.take(record)
        landing.house.clock.set(minute_end(landing.id_of(record).expiry_minute))
        landing.sweep()
        before = landing.everything()
        assert landing.take(record) == Passed("due")
        assert landing.everything() == before
        assert landing.house.standing() == set()

    def test_after_an_early_erasure_it_creates_nothing(self, landing: Landing) -> None:
        record = landing.record(headers=EVENT)
        landing.take(record)
        landing.erase(landing.id_of(record))
        before = landing.everything()
        assert landing.take(record) == Passed("erased")
        assert landing.everything() == before
        assert landing.house.standing() == set()

    @pytest.mark.parametrize("meanwhile", ["reserve", "admit"])
    def test_an_erasure_while_it_is_brought_in_again_wins(self, landing: Landing, meanwhile: str) -> None:
        """Two consumers have the record; the image of the first is erased while the second writes, or hands over."""
        record = landing.record(headers=EVENT)

        class Overtaken:
            def __getattr__(self, name: str) -> object:
                if name == meanwhile:
                    landing.take(record)
                    landing.erase(landing.id_of(record))
                return getattr(landing.house.metadata, name)

        with contextlib.suppress(LeaseLost):
            assert landing.broken(metadata=Overtaken()).take(record) == Passed("erased")
        assert landing.take(record) == Passed("erased")
        assert landing.house.standing() == set()
        assert landing.house.metadata.tables.images == {}

    def test_a_write_that_was_taken_away_as_nobodys_is_done_again(self, landing: Landing) -> None:
        """The owner lost sight of us, and looked for orphans."""
        record = landing.record(headers=EVENT)

        class LookedFor:
            def __getattr__(self, name: str) -> object:
                if name == "reserve":
                    (found,) = landing.house.objects.listing(landing.id_of(record).expiry_minute)
                    landing.house.objects.discard(found)
                return getattr(landing.house.metadata, name)

        with pytest.raises(Unavailable):
            landing.broken(metadata=LookedFor()).take(record)
        assert landing.take(record) == Kept(landing.id_of(record), created=True)

    def test_one_whose_key_is_gone_is_due(self, landing: Landing) -> None:
        record = landing.record()
        landing.house.keys.destroy([landing.id_of(record).expiry_minute])
        assert landing.take(record) == Passed("due")

    def test_what_a_held_clock_says_is_not_believed(self, landing: Landing) -> None:
        record = landing.record()
        landing.house.clock.move(30 * DAY)
        landing.house.clock.hold()
        for each in (record, landing.record(), landing.record(None), landing.record(timestamp=None)):
            with pytest.raises(ClockHeld):
                landing.take(each)
        assert landing.house.metadata.tables.letters == {}

    def test_a_clock_that_jumps_in_the_middle_passes_nothing(self, landing: Landing) -> None:
        record = landing.record()

        class Jumping:
            def __getattr__(self, name: str) -> object:
                if name == "get":
                    landing.house.clock.move(30 * DAY)
                    landing.house.clock.hold()
                return getattr(landing.house.metadata, name)

        with pytest.raises(ClockHeld):
            landing.broken(metadata=Jumping()).take(record)


class TestPoison:
    @pytest.mark.parametrize(
        ("value", "headers", "reason", "media_type"),
        [
            (POISON, {}, "unknown-type", "application/octet-stream"),
            (b"GI", {}, "unknown-type", "application/octet-stream"),
            (POISON, {"content-type": "image/gif"}, "unknown-type", "application/octet-stream"),
            (GIF, {"content-type": "text/html"}, "unknown-type", "image/gif"),
            (GIF, {"content-type": "image/png"}, "type-mismatch", "image/gif"),
            (b"GIF89a\xff\xff\xff\xff" + bytes(60), {}, "too-many-pixels", "image/gif"),
            (GIF, {"ce_labelunheard": "of"}, "invalid-request", "image/gif"),
            (GIF, {"ce_labelsite": ""}, "invalid-request", "image/gif"),
            (GIF, {"ce_labelsite": "x" * 257}, "invalid-request", "image/gif"),
            (GIF, {"ce_retain": "soon"}, "invalid-request", "image/gif"),
            (GIF, {"ce_id": "a\nb"}, "invalid-request", "image/gif"),
            (POISON, {"ce_labelunheard": "of"}, "unknown-type", "application/octet-stream"),
        ],
        ids=lambda case: str(case)[:30],
    )
    def test_what_fails_inspection_is_kept_sealed_with_its_letter(
        self, landing: Landing, value: bytes, headers: Mapping[str, str], reason: str, media_type: str
    ) -> None:
        record = landing.record(value, headers=headers, age=HOUR)
        letter = buried(landing, landing.take(record), reason, kept=True)
        assert letter.image_id == landing.id_of(record)
        assert letter.minute == letter.image_id.expiry_minute
        image = landing.image(letter.image_id)
        assert (image.media_type, image.size) == (media_type, len(value))
        assert landing.original(letter.image_id) == value
        assert landing.house.told.events == ["dead_lettered"]

    @pytest.mark.parametrize(
        ("value", "reason"), [(None, "empty-body"), (b"", "empty-body"), (bytes(10_001), "too-large")]
    )
    def test_of_what_is_too_much_or_nothing_coordinates_are_kept(
        self, landing: Landing, value: bytes | None, reason: str
    ) -> None:
        record = landing.record(value, age=HOUR)
        letter = buried(landing, landing.take(record), reason, kept=False)
        assert letter.minute == landing.id_of(record).expiry_minute
        landing.house.clock.move(SECOND)
        assert landing.take(record) == Buried(letter)
        assert landing.house.told.events == ["dead_lettered"]
        landing.house.clock.set(landing.id_of(record).expires_at)
        assert landing.take(record) == Passed("due")

    def test_the_largest_that_is_taken_is_taken(self, landing: Landing) -> None:
        assert isinstance(landing.take(landing.record(GIF.ljust(10_000, b"\0"))), Kept)

    def test_until_the_topic_has_its_letter_it_is_given_again_and_then_no_more(self, landing: Landing) -> None:
        record = landing.record(POISON)
        letter = buried(landing, landing.take(record), "unknown-type", kept=True)
        assert landing.take(record) == Buried(letter)
        landing.letters.published(letter.key, letter.died_at)
        assert landing.take(record) == Kept(landing.id_of(record), created=False)

    def test_a_letter_of_coordinates_that_the_topic_has_is_given_as_published(self, landing: Landing) -> None:
        record = landing.record(None)
        letter = buried(landing, landing.take(record), "empty-body", kept=False)
        landing.letters.published(letter.key, letter.died_at)
        assert landing.take(record) == Buried(replace(letter, published=True))

    def test_one_that_was_too_large_is_taken_once_more_is_taken(self, landing: Landing) -> None:
        record = landing.record(GIF.ljust(10_001, b"\0"))
        buried(landing, landing.take(record), "too-large", kept=False)
        landing.terms = replace(landing.terms, max_bytes=20_000)
        assert landing.take(record) == Kept(landing.id_of(record), created=True)
        assert landing.letters.letter("photos/2/7") is None

    def test_a_retention_may_be_shorter_and_not_longer(self, landing: Landing) -> None:
        landing.terms = replace(landing.terms, history=History(((Ms(0), Retention(60)),)))
        shorter = landing.record(headers={"ce_retain": "PT30M"}, offset=1)
        assert landing.take(shorter) == Kept(landing.id_of(shorter, Retention(30)), created=True)
        longer = landing.record(headers={"ce_retain": "PT61M"})
        letter = buried_beside(landing.take(longer))
        assert (letter.reason, letter.image_id) == ("invalid-request", landing.id_of(longer, Retention(60)))

    def test_a_shorter_life_counts_for_what_is_rejected_too(self, landing: Landing) -> None:
        record = landing.record(POISON, headers={"ce_retain": "PT5M"})
        letter = buried(landing, landing.take(record), "unknown-type", kept=True)
        assert letter.image_id == landing.id_of(record, Retention(5))


def buried_beside(outcome: object) -> Letter:
    assert isinstance(outcome, Buried)
    return outcome.letter


class TestCloudEvents:
    def again(self, landing: Landing, value: bytes = GIF, **of_record: int) -> object:
        """The same event at another place of the stream."""
        return landing.take(landing.record(value, headers=EVENT, offset=8, **of_record))

    def test_the_same_event_with_the_same_bytes_is_the_image_that_is_here(self, landing: Landing) -> None:
        first = landing.record(headers=EVENT)
        landing.take(first)
        before = landing.everything()
        assert self.again(landing) == Kept(landing.id_of(first), created=False)
        assert landing.everything() == before

    def test_with_other_bytes_the_first_wins_and_the_second_is_rejected(self, landing: Landing) -> None:
        first = landing.record(headers=EVENT)
        landing.take(first)
        letter = buried_beside(self.again(landing, OTHER))
        assert (letter.reason, letter.key) == ("idempotency-reused", "photos/2/8")
        assert letter.image_id is not None
        assert landing.image(letter.image_id).state is State.REJECTED
        assert landing.original(letter.image_id) == OTHER
        assert landing.original(landing.id_of(first)) == GIF
        assert self.again(landing, OTHER) == Buried(letter)

    def test_another_source_or_id_is_another_event(self, landing: Landing) -> None:
        landing.take(landing.record(headers=EVENT))
        for offset, other in enumerate(({"ce_id": "2"}, {"ce_source": "/cams/8"}), 8):
            assert landing.take(landing.record(OTHER, headers={**EVENT, **other}, offset=offset)) == Kept(
                landing.id_of(landing.record(offset=offset)), created=True
            )

    def test_while_the_first_is_under_way_the_second_waits(self, landing: Landing) -> None:
        fault = StorageFull("full")
        first = landing.record(headers=EVENT)
        failing = Failing(landing.house.metadata, 1, fault, frozenset({"admit"}))
        with pytest.raises(StorageFull):
            landing.broken(metadata=failing).take(first)
        with pytest.raises(InFlight):
            self.again(landing)
        assert landing.take(first) == Kept(landing.id_of(first), created=True)
        assert self.again(landing, age=0) == Kept(landing.id_of(first), created=False)

    def test_when_the_first_was_erased_the_second_creates_nothing(self, landing: Landing) -> None:
        first = landing.record(headers=EVENT)
        landing.take(first)
        landing.erase(landing.id_of(first))
        before = landing.everything()
        assert self.again(landing) == Passed("erased")
        assert self.again(landing, OTHER) == Passed("erased")
        assert landing.everything() == before

    def test_when_the_first_was_poison_the_second_is_an_image(self, landing: Landing) -> None:
        landing.take(landing.record(POISON, headers=EVENT))
        assert isinstance(self.again(landing), Kept)
        assert landing.house.queue.depth() == 1

    def test_when_the_first_is_dead_the_event_is_free(self, landing: Landing) -> None:
        first = landing.record(headers=EVENT, age=6 * DAY)
        landing.take(first)
        landing.house.clock.set(landing.id_of(first).expires_at)
        outcome = self.again(landing, OTHER)
        assert isinstance(outcome, Kept)
        assert outcome.created

    @pytest.mark.parametrize(("first", "second"), [(-1, 1), (1, -1)])
    def test_across_the_turn_of_a_week_it_is_the_same_event(self, landing: Landing, first: int, second: int) -> None:
        turn = Ms((week_of(landing.now) + 1) * WEEK)
        landing.house.clock.set(Ms(turn + HOUR))
        landing.house.keys.turn_weeks(week_of(landing.now))
        one = landing.record(headers=EVENT, timestamp=turn + first * MINUTE)
        landing.take(one)
        other = landing.record(headers=EVENT, timestamp=turn + second * MINUTE, offset=8)
        assert landing.take(other) == Kept(landing.id_of(one), created=False)

    def test_one_that_was_born_before_the_first_week_of_the_keys_is_an_event_too(self, landing: Landing) -> None:
        this_week = week_of(landing.now)
        landing.house.keys.turn_weeks(Week(this_week + 1))
        first = landing.record(headers=EVENT, timestamp=this_week * WEEK - 1)
        assert landing.take(first) == Kept(landing.id_of(first), created=True)
        assert self.again(landing) == Kept(landing.id_of(first), created=False)

    def test_an_uploader_who_calls_himself_as_we_call_events_meets_none_of_them(self, landing: Landing) -> None:
        landing.take(landing.record(headers=EVENT))
        mine = ImageId.new(landing.now, SEVEN_DAYS)
        intake = landing.house.intake(landing.under_way)
        assert intake.idempotency.reserve("cloudevents", "1", mine).holder is None


class TestClaimChecks:
    def test_a_claimed_file_becomes_the_image_and_goes(self, landing: Landing) -> None:
        landing.claims.put("/in/a.gif", GIF)
        record = landing.claim("/in/a.gif", headers=EVENT | {"content-type": "application/json"})
        assert landing.take(record) == Kept(landing.id_of(record), created=True)
        assert landing.original(landing.id_of(record)) == GIF
        assert landing.image(landing.id_of(record)).media_type == "image/gif"
        assert landing.claims.files == {}
        assert landing.take(record) == Kept(landing.id_of(record), created=False)

    def test_an_external_one_stays(self, landing: Landing) -> None:
        landing.claims.put("/theirs/a.gif", GIF)
        record = landing.claim("/theirs/a.gif")
        for created in (True, False):
            assert landing.take(record) == Kept(landing.id_of(record), created)
        assert landing.claims.files.keys() == {"/theirs/a.gif"}

    @pytest.mark.parametrize(
        ("path", "standing", "reason"),
        [
            ("/elsewhere/a.gif", GIF, "claim-refused"),
            ("/in/../theirs/a.gif", GIF, "claim-refused"),
            ("/in/thing", None, "claim-refused"),
            ("/in/other.gif", GIF, "claim-missing"),
            ("/in/a.gif", GIF + b"\0", "claim-mismatch"),
            ("/in/a.gif", OTHER[: len(GIF)], "claim-mismatch"),
        ],
    )
    def test_one_that_cannot_be_honoured_leaves_its_coordinates_and_touches_no_file(
        self, landing: Landing, path: str, standing: bytes | None, reason: str
    ) -> None:
        landing.claims.put(path if reason != "claim-missing" else "/in/a.gif", standing)
        before = dict(landing.claims.files)
        record = landing.claim(path)
        letter = buried(landing, landing.take(record), reason, kept=False)
        assert letter.minute == landing.id_of(record).expiry_minute
        assert landing.claims.files == before

    @pytest.mark.parametrize(("size", "reason"), [(10_001, "too-large"), (1 << 80, "too-large"), (0, "empty-body")])
    def test_what_it_says_of_its_size_is_judged_before_anything_is_opened(
        self, landing: Landing, size: int, reason: str
    ) -> None:
        value = b'{"uri": "file:///nowhere/a", "sha256": "%s", "bytes": %d}' % (b"ab" * 32, size)
        record = landing.record(value, headers={"content-type": "application/json"})
        buried(landing, landing.take(record), reason, kept=False)

    def test_json_that_is_no_claim_leaves_its_coordinates(self, landing: Landing) -> None:
        record = landing.record(b'{"name": "ada"}', headers={"content-type": "application/json"})
        buried(landing, landing.take(record), "claim-refused", kept=False)

    def test_poison_in_a_claimed_file_is_kept_sealed_and_the_file_goes(self, landing: Landing) -> None:
        landing.claims.put("/in/a.gif", POISON)
        buried(landing, landing.take(landing.claim("/in/a.gif", POISON)), "unknown-type", kept=True)
        assert landing.claims.files == {}

    def test_the_copy_that_a_repeated_event_points_at_goes_too(self, landing: Landing) -> None:
        headers = EVENT | {"content-type": "application/json"}
        for path, offset, created in (("/in/a.gif", 1, True), ("/in/b.gif", 2, False)):
            landing.claims.put(path, GIF)
            outcome = landing.take(landing.claim(path, headers=headers, offset=offset))
            assert isinstance(outcome, Kept)
            assert outcome.created is created
        assert landing.claims.files == {}

    def test_a_replay_removes_the_file_that_a_crash_left_and_no_other(self, landing: Landing) -> None:
        record = landing.claim("/in/a.gif")
        landing.claims.put("/in/a.gif", GIF)
        landing.take(record)
        landing.claims.put("/in/a.gif", OTHER[: len(GIF)])
        landing.take(record)
        assert landing.claims.files.keys() == {"/in/a.gif"}
        landing.claims.put("/in/a.gif", GIF)
        landing.take(record)
        assert landing.claims.files == {}

    @pytest.mark.parametrize("how", ["due", "erased"])
    def test_the_copy_of_what_is_gone_goes_when_its_record_comes_again(self, landing: Landing, how: str) -> None:
        record = landing.claim("/in/a.gif")
        landing.claims.put("/in/a.gif", GIF)
        landing.take(record)
        if how == "erased":
            landing.erase(landing.id_of(record))
        else:
            landing.house.clock.set(landing.id_of(record).expires_at)
        landing.claims.put("/in/a.gif", GIF)
        assert landing.take(record) in (Passed("due"), Passed("erased"))
        assert landing.claims.files == {}

    def test_folders_that_are_away_make_the_record_wait(self, landing: Landing) -> None:
        landing.claims.put("/in/a.gif", GIF)
        landing.claims.fault = Unavailable("away")
        record = landing.claim("/in/a.gif")
        with pytest.raises(Unavailable):
            landing.take(record)
        landing.claims.fault = None
        assert landing.take(record) == Kept(landing.id_of(record), created=True)


STEPS = {
    "objects": ["create"],
    "metadata": ["get", "reserve", "admit"],
    "keys": ["is_erased", "key", "week_key"],
    "letters": ["letter", "note"],
    "claims": ["open"],
}
PASSING = [StorageFull("full"), KeyNotMade("soon"), LeaseLost("gone"), OSError(5, "io"), Crash()]


class TestWhatPasses:
    @pytest.mark.parametrize("fault", PASSING, ids=lambda fault: type(fault).__name__)
    @pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
    @pytest.mark.parametrize(("port", "name"), [(port, name) for port, names in STEPS.items() for name in names])
    def test_it_becomes_no_letter_and_the_record_comes_again(
        self, landing: Landing, port: str, name: str, after: bool, fault: BaseException
    ) -> None:
        """Whatever the owner or the disk does not do now, before a step or after it: the replay makes it whole."""
        landing.claims.put("/in/a.gif", GIF)
        records = [
            landing.record(headers=EVENT, offset=1),
            landing.claim("/in/a.gif", offset=2),
            landing.record(POISON, offset=3),
            landing.record(None, offset=4),
        ]
        inner = {
            "objects": landing.house.objects,
            "metadata": landing.house.metadata,
            "keys": landing.house.keys,
            "letters": landing.letters,
            "claims": landing.claims,
        }[port]
        for record in records:
            failing = Failing(inner, 1, fault, frozenset({name}), after=after)
            try:
                landing.broken(**{port: failing}).take(record)
            except (Unavailable, LeaseLost, Crash):
                assert failing.calls
            letters = {letter.reason for letter in landing.letters.unpublished(10)}
            assert letters <= {"unknown-type", "empty-body"}
        outcomes = [landing.take(record) for record in records]
        ids = [landing.id_of(record) for record in records]
        assert [type(outcome) for outcome in outcomes] == [Kept, Kept, Buried, Buried]
        tables = landing.house.metadata.tables
        assert {each.record.id: each.record.state for each in tables.images.values()} == {
            ids[0]: State.RECEIVED,
            ids[1]: State.RECEIVED,
            ids[2]: State.REJECTED,
        }
        assert set(tables.jobs) == set(ids[:2])
        assert [landing.original(each) for each in ids[:3]] == [GIF, GIF, POISON]
        assert landing.claims.files == {}
        assert all(row.kept for row in tables.reservations.values())

    @pytest.mark.parametrize(
        ("fault", "outcome"),
        [
            (Erased("erased"), Passed("erased")),
            (InvalidRequest("no"), "invalid-request"),
        ],
        ids=lambda each: type(each).__name__,
    )
    def test_after_a_refusal_that_is_certain_nothing_stands(
        self, landing: Landing, fault: Exception, outcome: object
    ) -> None:
        failing = Failing(landing.house.metadata, 1, fault, frozenset({"admit"}))
        taken = landing.broken(metadata=failing).take(landing.record(headers=EVENT))
        assert taken == outcome or (isinstance(taken, Buried) and taken.letter.reason == outcome)
        assert landing.house.standing() == set()
        assert landing.house.metadata.tables.reservations == {}

    @pytest.mark.parametrize("fault", [Unavailable("away"), LeaseLost("session"), Crash()], ids=repr)
    def test_after_an_answer_that_did_not_come_the_object_stays(self, landing: Landing, fault: BaseException) -> None:
        """The record may have been admitted all the same: the image would have lost its bytes."""
        record = landing.record()
        failing = Failing(landing.house.metadata, 1, fault, frozenset({"admit"}), after=True)
        with pytest.raises(type(fault)):
            landing.broken(metadata=failing).take(record)
        assert landing.original(landing.id_of(record)) == GIF

    def test_of_two_consumers_at_once_one_admits_and_the_bytes_stay(self, landing: Landing) -> None:
        record = landing.record(headers=EVENT)

        class Overtaken:
            def __getattr__(self, name: str) -> object:
                if name == "admit":
                    assert landing.take(record) == Kept(landing.id_of(record), created=True)
                return getattr(landing.house.metadata, name)

        other = landing.broken(metadata=Overtaken())
        assert other.take(record) == Kept(landing.id_of(record), created=False)
        assert landing.original(landing.id_of(record)) == GIF
        assert landing.house.queue.depth() == 1

    @pytest.mark.parametrize("then", ["stays", "is erased"])
    def test_a_file_that_the_other_consumer_took_in_and_removed_is_no_missing_one(
        self, landing: Landing, then: str
    ) -> None:
        record = landing.claim("/in/a.gif")
        landing.claims.put("/in/a.gif", GIF)

        class Overtaken:
            def open(self, claim: object) -> object:
                if landing.claims.files:
                    landing.take(record)
                    if then == "is erased":
                        landing.erase(landing.id_of(record))
                return landing.claims.open(claim)  # type: ignore[arg-type]

        expected = Kept(landing.id_of(record), created=False) if then == "stays" else Passed("erased")
        assert landing.broken(claims=Overtaken()).take(record) == expected
        assert landing.house.metadata.tables.letters == {}

    def test_what_a_crash_left_of_a_larger_write_is_written_over(self, landing: Landing) -> None:
        record = landing.record()
        landing.house.put(Address.original(landing.id_of(record)), OTHER * 100)
        landing.take(record)
        assert landing.original(landing.id_of(record)) == GIF


@dataclass
class Step:
    """One thing that happens: a record comes, an image is erased, time goes on, the retention is set, a crash."""

    what: str
    which: int
    amount: int


STEPS_OF_A_LIFE = st.lists(
    st.builds(
        Step,
        st.sampled_from(["come", "come", "come", "crash", "erase", "move", "sweep", "set"]),
        st.integers(0, 5),
        st.integers(1, 3 * DAY),
    ),
    max_size=14,
)


@settings(max_examples=100, deadline=None)
@given(STEPS_OF_A_LIFE)
def test_whatever_happens_in_between_no_life_is_lengthened_and_nothing_gone_comes_back(steps: list[Step]) -> None:
    landing = Landing()
    values = [GIF, OTHER, POISON, GIF, None, OTHER]
    records = [
        landing.record(value, age=age * DAY, offset=offset, headers=EVENT if offset in (0, 3, 5) else {})
        for offset, (value, age) in enumerate(zip(values, (0, 1, 2, 3, 4, 6), strict=True))
    ]
    erased: set[ImageId] = set()
    for step in steps:
        record = records[step.which]
        if step.what == "come":
            # One that a crash cut off holds its event for a while; its own record would free it at once.
            with contextlib.suppress(InFlight):
                landing.take(record)
        elif step.what == "crash":
            failing = Failing(landing.house.metadata, step.amount % 4 + 1, Crash(), after=bool(step.amount % 2))
            with contextlib.suppress(Crash, InFlight):
                landing.broken(metadata=failing).take(record)
        elif step.what == "erase":
            with contextlib.suppress(Gone, NotFound):
                landing.erase(landing.id_of(record))
                erased.add(landing.id_of(record))
        elif step.what == "move":
            landing.house.clock.move(step.amount)
        elif step.what == "set":
            history = landing.terms.history
            shorter = (Ms(landing.now + 1), Retention(step.amount // MINUTE + 1))
            landing.terms = replace(landing.terms, history=History((*history.changes, shorter)))
        else:
            landing.sweep()
        standing = {each.record.id: each.record for each in landing.house.metadata.tables.images.values()}
        assert standing.keys() <= {landing.id_of(each) for each in records} - erased
        living = [each for each in standing.values() if landing.now < each.id.expires_at]
        events = [each for each in living if each.origin and each.origin.offset in (0, 3, 5)]
        assert sum(each.state is State.RECEIVED for each in events) <= 1
