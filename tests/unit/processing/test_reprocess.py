"""What is outdated is made anew, what is not is kept, and readers notice nothing in between."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from mayfly.model.address import Address
from mayfly.model.errors import AttemptFailed, Busy, InvalidRequest, Rejected
from mayfly.model.identity import ImageId
from mayfly.model.image import Source
from mayfly.model.instant import SECOND
from mayfly.model.job import Job
from mayfly.model.lifecycle import State
from mayfly.model.listing import Filter
from mayfly.model.retention import Retention
from mayfly.processing import reprocess
from mayfly.processing.recipe import Recipe, parse_recipes
from mayfly.processing.reprocess import Reprocess, Reprocessed
from mayfly.queries.open import Open
from mayfly.retention.reconcile import Reconcile
from support.workshop import ATTEMPTS, WEBP, Workshop, box, own


def recipes(**sides: int) -> tuple[Recipe, ...]:
    return parse_recipes({name: {"steps": [box(side), WEBP]} for name, side in sides.items()})


@pytest.fixture
def shop() -> Workshop:
    return Workshop()


def reprocessing(shop: Workshop) -> Reprocess:
    return Reprocess(shop.metadata, shop.queue, shop.keys, shop.sandbox.recipes, shop.told)


def again(shop: Workshop, **wanted: Any) -> Reprocessed:
    return reprocessing(shop).page(Filter(**wanted), dry_run=False)


def served(shop: Workshop, image_id: ImageId, name: str) -> bytes:
    opened = Open(shop.metadata, shop.vault).rendition(image_id, name)
    return b"".join(opened.reader.chunks())


def processed(shop: Workshop, body: bytes = b"body", **how: Any) -> ImageId:
    image_id = shop.admit(body, **how)
    shop.run()
    assert shop.metadata.get(image_id).state is State.PROCESSED
    return image_id


def test_only_what_is_outdated_or_missing_is_made_again(shop: Workshop) -> None:
    shop.sandbox.recipes = recipes(small=8, middle=16)
    image_id = processed(shop)
    before = {rendition.name: rendition for rendition in shop.metadata.get(image_id).renditions}

    shop.sandbox.recipes = recipes(wide=32, small=8, middle=17)
    assert again(shop) == Reprocessed(1, 1, 1)
    shop.run()
    record = shop.metadata.get(image_id)
    assert (record.state, record.attempts) == (State.PROCESSED, 1)
    assert shop.sandbox.stages == [["small", "middle"], ["wide", "middle"]]
    assert [rendition.name for rendition in record.renditions] == ["wide", "small", "middle"]
    after = {rendition.name: rendition for rendition in record.renditions}
    assert after["small"] == before["small"]
    assert {rendition.recipe for rendition in record.renditions} == {recipe.hash for recipe in shop.sandbox.recipes}
    assert again(shop) == Reprocessed(1, 0, 0)
    assert {served(shop, image_id, name) for name in after} == {f"{name} of body".encode() for name in after}


def test_a_rendition_that_the_settings_name_no_more_stays_as_it_is(shop: Workshop) -> None:
    shop.sandbox.recipes = recipes(small=8, middle=16)
    image_id = processed(shop)
    shop.sandbox.recipes = recipes(small=9)
    again(shop)
    shop.run()
    assert [rendition.name for rendition in shop.metadata.get(image_id).renditions] == ["small", "middle"]
    assert served(shop, image_id, "middle") == b"middle of body"
    assert again(shop) == Reprocessed(1, 0, 0)


def test_the_old_renditions_are_served_whole_until_the_new_ones_take_their_place(shop: Workshop) -> None:
    shop.sandbox.recipes = recipes(small=8)
    image_id = processed(shop)
    shop.put(Address.rendition(image_id, "small"), b"the old one")
    seen = []

    def look() -> None:
        seen.append((shop.metadata.get(image_id).state, served(shop, image_id, "small")))

    for side in (9, 10, 11):
        shop.sandbox.recipes = recipes(small=side)
        again(shop)
        look()
        shop.sandbox.meanwhile = look
        shop.run()
        shop.put(Address.rendition(image_id, shop.metadata.get(image_id).renditions[0].object_name), b"the old one")
        # The two names take turns, and only one of them stands once it is over.
        assert len(shop.standing()) == 2
    assert seen == [(State.RECEIVED, b"the old one"), (State.PROCESSING, b"the old one")] * 3


def test_an_attempt_that_fails_after_storing_leaves_the_old_rendition_to_its_readers(shop: Workshop) -> None:
    shop.sandbox.recipes = recipes(small=8, middle=8)
    image_id = processed(shop)
    shop.put(Address.rendition(image_id, "small"), b"the old one")
    steps = {"small": [box(9), WEBP], "middle": [own("one"), WEBP]}
    shop.sandbox.recipes = parse_recipes({name: {"steps": one} for name, one in steps.items()})
    again(shop)
    for _ in range(ATTEMPTS):
        shop.own_steps.faults.append(AttemptFailed("step-failed"))
        shop.run()
        assert len(shop.standing()) == 4, "the new one was stored, beside"
        assert served(shop, image_id, "small") == b"the old one"
        shop.clock.move(60 * SECOND)
    assert shop.ending(image_id) == (State.FAILED, ATTEMPTS, "step-failed")
    assert served(shop, image_id, "small") == b"the old one"
    shop.put(Address.rendition(image_id, "b" + "0" * 31), b"what a crash left")
    Reconcile(shop.objects, shop.metadata, shop.keys, frozenset, shop.told).run()
    assert len(shop.standing()) == 3
    assert served(shop, image_id, "small") == b"the old one"


def test_what_took_the_place_of_another_is_nobodys_orphan(shop: Workshop) -> None:
    shop.sandbox.recipes = recipes(small=8)
    image_id = processed(shop)
    shop.sandbox.recipes = recipes(small=9)
    again(shop)
    shop.run()
    assert Reconcile(shop.objects, shop.metadata, shop.keys, frozenset, shop.told).run().orphans == 0
    assert served(shop, image_id, "small") == b"small of body"


def test_what_went_on_since_it_was_looked_at_is_left_alone(shop: Workshop) -> None:
    image_id = processed(shop)
    stale = shop.metadata.find(Filter())
    shop.sandbox.recipes = recipes(small=9)
    assert again(shop).reopened == 1
    metadata: Any = SimpleNamespace(find=lambda _: stale, reopen=shop.metadata.reopen)
    late = Reprocess(metadata, shop.queue, shop.keys, shop.sandbox.recipes, shop.told)
    assert late.page(Filter(), dry_run=False) == Reprocessed(1, 1, 0)
    shop.metadata.delete(image_id)
    assert late.page(Filter(), dry_run=False) == Reprocessed(1, 1, 0)


def test_a_rendition_replaced_between_two_looks_of_a_reader_is_found_all_the_same(shop: Workshop) -> None:
    shop.sandbox.recipes = recipes(small=8)
    image_id = processed(shop)
    shop.sandbox.recipes = recipes(small=9)
    again(shop)
    stale = [shop.metadata.get(image_id)]
    shop.run()
    store: Any = shop.metadata

    class Late:
        def get(self, wanted: ImageId) -> Any:
            return stale.pop() if stale else store.get(wanted)

    late: Any = Late()
    opened = Open(late, shop.vault).rendition(image_id, "small")
    assert b"".join(opened.reader.chunks()) == b"small of body"


def test_what_was_processed_before_keeps_its_bytes_when_new_recipes_reject_it(shop: Workshop) -> None:
    shop.sandbox.recipes = recipes(small=8)
    image_id = processed(shop, source=Source.HTTP)
    shop.sandbox.recipes = recipes(small=9)
    again(shop)
    shop.sandbox.faults = [Rejected("too-many-pixels")]
    shop.run()
    assert shop.metadata.get(image_id).state is State.REJECTED
    Reconcile(shop.objects, shop.metadata, shop.keys, frozenset, shop.told).run()
    assert b"".join(shop.vault.open(Address.original(image_id)).chunks()) == b"body"
    assert served(shop, image_id, "small") == b"small of body"


def test_an_image_erased_while_it_is_made_anew_leaves_nothing(shop: Workshop) -> None:
    shop.sandbox.recipes = recipes(small=8)
    image_id = processed(shop)
    shop.sandbox.recipes = recipes(small=9)
    again(shop)

    def vanish() -> None:
        shop.metadata.delete(image_id)
        shop.objects.delete(Address.original(image_id))

    shop.sandbox.meanwhile = vanish
    shop.run()
    assert shop.standing() == set()


def test_a_dry_run_counts_and_reopens_nothing(shop: Workshop) -> None:
    shop.sandbox.recipes = recipes(small=8)
    image_id = processed(shop)
    shop.sandbox.recipes = recipes(small=9)
    assert reprocessing(shop).page(Filter(), dry_run=True) == Reprocessed(1, 1, 0)
    assert (shop.metadata.get(image_id).state, shop.queue.depth()) == (State.PROCESSED, 0)


def test_a_failed_image_is_reopened_whatever_it_has_and_a_rejected_or_waiting_one_is_not(shop: Workshop) -> None:
    ids = [processed(shop) for _ in range(4)]
    for image_id, state in zip(ids, (State.FAILED, State.REJECTED, State.RECEIVED, State.PROCESSING), strict=True):
        row = shop.metadata.tables.images[image_id]
        row.record = replace(row.record, state=state, reason="worker-died", attempts=5)
    assert again(shop) == Reprocessed(1, 1, 1)
    assert shop.ending(ids[0]) == (State.RECEIVED, 0, None)
    shop.run()
    assert shop.sandbox.stages[-1] == [], "it has every rendition already"
    assert shop.ending(ids[0]) == (State.PROCESSED, 1, None)


def test_pages_follow_one_another_to_the_end(shop: Workshop) -> None:
    ids = sorted((processed(shop) for _ in range(5)), reverse=True)
    shop.sandbox.recipes = recipes(other=9)
    first = again(shop, limit=2)
    assert first == Reprocessed(2, 2, 2, ids[1])
    second = again(shop, limit=2, after=first.next_after)
    assert second == Reprocessed(2, 2, 2, ids[3])
    assert again(shop, limit=2, after=second.next_after) == Reprocessed(1, 1, 1, None)
    assert shop.queue.depth() == 5


def test_filters_and_ids_choose_and_what_is_gone_or_unknown_is_not_counted(shop: Workshop) -> None:
    http, kafka = processed(shop, source=Source.HTTP), processed(shop, source=Source.KAFKA)
    shop.sandbox.recipes = recipes(other=9)
    shop.keys.remember_erased(http)
    assert again(shop, source=Source.HTTP) == Reprocessed(0, 0, 0)
    unknown = ImageId.new(shop.clock.now(), Retention(9))
    done = reprocessing(shop).these([kafka, unknown, kafka, http], dry_run=False)
    assert done == Reprocessed(1, 1, 1)
    assert reprocessing(shop).these([kafka], dry_run=False) == Reprocessed(0, 0, 0)


def test_a_state_in_which_nothing_is_outdated_is_refused(shop: Workshop) -> None:
    with pytest.raises(InvalidRequest, match="failed, processed"):
        again(shop, state=State.REJECTED)


def test_nothing_is_added_to_a_long_queue(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reprocess, "MOST_WAITING", 1)
    image_id = processed(shop)
    shop.sandbox.recipes = recipes(other=9)
    shop.admit()
    with pytest.raises(Busy):
        again(shop)
    with pytest.raises(Busy):
        reprocessing(shop).these([image_id], dry_run=False)
    assert reprocessing(shop).page(Filter(), dry_run=True).outdated == 1
    shop.metadata.reopen(image_id, Job(image_id), frozenset({State.PROCESSED}))
    assert shop.metadata.get(image_id).state is State.RECEIVED
