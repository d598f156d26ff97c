"""The contract of `ports.dead_letters.DeadLetters`, for every adapter, and of the store whose steps write letters."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from mayfly.adapters.memory.clock import ManualClock
from mayfly.model.errors import AlreadyExists, Expired
from mayfly.model.image import ImageRecord, Source
from mayfly.model.instant import MINUTE, SECOND, Ms, minute_end, minute_of
from mayfly.model.job import Job, Processed
from mayfly.model.lifecycle import State
from mayfly.model.stream import Coordinates, Letter, Partition
from mayfly.ports.dead_letters import LettersStanding, LettersWanted
from mayfly.ports.metadata_store import Failed, GivenBack, RejectedVerdict, Verdict

if TYPE_CHECKING:
    from contracts.conftest import Graves, Subject

AnImage = Callable[..., ImageRecord]

PHOTOS = Partition("photos", 0)
LEASE = 30 * SECOND
ANYWHERE = frozenset(State)


@pytest.fixture
def of_stream(an_image: AnImage) -> Callable[..., ImageRecord]:
    """Makes records of a stream, at an offset."""

    def make(offset: int, partition: Partition = PHOTOS, **fields: object) -> ImageRecord:
        return an_image(source=Source.KAFKA, origin=Coordinates(partition, offset), **fields)

    return make


OfStream = Callable[..., ImageRecord]


def rejected(of_stream: OfStream, offset: int, reason: str = "unknown-type", **fields: object) -> ImageRecord:
    return of_stream(offset, state=State.REJECTED, reason=reason, **fields)


def settled(graves: "Graves", record: ImageRecord, verdict: Verdict) -> ImageRecord:
    """The image as admitted, or reopened, claimed and settled."""
    return graves.metadata.settle(graves.metadata.claim(record.id, LEASE), verdict)


def noted(clock: ManualClock, offset: int, reason: str = "too-large", partition: Partition = PHOTOS) -> Letter:
    """A letter for which nothing was kept, to be purged in an hour."""
    minute = minute_of(Ms(clock.now() + 60 * MINUTE))
    return Letter.of_record(Coordinates(partition, offset), None, reason, clock.now(), minute)


def keys(graves: "Graves", **wanted: object) -> list[str]:
    return [letter.key for letter in graves.letters.letters(LettersWanted(**wanted))]  # type: ignore[arg-type]


class TestDying:
    def test_a_record_that_is_rejected_at_the_door_leaves_its_letter_in_the_same_step(
        self, graves: "Subject[Graves]", of_stream: OfStream, clock: ManualClock
    ) -> None:
        record = rejected(of_stream, 7)
        graves.opened.metadata.admit(record, None)
        letter = Letter("photos/0/7", record.origin, record.id, "unknown-type", clock.now(), record.id.expiry_minute)
        assert graves.opened.letters.letter("photos/0/7") == letter
        assert graves.reopen().letters.letters(LettersWanted()) == [letter]
        assert graves.opened.metadata.get(record.id) == record, "where it stood is remembered"

    def test_an_admission_that_is_refused_leaves_none(self, graves: "Subject[Graves]", of_stream: OfStream) -> None:
        record = of_stream(7)
        graves.opened.metadata.admit(record, Job(record.id))
        with pytest.raises(AlreadyExists):
            graves.opened.metadata.admit(replace(record, state=State.REJECTED, reason="unknown-type"), None)
        assert keys(graves.opened) == []

    def test_an_image_of_a_stream_that_decoding_rejects_leaves_its_letter(
        self, graves: "Subject[Graves]", of_stream: OfStream, clock: ManualClock
    ) -> None:
        record = of_stream(8)
        graves.opened.metadata.admit(record, Job(record.id))
        assert keys(graves.opened) == []
        clock.move(500)
        settled(graves.opened, record, RejectedVerdict("corrupt"))
        letter = graves.opened.letters.letter("photos/0/8")
        assert letter is not None
        assert (letter.image_id, letter.reason, letter.died_at) == (record.id, "corrupt", clock.now())

    def test_an_http_image_that_decoding_rejects_leaves_none(
        self, graves: "Subject[Graves]", an_image: AnImage
    ) -> None:
        """Its bytes are not kept, so nobody could redrive it."""
        record = an_image()
        graves.opened.metadata.admit(record, Job(record.id))
        settled(graves.opened, record, RejectedVerdict("corrupt"))
        assert keys(graves.opened) == []

    def test_an_image_that_failed_leaves_its_letter_wherever_it_came_from(
        self, graves: "Subject[Graves]", an_image: AnImage, of_stream: OfStream
    ) -> None:
        posted, streamed = an_image(), of_stream(9)
        for record in (posted, streamed):
            graves.opened.metadata.admit(record, Job(record.id))
            settled(graves.opened, record, Failed("worker-died"))
        letter = graves.opened.letters.letter(str(posted.id))
        assert letter is not None
        assert (letter.at, letter.image_id, letter.reason) == (None, posted.id, "worker-died")
        assert sorted(keys(graves.opened)) == sorted([str(posted.id), "photos/0/9"])

    @pytest.mark.parametrize("verdict", [Processed((), {}), GivenBack(counted=True, reason="worker-died")])
    def test_no_other_verdict_leaves_one(
        self, graves: "Subject[Graves]", of_stream: OfStream, verdict: Verdict
    ) -> None:
        record = of_stream(1)
        graves.opened.metadata.admit(record, Job(record.id))
        settled(graves.opened, record, verdict)
        assert keys(graves.opened) == []


class TestRedriving:
    def test_a_reopened_images_letter_is_closed(self, graves: "Subject[Graves]", of_stream: OfStream) -> None:
        record = rejected(of_stream, 7)
        graves.opened.metadata.admit(record, None)
        graves.opened.metadata.reopen(record.id, Job(record.id), ANYWHERE)
        assert graves.opened.letters.letter("photos/0/7") is None
        assert keys(graves.opened) == []
        assert graves.opened.letters.unpublished(10) == []
        assert graves.opened.letters.bounds("photos") == {}

    def test_dying_again_opens_it_anew_unpublished_with_one_more_redrive(
        self, graves: "Subject[Graves]", of_stream: OfStream, clock: ManualClock
    ) -> None:
        record = rejected(of_stream, 7)
        graves.opened.metadata.admit(record, None)
        for redrives in (1, 2):
            graves.opened.letters.published("photos/0/7", clock.now())
            graves.opened.metadata.reopen(record.id, Job(record.id), ANYWHERE)
            clock.move(1_000)
            settled(graves.opened, record, RejectedVerdict("corrupt"))
            (letter,) = graves.reopen().letters.unpublished(10)
            assert (letter.key, letter.reason, letter.redrives) == ("photos/0/7", "corrupt", redrives)
            assert (letter.died_at, letter.published) == (clock.now(), False)

    def test_an_image_that_is_processed_after_all_leaves_no_letter(
        self, graves: "Subject[Graves]", of_stream: OfStream
    ) -> None:
        record = rejected(of_stream, 7)
        graves.opened.metadata.admit(record, None)
        graves.opened.metadata.reopen(record.id, Job(record.id), ANYWHERE)
        settled(graves.opened, record, Processed((), {}))
        assert keys(graves.opened) == []

    def test_a_record_that_is_taken_after_all_closes_the_letter_that_was_noted_of_it(
        self, graves: "Subject[Graves]", of_stream: OfStream, clock: ManualClock
    ) -> None:
        """The limit was raised and the topic replayed."""
        graves.opened.letters.note(noted(clock, 7))
        record = of_stream(7)
        graves.opened.metadata.admit(record, Job(record.id))
        assert keys(graves.opened) == []

    def test_a_record_that_is_kept_after_all_takes_over_the_letter_that_was_noted_of_it(
        self, graves: "Subject[Graves]", of_stream: OfStream, clock: ManualClock
    ) -> None:
        graves.opened.letters.note(noted(clock, 7))
        graves.opened.letters.published("photos/0/7", clock.now())
        clock.move(1_000)
        record = rejected(of_stream, 7)
        graves.opened.metadata.admit(record, None)
        (letter,) = graves.opened.letters.unpublished(10)
        assert (letter.image_id, letter.reason, letter.redrives) == (record.id, "unknown-type", 0)


class TestNoting:
    def test_what_was_noted_stands_after_a_restart(self, graves: "Subject[Graves]", clock: ManualClock) -> None:
        letter = noted(clock, 3)
        assert graves.opened.letters.note(letter) == letter
        assert graves.reopen().letters.letter("photos/0/3") == letter

    def test_an_older_letter_of_the_key_stays_as_it_is(
        self, graves: "Subject[Graves]", of_stream: OfStream, clock: ManualClock
    ) -> None:
        first = noted(clock, 3)
        graves.opened.letters.note(first)
        graves.opened.letters.published(first.key, first.died_at)
        clock.move(1_000)
        stands = graves.opened.letters.note(noted(clock, 3, "empty-body"))
        assert stands == graves.opened.letters.letter(first.key) == replace(first, published=True)
        graves.opened.metadata.admit(rejected(of_stream, 4), None)
        assert graves.opened.letters.note(noted(clock, 4)).reason == "unknown-type"

    def test_nothing_is_remembered_of_a_minute_that_has_ended(
        self, graves: "Subject[Graves]", clock: ManualClock
    ) -> None:
        letter = noted(clock, 3)
        clock.set(Ms(minute_end(letter.minute) - 1))
        graves.opened.letters.note(letter)
        clock.move(1)
        with pytest.raises(Expired):
            graves.opened.letters.note(noted(ManualClock(letter.died_at), 4))
        graves.opened.metadata.purge(letter.minute)
        assert graves.opened.metadata.due_minutes(letter.minute) == []


class TestListing:
    @pytest.fixture(autouse=True)
    def some(self, graves: "Subject[Graves]", of_stream: OfStream, clock: ManualClock) -> None:
        other = Partition("scans", 3)
        for number, record in enumerate(
            (rejected(of_stream, 1), rejected(of_stream, 2, "type-mismatch"), rejected(of_stream, 3, partition=other))
        ):
            clock.set(Ms(self.began(clock) + number * 1_000))
            graves.opened.metadata.admit(record, None)

    def began(self, clock: ManualClock) -> Ms:
        return Ms(clock.now() // MINUTE * MINUTE)

    def test_by_key_ascending_in_pages(self, graves: "Subject[Graves]") -> None:
        everything = ["photos/0/1", "photos/0/2", "scans/3/3"]
        assert keys(graves.opened) == everything
        assert keys(graves.opened, limit=2) == everything[:2]
        assert keys(graves.opened, limit=2, after="photos/0/2") == everything[2:]

    def test_by_reason_topic_and_partition(self, graves: "Subject[Graves]") -> None:
        assert keys(graves.opened, reason="type-mismatch") == ["photos/0/2"]
        assert keys(graves.opened, topic="scans") == ["scans/3/3"]
        assert keys(graves.opened, topic="photos", partition=3) == []
        assert keys(graves.opened, topic="photos", partition=0) == ["photos/0/1", "photos/0/2"]

    def test_by_when_they_died_from_inclusive_to_exclusive(self, graves: "Subject[Graves]", clock: ManualClock) -> None:
        second = Ms(self.began(clock) + 1_000)
        assert keys(graves.opened, died_from=second) == ["photos/0/2", "scans/3/3"]
        assert keys(graves.opened, died_to=second) == ["photos/0/1"]

    def test_what_is_due_is_not_listed(self, graves: "Subject[Graves]", clock: ManualClock) -> None:
        graves.opened.letters.note(noted(clock, 9))
        (images,) = {letter.minute for letter in graves.opened.letters.letters(LettersWanted(topic="photos", limit=2))}
        clock.set(Ms(images * MINUTE + 59_999))
        assert keys(graves.opened) == ["photos/0/9"], "what nothing was kept of goes with its minute's end"
        clock.set(minute_end(images))
        assert keys(graves.opened) == []
        assert graves.opened.letters.letter("photos/0/9") is None
        assert graves.opened.letters.unpublished(10) == []
        assert graves.opened.letters.bounds("photos") == {}


class TestPublishing:
    def test_the_oldest_death_comes_first(
        self, graves: "Subject[Graves]", of_stream: OfStream, clock: ManualClock
    ) -> None:
        for offset in (5, 3, 4):
            graves.opened.metadata.admit(rejected(of_stream, offset), None)
            clock.move(1_000)
        graves.opened.letters.note(noted(clock, 1))
        found = [letter.key for letter in graves.opened.letters.unpublished(3)]
        assert found == ["photos/0/5", "photos/0/3", "photos/0/4"]
        assert len(graves.opened.letters.unpublished(10)) == 4

    def test_those_of_other_partitions_keep_none_from_being_seen(
        self, graves: "Subject[Graves]", of_stream: OfStream, clock: ManualClock
    ) -> None:
        for offset in range(3):
            graves.opened.metadata.admit(rejected(of_stream, offset), None)
        letters = graves.opened.letters
        assert letters.unpublished(10, [Partition("photos", 1), Partition("other", 0)]) == []
        held = [Partition("photos", 1), Partition("photos", 0)]
        assert len(letters.unpublished(2, held)) == 2
        assert len(letters.unpublished(10, held)) == 3
        assert letters.unpublished(10, []) == []

    def test_what_failed_and_what_came_over_http_is_not_for_the_topic(
        self, graves: "Subject[Graves]", an_image: AnImage, of_stream: OfStream
    ) -> None:
        for record in (an_image(), of_stream(1)):
            graves.opened.metadata.admit(record, Job(record.id))
            settled(graves.opened, record, Failed("worker-died"))
        assert graves.opened.letters.unpublished(10) == []

    def test_what_is_published_stays_so(self, graves: "Subject[Graves]", clock: ManualClock) -> None:
        letter = graves.opened.letters.note(noted(clock, 1))
        graves.opened.letters.published(letter.key, letter.died_at)
        graves.opened.letters.published(letter.key, letter.died_at)
        assert graves.reopen().letters.unpublished(10) == []
        assert graves.opened.letters.letter(letter.key) == replace(letter, published=True)

    def test_one_that_died_again_since_stays_unpublished(
        self, graves: "Subject[Graves]", of_stream: OfStream, clock: ManualClock
    ) -> None:
        record, died_at = rejected(of_stream, 7), clock.now()
        graves.opened.metadata.admit(record, None)
        graves.opened.metadata.reopen(record.id, Job(record.id), ANYWHERE)
        clock.move(1_000)
        settled(graves.opened, record, RejectedVerdict("corrupt"))
        graves.opened.letters.published("photos/0/7", died_at)
        assert [letter.key for letter in graves.opened.letters.unpublished(10)] == ["photos/0/7"]

    def test_a_missing_one_is_no_error(self, graves: "Subject[Graves]", clock: ManualClock) -> None:
        graves.opened.letters.published("photos/0/404", clock.now())
        assert graves.opened.letters.letter("photos/0/404") is None


class TestBounds:
    def test_they_are_the_oldest_open_letter_of_each_partition(
        self, graves: "Subject[Graves]", of_stream: OfStream, clock: ManualClock
    ) -> None:
        other = Partition("photos", 10)
        graves.opened.metadata.admit(rejected(of_stream, 100), None)
        graves.opened.letters.note(noted(clock, 99))
        graves.opened.letters.note(noted(clock, 5, partition=other))
        graves.opened.letters.note(noted(clock, 1, partition=Partition("scans", 0)))
        failed = of_stream(4, partition=other)
        graves.opened.metadata.admit(failed, Job(failed.id))
        settled(graves.opened, failed, Failed("worker-died"))
        assert graves.opened.letters.bounds("photos") == {PHOTOS: 99, other: 4}
        assert graves.opened.letters.bounds("elsewhere") == {}

    def test_a_published_letter_still_bounds(self, graves: "Subject[Graves]", clock: ManualClock) -> None:
        letter = graves.opened.letters.note(noted(clock, 99))
        graves.opened.letters.published(letter.key, letter.died_at)
        assert graves.opened.letters.bounds("photos") == {PHOTOS: 99}


class TestEnding:
    def test_an_erased_images_letter_goes_open_or_closed(self, graves: "Subject[Graves]", of_stream: OfStream) -> None:
        for offset in (1, 2):
            record = rejected(of_stream, offset)
            graves.opened.metadata.admit(record, None)
            if offset == 2:
                graves.opened.metadata.reopen(record.id, Job(record.id), ANYWHERE)
            graves.opened.metadata.delete(record.id)
            assert graves.opened.metadata.due_minutes(record.id.expiry_minute) == []
        assert keys(graves.opened) == []

    def test_the_purge_of_its_minute_takes_every_letter(
        self, graves: "Subject[Graves]", of_stream: OfStream, clock: ManualClock
    ) -> None:
        letter, record = noted(clock, 2), rejected(of_stream, 1, minutes=61)
        graves.opened.letters.note(letter)
        graves.opened.metadata.admit(record, None)
        assert graves.opened.metadata.due_minutes(letter.minute) == [letter.minute]
        graves.opened.metadata.purge(letter.minute)
        assert graves.opened.metadata.due_minutes(letter.minute) == []
        assert keys(graves.opened) == ["photos/0/1"]
        clock.set(minute_end(record.id.expiry_minute))
        graves.opened.metadata.purge(record.id.expiry_minute)
        assert graves.opened.metadata.due_minutes(record.id.expiry_minute) == []


class TestStanding:
    """The contract of `ports.dead_letters.LettersStanding`."""

    def test_those_of_records_are_counted_while_they_are_open(
        self, own_graves: "Graves", an_image: AnImage, of_stream: OfStream, clock: ManualClock
    ) -> None:
        letters: LettersStanding = own_graves.letters  # type: ignore[assignment]
        assert letters.standing() == 0
        record, posted = rejected(of_stream, 7), an_image()
        own_graves.metadata.admit(record, None)
        own_graves.letters.note(noted(clock, 8))
        own_graves.metadata.admit(posted, Job(posted.id))
        settled(own_graves, posted, Failed("worker-died"))
        assert letters.standing() == 2, "an upload that failed is counted with the jobs"
        own_graves.metadata.reopen(record.id, Job(record.id), ANYWHERE)
        assert letters.standing() == 1

    def test_one_that_is_due_is_counted_until_its_image_is_gone(
        self, own_graves: "Graves", of_stream: OfStream, clock: ManualClock
    ) -> None:
        letters: LettersStanding = own_graves.letters  # type: ignore[assignment]
        record = rejected(of_stream, 7)
        own_graves.metadata.admit(record, None)
        clock.set(record.id.expires_at)
        assert (keys(own_graves), letters.standing()) == ([], 1)
        own_graves.metadata.delete(record.id)
        assert letters.standing() == 0
