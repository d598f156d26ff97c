"""Forms over the stores of one house: the first admission wins, and whatever ends a post leaves nothing of it."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from mayfly.adapters.memory.under_way import MemoryUnderWay
from mayfly.intake.admit import Arrival, Form, Forms, Wanted
from mayfly.intake.receive import IntakeLimits
from mayfly.model.address import Address
from mayfly.model.errors import (
    AlreadyExists,
    Busy,
    ClockHeld,
    Erased,
    Expired,
    FormExpired,
    FormRefused,
    FormTooLarge,
    FormTooSmall,
    InFlight,
    InvalidRequest,
    MayflyError,
    NotFound,
    StorageFull,
    TooLarge,
    TypeMismatch,
    UnknownType,
)
from mayfly.model.identity import ImageId
from mayfly.model.image import Personal
from mayfly.model.instant import MINUTE, SECOND, Minute, Ms, minute_end
from mayfly.model.lifecycle import State
from mayfly.model.retention import Retention
from mayfly.queries.open import Open
from mayfly.retention.erase import Erasure
from mayfly.retention.reconcile import Reconcile
from mayfly.retention.sweep import Sweep
from support.house import Failing, House
from support.pictures import gif

LIFETIME = Retention(15)
GIF = gif(3)
OTHER = gif(4)
PNG_HEAD = b"\x89PNG\r\n\x1a\n" + bytes(100)


@dataclass
class Door:
    """A house with forms, and ports that may fail."""

    house: House = field(default_factory=House)
    instead: dict[str, Any] = field(default_factory=dict)
    most: int = 5

    def __post_init__(self) -> None:
        limits = IntakeLimits(10_000, 1_000_000, Retention(60), {"site": "fact", "customer": "personal"})
        ports = {name: self.instead.get(name, getattr(self.house, name)) for name in ("objects", "metadata", "keys")}
        self.under_way = MemoryUnderWay(4)
        metadata = ports.pop("metadata")
        intake = replace(self.house.intake(self.under_way), admissions=metadata, **ports)
        self.forms = Forms(intake, metadata, limits, LIFETIME, self.most)

    def issue(self, **wanted: Any) -> Form:
        return self.forms.issue(Wanted(**{"media_type": "image/gif", "uploader": "ada", **wanted}))

    def open(self, form: Form, file_name: str | None = None) -> Arrival:
        return self.forms.open(form.fields.items(), file_name)

    def post(self, form: Form, body: bytes = GIF) -> ImageId:
        arrival = self.open(form)
        try:
            for start in range(0, len(body), 16):
                arrival.feed(body[start : start + 16])
            return arrival.finish().id
        finally:
            arrival.abort()

    def original(self, image_id: ImageId) -> bytes:
        opened = Open(self.house.metadata, self.house.vault).original(image_id)
        return b"".join(opened.reader.chunks())

    def personal(self, image_id: ImageId) -> Personal:
        return self.house.vault.open_personal(image_id, self.house.metadata.get(image_id).sealed)

    def nothing_but(self, form: Form) -> bool:
        """Whether the awaited record is all there is of this image, and nobody is inside."""
        image_id = form.record.id
        return (
            self.house.metadata.get(image_id) == form.record
            and not any(str(image_id) in name for name in self.house.standing())
            and self.house.queue.depth() == 0
            and self.under_way.ids() == frozenset()
        )


@pytest.fixture
def door() -> Door:
    return Door()


def test_a_form_is_an_awaited_image_from_its_issue_on(door: Door) -> None:
    form = door.issue(file_name="me.gif", labels={"site": "north", "customer": "c-1"}, retain=Retention(30))
    record = door.house.metadata.get(form.record.id)
    assert (record.state, record.media_type, record.size, record.labels) == (
        State.AWAITED,
        "image/gif",
        0,
        {"site": "north"},
    )
    assert door.personal(record.id) == Personal("", "me.gif", "ada", {"customer": "c-1"})
    assert record.id.birth == door.house.clock.now()
    assert record.id.retention == Retention(30)
    assert form.expires_at == LIFETIME.expires_at(record.id.birth)
    assert door.nothing_but(form)
    assert door.house.told.entries == [("awaited", {"image": str(record.id), "source": "http"})]


def test_a_file_that_comes_by_it_becomes_that_image(door: Door) -> None:
    form = door.issue(labels={"customer": "c-1"})
    assert door.post(form) == form.record.id
    record = door.house.metadata.get(form.record.id)
    assert (record.state, record.media_type, record.size) == (State.RECEIVED, "image/gif", len(GIF))
    assert door.original(record.id) == GIF
    assert len(door.personal(record.id).sha256) == 64
    assert door.personal(record.id).labels == {"customer": "c-1"}
    assert door.house.queue.depth() == 1
    assert door.under_way.ids() == frozenset()
    assert door.house.told.events == ["awaited", "received"]


def test_a_name_told_beforehand_counts_before_the_one_that_comes_with_the_file(door: Door) -> None:
    for told, expected in (("told.gif", "told.gif"), (None, "came.gif")):
        form = door.issue(file_name=told)
        arrival = door.open(form, "came.gif")
        arrival.feed(GIF)
        arrival.finish()
        assert door.personal(form.record.id).file_name == expected


@pytest.mark.parametrize(
    ("wanted", "fault"),
    [
        ({"media_type": "image/svg+xml"}, UnknownType),
        ({"media_type": "application/octet-stream"}, InvalidRequest),
        ({"media_type": ""}, InvalidRequest),
        ({"size": 0}, InvalidRequest),
        ({"size": -1}, InvalidRequest),
        ({"size": 10_001}, TooLarge),
        ({"retain": Retention(61)}, InvalidRequest),
        ({"labels": {"unheard": "of"}}, InvalidRequest),
    ],
    ids=str,
)
def test_what_cannot_be_had_is_refused_and_not_recorded(
    door: Door, wanted: dict[str, Any], fault: type[MayflyError]
) -> None:
    with pytest.raises(fault):
        door.issue(**wanted)
    assert door.house.metadata.count(State.AWAITED) == 0


def test_no_more_are_awaited_than_may_be_however_many_ask_at_once(door: Door) -> None:
    def ask(_: int) -> Form | MayflyError:
        try:
            return door.issue()
        except MayflyError as fault:
            return fault

    with ThreadPoolExecutor(8) as crowd:
        answers = list(crowd.map(ask, range(40)))
    issued = [each for each in answers if isinstance(each, Form)]
    assert 1 <= len(issued) <= 5
    assert all(isinstance(each, Busy) for each in answers if not isinstance(each, Form))
    while len(issued) < 5:
        issued.append(door.issue())
    with pytest.raises(Busy):
        door.issue()
    door.post(issued[0])
    assert door.issue()


def test_a_form_that_is_being_recorded_takes_a_place_already(door: Door) -> None:
    full = Door(door.house, most=1)
    admit = door.house.metadata.admit

    def ask_meanwhile(*arguments: Any) -> None:
        with pytest.raises(Busy):
            full.issue()
        admit(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(door.house.metadata, "admit", ask_meanwhile)
        full.issue()
    assert door.house.metadata.count(State.AWAITED) == 1


def test_a_form_that_could_not_be_recorded_takes_no_place(door: Door) -> None:
    broken = Door(door.house, {"metadata": Failing(door.house.metadata, 1, StorageFull("full"), frozenset({"admit"}))})
    with pytest.raises(StorageFull):
        broken.issue()
    for _ in range(5):
        broken.issue()


@pytest.mark.parametrize("name", ["key", "policy", "Content-Type", "x-amz-credential", "x-amz-date", "x-amz-signature"])
def test_a_changed_field_is_refused_before_anything_is_touched(door: Door, name: str) -> None:
    form = door.issue()
    fields = {**form.fields, name: form.fields[name][:-1] + "!"}
    with pytest.raises(FormRefused):
        door.forms.open(fields.items(), None)
    assert door.nothing_but(form)


def test_one_form_opens_no_other_image(door: Door) -> None:
    mine, other = door.issue(), door.issue()
    for name in ("key", "x-amz-credential"):
        with pytest.raises(FormRefused):
            door.forms.open({**mine.fields, name: other.fields[name]}.items(), None)


def test_the_range_of_bytes_is_kept(door: Door) -> None:
    exact = door.issue(size=len(GIF))
    with pytest.raises(FormTooSmall):
        door.post(exact, GIF[:-1])
    with pytest.raises(FormTooLarge):
        door.post(exact, GIF + b"\x00")
    assert door.nothing_but(exact)
    door.post(exact)
    free = door.issue()
    with pytest.raises(FormTooSmall):
        door.post(free, b"")
    with pytest.raises(FormTooLarge):
        door.post(free, GIF + bytes(10_000))


@pytest.mark.parametrize(("body", "fault"), [(PNG_HEAD, TypeMismatch), (b"words " * 50, UnknownType)])
def test_bytes_of_another_type_are_refused_and_the_form_stays_usable(
    door: Door, body: bytes, fault: type[MayflyError]
) -> None:
    form = door.issue()
    with pytest.raises(fault):
        door.post(form, body)
    assert door.nothing_but(form)
    door.post(form)


def test_a_second_file_changes_nothing(door: Door) -> None:
    form = door.issue()
    door.post(form)
    record, standing = door.house.metadata.get(form.record.id), door.house.standing()
    with pytest.raises(AlreadyExists):
        door.post(form, OTHER)
    assert (door.house.metadata.get(form.record.id), door.house.standing()) == (record, standing)
    assert door.original(form.record.id) == GIF
    assert door.house.queue.depth() == 1


def test_while_one_file_comes_a_second_is_told_so_and_has_its_turn_when_the_first_does_not_last(door: Door) -> None:
    form = door.issue()
    first = door.open(form)
    first.feed(GIF)
    with pytest.raises(InFlight):
        door.post(form, OTHER)
    first.abort()
    assert door.nothing_but(form)
    door.post(form, OTHER)
    assert door.original(form.record.id) == OTHER


def test_a_form_holds_until_its_second_and_no_longer(door: Door) -> None:
    used, late = door.issue(), door.issue()
    door.house.clock.set(Ms(used.expires_at - 1))
    door.post(used)
    door.house.clock.set(late.expires_at)
    with pytest.raises(FormExpired):
        door.post(late)
    assert door.house.metadata.get(late.record.id) == late.record


def test_a_form_never_outlives_its_image(door: Door) -> None:
    form = door.issue(retain=Retention(1))
    assert form.expires_at == form.record.id.expires_at
    door.house.clock.set(form.record.id.expires_at)
    with pytest.raises(FormExpired):
        door.post(form)


def test_with_the_minute_key_the_signature_is_gone(door: Door) -> None:
    form = door.issue()
    door.house.keys.destroy([form.record.id.expiry_minute])
    with pytest.raises(FormExpired):
        door.post(form)


def test_a_form_of_a_minute_without_a_key_is_none_of_ours(door: Door) -> None:
    form = door.issue()
    far = ImageId.new(Ms(door.house.clock.now() + 300 * MINUTE), Retention(60))
    credential = form.fields["x-amz-credential"].replace(str(form.record.id), str(far))
    with pytest.raises(FormRefused):
        door.forms.open({**form.fields, "x-amz-credential": credential}.items(), None)


def test_an_image_that_dies_while_its_file_comes_is_not_admitted(door: Door) -> None:
    form = door.issue(retain=Retention(2))
    arrival = door.open(form)
    arrival.feed(GIF)
    door.house.clock.set(form.record.id.expires_at)
    with pytest.raises(Expired):
        arrival.finish()
    assert door.house.standing() == set()
    assert door.under_way.ids() == frozenset()


def test_nothing_is_issued_or_taken_while_the_clock_is_held(door: Door) -> None:
    form = door.issue()
    door.house.clock.hold()
    with pytest.raises(ClockHeld):
        door.issue()
    with pytest.raises(ClockHeld):
        door.post(form)
    door.house.clock.confirm()
    door.post(form)


def erase(door: Door, form: Form) -> None:
    Erasure(door.house.objects, door.house.metadata, door.house.keys, door.house.told).erase(form.record.id)


def test_an_erased_form_is_gone(door: Door) -> None:
    form = door.issue()
    erase(door, form)
    with pytest.raises(Erased):
        door.post(form)
    with pytest.raises(NotFound):
        door.house.metadata.get(form.record.id)


def test_an_erasure_while_the_file_comes_wins(door: Door) -> None:
    form = door.issue()
    arrival = door.open(form)
    arrival.feed(GIF)
    erase(door, form)
    with pytest.raises((Erased, Expired)):
        arrival.finish()
    assert (door.house.standing(), door.house.queue.depth()) == (set(), 0)


def test_an_erasure_that_looked_before_the_object_stood_leaves_nothing(door: Door) -> None:
    """Remembered and looked for, but not yet deleted from the records, when the hand-over happens."""
    form = door.issue()
    arrival = door.open(form)
    arrival.feed(GIF)
    fulfil = door.house.metadata.fulfil

    def overtaken(*arguments: Any) -> None:
        door.house.keys.remember_erased(form.record.id)
        fulfil(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(door.house.metadata, "fulfil", overtaken)
        with pytest.raises(Erased):
            arrival.finish()
    assert door.house.standing() == set()


def test_a_disk_that_is_full_at_the_hand_over_leaves_the_form_usable(door: Door) -> None:
    form = door.issue()
    broken = Failing(door.house.metadata, 1, StorageFull("full"), frozenset({"fulfil"}))
    with pytest.raises(StorageFull):
        Door(door.house, {"metadata": broken}).post(form)
    assert door.nothing_but(form)
    door.post(form)


def leave_an_object(door: Door, form: Form) -> None:
    """A crash between object and hand-over: nothing after it is run, not even what would tidy up."""
    door.house.put(Address.original(form.record.id), OTHER)


def leave_a_part(door: Door, form: Form) -> None:
    """A crash in the middle of a file."""
    door.house.vault.create(Address.original(form.record.id)).write(OTHER)


def test_what_a_crash_left_is_served_to_nobody_and_gives_way_to_the_next_post(door: Door) -> None:
    form = door.issue()
    leave_an_object(door, form)
    with pytest.raises(NotFound, match="awaited"):
        door.original(form.record.id)
    leave_a_part(door, form)
    door.post(form)
    assert door.original(form.record.id) == GIF
    assert door.house.standing() == {Address.original(form.record.id).file_name}


def test_a_reconcile_keeps_its_hands_off_what_a_post_may_be_writing(door: Door) -> None:
    form = door.issue()
    leave_an_object(door, form)
    house = door.house
    reconcile = Reconcile(house.objects, house.metadata, house.keys, door.under_way.ids, house.told)
    assert reconcile.run().orphans == 0
    door.post(form)
    assert reconcile.run().orphans == 0
    assert door.original(form.record.id) == GIF


def test_a_reconcile_that_did_not_see_a_post_begin_leaves_it_alone(door: Door) -> None:
    form = door.issue()
    arrival = door.open(form)
    arrival.feed(GIF)
    house = door.house
    seen_before: frozenset[ImageId] = frozenset()
    assert Reconcile(house.objects, house.metadata, house.keys, lambda: seen_before, house.told).run().orphans == 0
    arrival.finish()
    assert door.original(form.record.id) == GIF


def test_each_image_has_a_secret_of_its_own_that_its_minute_key_alone_leads_to(door: Door) -> None:
    one, other, later = door.issue(), door.issue(), door.issue(retain=Retention(30))
    secrets = [door.house.vault.form_secret(form.record.id) for form in (one, other, later)]
    assert len(set(secrets)) == 3
    assert all(len(secret) == 64 for secret in secrets)
    assert door.house.vault.form_secret(one.record.id) == secrets[0]
    door.house.keys.destroy([one.record.id.expiry_minute])
    with pytest.raises(Expired):
        door.house.vault.form_secret(one.record.id)
    assert door.house.vault.form_secret(later.record.id) == secrets[2]


def sweep(door: Door) -> None:
    house = door.house
    Sweep(house.objects, house.metadata, house.keys, house.clock, house.told, LIFETIME).run()


def test_an_unused_form_is_purged_soon_after_its_time_with_what_a_crash_left(door: Door) -> None:
    unused, used = door.issue(), door.issue()
    door.post(used)
    leave_an_object(door, unused)
    leave_a_part(door, unused)
    door.house.clock.set(Ms(unused.expires_at + MINUTE - SECOND))
    sweep(door)
    assert door.house.metadata.get(unused.record.id)
    door.house.clock.set(Ms(unused.expires_at + MINUTE + SECOND))
    sweep(door)
    with pytest.raises(NotFound):
        door.house.metadata.get(unused.record.id)
    assert all(str(unused.record.id) not in name for name in door.house.standing())
    assert door.original(used.record.id) == GIF
    assert "forms_lapsed" in door.house.told.events


def test_a_file_that_takes_longer_than_its_form_lives_is_let_go(door: Door) -> None:
    form = door.issue()
    arrival = door.open(form)
    arrival.feed(GIF)
    door.house.clock.set(Ms(form.expires_at + 2 * MINUTE))
    sweep(door)
    with pytest.raises(FormExpired):
        arrival.finish()
    assert (door.house.standing(), door.house.queue.depth()) == (set(), 0)


def test_an_unused_form_of_a_short_life_is_purged_with_its_minute(door: Door) -> None:
    form = door.issue(retain=Retention(2))
    door.house.clock.set(minute_end(form.record.id.expiry_minute))
    sweep(door)
    assert door.house.metadata.records(form.record.id.expiry_minute) == []


def test_a_jump_of_the_clock_during_a_sweep_lets_no_form_lapse(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    form, house = door.issue(), door.house
    due_minutes = house.metadata.due_minutes

    def jumping(through: Minute) -> list[Minute]:
        house.clock.move(60 * MINUTE)
        house.clock.hold()
        return due_minutes(through)

    monkeypatch.setattr(house.metadata, "due_minutes", jumping)
    sweep(door)
    assert [record.id for record in house.metadata.records(form.record.id.expiry_minute)] == [form.record.id]
    assert "lapse_delayed" in house.told.events
