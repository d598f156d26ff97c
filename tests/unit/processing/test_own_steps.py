"""A recipe with steps of the user's own: cut into stages, called between them, believed no further than a stranger."""

from typing import Any

import pytest

from mayfly.model.errors import AttemptFailed, Rejected
from mayfly.model.identity import ImageId
from mayfly.model.image import Source
from mayfly.model.lifecycle import State
from mayfly.model.listing import Filter
from mayfly.processing import making
from mayfly.processing.limits import MIB, Limits
from mayfly.processing.recipe import DEFAULT_RENDITIONS, STEP_START_SECONDS, Recipe, longest_run, parse_recipes
from mayfly.processing.reprocess import Reprocess
from mayfly.processing.step_facts import StepFacts
from mayfly.queries.open import Open
from support.workshop import LEASE_MS, WEBP, Workshop, box, own


def recipes(**steps: list[Any]) -> tuple[Recipe, ...]:
    return parse_recipes({name: {"steps": list_} for name, list_ in steps.items()})


@pytest.fixture
def shop() -> Workshop:
    return Workshop()


def made(shop: Workshop, *, source: Source = Source.HTTP) -> ImageId:
    image_id = shop.admit(b"body", source=source)
    shop.run()
    assert shop.sandbox.open == [], "no picture's memory is kept"
    return image_id


def served(shop: Workshop, image_id: ImageId, name: str) -> bytes:
    return b"".join(Open(shop.metadata, shop.vault).rendition(image_id, name).reader.chunks())


def personal(shop: Workshop, image_id: ImageId) -> Any:
    return shop.vault.open_personal(image_id, shop.metadata.get(image_id).sealed).step_facts


def test_recipes_of_built_in_steps_take_one_pass_and_those_with_own_steps_begin_in_it(shop: Workshop) -> None:
    shop.sandbox.recipes = recipes(
        plain=[box(8), WEBP],
        mixed=[box(9), own("one"), box(7), own("two"), WEBP],
        bare=[own("three"), WEBP],
    )
    image_id = made(shop)
    assert shop.sandbox.stages == [["plain", "mixed:0"], ["mixed:1"], ["mixed"], ["bare"]]
    assert shop.own_steps.given == [
        ("one", b"mixed:0 of body", "image/png"),
        ("two", b"mixed:1 of one of mixed:0 of body", "image/png"),
        ("three", b"body", "image/png"),  # the original as it came
    ]
    assert shop.sandbox.held == [0, 1, 1, 1], "beside the first pass's pictures, those of one run at most"
    assert shop.sandbox.media_types == ["image/png", "image/jpeg", "image/jpeg", "image/jpeg"]
    assert served(shop, image_id, "plain") == b"plain of body"
    assert served(shop, image_id, "mixed") == b"mixed of two of mixed:1 of one of mixed:0 of body"
    assert served(shop, image_id, "bare") == b"bare of three of body"
    record = shop.metadata.get(image_id)
    assert [one.recipe for one in record.renditions] == [recipe.hash for recipe in shop.sandbox.recipes]
    assert record.facts is not None
    assert record.facts["frames"] == 1
    assert record.facts["timings"]["decode_ms"] == 4.0
    assert "own_ms" in record.facts["timings"]


def test_what_several_recipes_begin_with_is_made_once(shop: Workshop) -> None:
    shop.sandbox.recipes = recipes(
        one=["orient", own("one"), WEBP],
        two=["orient", own("two"), WEBP],
        three=["orient", box(8), own("three"), WEBP],
    )
    image_id = made(shop)
    assert shop.sandbox.stages[0] == ["one:0", "three:0"]
    assert [given for _, given, _ in shop.own_steps.given] == [b"one:0 of body", b"one:0 of body", b"three:0 of body"]
    assert served(shop, image_id, "two") == b"two of two of one:0 of body"


def test_without_own_steps_no_time_is_told_for_them(shop: Workshop) -> None:
    facts = shop.metadata.get(made(shop)).facts
    assert facts is not None
    assert "own_ms" not in facts["timings"]
    assert "steps" not in facts


@pytest.mark.parametrize(
    ("fault", "ending"),
    [
        (Rejected("step-rejected"), (State.REJECTED, 1, "step-rejected")),
        (AttemptFailed("step-overdue"), (State.RECEIVED, 1, "step-overdue")),
        (RuntimeError("secret"), (State.RECEIVED, 1, "fault-runtimeerror")),
    ],
)
def test_what_an_own_step_says_about_the_image_is_its_ending(shop: Workshop, fault: Any, ending: Any) -> None:
    shop.sandbox.recipes = recipes(bare=[own("one"), WEBP])
    shop.own_steps.faults = [fault]
    assert shop.ending(made(shop, source=Source.KAFKA)) == ending


def test_an_answer_that_does_not_decode_is_the_steps_fault_and_not_the_images(shop: Workshop) -> None:
    shop.sandbox.recipes = recipes(bare=[box(8), own("one"), WEBP])

    def then_it_does_not_decode() -> None:
        shop.sandbox.faults = [Rejected("truncated")]

    shop.own_steps.meanwhile = then_it_does_not_decode
    assert shop.ending(made(shop)) == (State.RECEIVED, 1, "step-output-truncated")


def test_an_original_that_does_not_decode_reaches_no_own_step(shop: Workshop) -> None:
    shop.sandbox.recipes = recipes(bare=[own("one"), WEBP])
    shop.sandbox.faults = [Rejected("corrupt")]
    assert shop.ending(made(shop)) == (State.REJECTED, 1, "corrupt")
    assert shop.own_steps.given == []


def test_facts_are_shown_sealed_or_dropped_as_the_step_declares(shop: Workshop) -> None:
    shop.sandbox.recipes = recipes(
        open=[own("a", facts="fact", parameters={"cars": 3, "kind": "early"}), own("b", facts="fact"), WEBP],
        late=[own("c", facts="fact", parameters={"kind": 1}), own("d", facts="fact", parameters={"kind": 2}), WEBP],
        closed=[own("e", parameters={"plate": "M-AY 1"}), WEBP],
        silent=[own("f", facts="none", parameters={"noise": 1}), WEBP],
    )
    image_id = made(shop)
    facts = shop.metadata.get(image_id).facts
    assert facts is not None
    assert facts["steps"] == {"open": {"cars": 3, "kind": "early"}, "late": {"kind": 2}}
    assert personal(shop, image_id) == {"closed": {"plate": "M-AY 1"}}


def test_a_rendition_made_anew_brings_its_facts_along_and_the_others_keep_theirs(shop: Workshop) -> None:
    def with_facts(**found: Any) -> tuple[Recipe, ...]:
        steps: dict[str, list[Any]] = {}
        for name, (kind, value) in found.items():
            steps[name] = [own(name, facts=kind, parameters={"is": value}), WEBP]
        return recipes(**steps)

    shop.sandbox.recipes = with_facts(a=("fact", 1), b=("fact", 1), c=("personal", 1), d=("personal", 1))
    image_id = made(shop)
    sealed = shop.metadata.get(image_id).sealed

    def again(**found: Any) -> None:
        shop.sandbox.recipes = with_facts(**found)
        changed = Reprocess(shop.metadata, shop.queue, shop.keys, shop.sandbox.recipes, shop.told)
        assert changed.page(Filter(), dry_run=False).reopened == 1
        shop.run()

    again(a=("fact", 2), b=("fact", 1), c=("personal", 1), d=("personal", 1))
    assert shop.metadata.get(image_id).sealed == sealed, "nothing to seal anew"
    again(a=("none", 2), b=("fact", 1), c=("personal", 2), d=("personal", 1))
    facts = shop.metadata.get(image_id).facts
    assert facts is not None
    assert facts["steps"] == {"b": {"is": 1}}
    assert personal(shop, image_id) == {"c": {"is": 2}, "d": {"is": 1}}
    again(a=("none", 2), b=("fact", 1), c=("none", 2), d=("fact", 1))
    assert personal(shop, image_id) == {}


def nested(depth: int) -> Any:
    return {} if depth == 0 else {"a": nested(depth - 1)}


@pytest.mark.parametrize(
    ("facts", "slug"),
    [
        ({"a": "x" * 65_536}, "step-facts-too-large"),
        ({str(number): 1 for number in range(1_001)}, "step-facts-too-large"),
        (nested(9), "step-facts-too-large"),
        ({"a": [[[[[[[[[]]]]]]]]]}, "step-facts-too-large"),
        ({"a": float("inf")}, "step-facts-invalid"),
        ({"a": [{"b": float("nan")}]}, "step-facts-invalid"),
        ({"a": "\ud800"}, "step-facts-invalid"),
        ({"\ud800": 1}, "step-facts-invalid"),
        ({"a": nested(7), "b": "x" * 60_000}, None),
        ({"a": "\U0001f41d" * 16_000}, None),
    ],
)
def test_facts_are_bounded_and_can_be_shown(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch, facts: dict[str, Any], slug: str | None
) -> None:
    shop.sandbox.recipes = recipes(bare=[own("one"), WEBP])
    call = shop.own_steps.call

    def saying(*how: Any) -> Any:
        answer = call(*how)
        return type(answer)(answer.data, answer.media_type, facts)

    monkeypatch.setattr(shop.own_steps, "call", saying)
    assert shop.ending(made(shop)) == ((State.RECEIVED, 1, slug) if slug else (State.PROCESSED, 1, None))


def test_the_bound_holds_for_all_steps_of_an_image_together(shop: Workshop) -> None:
    found = {"parameters": {"a": "x" * 4_000}}
    many = {f"r{number}": [*[own(f"s{step}", **found) for step in range(2)], WEBP] for number in range(16)}
    shop.sandbox.recipes = recipes(**many)
    assert shop.ending(made(shop)) == (State.PROCESSED, 1, None)
    more = own("t", parameters={"b": "y" * 200})
    shop.sandbox.recipes = recipes(**{name: [*steps[:-1], more, WEBP] for name, steps in many.items()})
    assert shop.ending(made(shop)) == (State.RECEIVED, 1, "step-facts-too-large")


def test_what_is_kept_from_before_counts_too() -> None:
    said = StepFacts()
    said.add("new", "fact", {"a": "x" * 40_000})
    before = {"kept": {"a": "x" * 40_000}, "remade": {"a": "x" * 40_000}}
    assert said.facts(before, {"kept", "remade"}) == {"new": {"a": "x" * 40_000}}
    with pytest.raises(AttemptFailed, match="step-facts-too-large"):
        said.facts(before, {"remade"})


def test_past_the_lease_nothing_more_is_begun_or_stored(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    watch = making._Stopwatch
    monkeypatch.setattr(making, "_Stopwatch", lambda seconds: watch(seconds, lambda: now[0]))
    shop.sandbox.recipes = recipes(bare=[own("one"), box(8), own("two"), WEBP])

    def dawdle() -> None:
        now[0] += LEASE_MS / 1_000 + 1

    shop.own_steps.meanwhile = dawdle
    image_id = made(shop)
    assert shop.ending(image_id) == (State.RECEIVED, 1, "attempt-overdue")
    assert [name for name, _, _ in shop.own_steps.given] == ["one"]
    assert len(shop.standing()) == 1


def test_a_lease_covers_every_pass_and_every_step() -> None:
    assert longest_run(parse_recipes(DEFAULT_RENDITIONS), 30) == 30
    mixed = [box(9), own("one", timeout=100), own("two", timeout=5), WEBP]
    steps = 3 * STEP_START_SECONDS + 100 + 5 + 10
    assert longest_run(recipes(mixed=mixed, bare=[own("one"), WEBP]), 30) == 30 + steps + 3 * 30


def test_the_hash_changes_with_the_code_the_parameters_and_what_becomes_of_the_facts(tmp_path: Any) -> None:
    program = tmp_path / "x"
    program.write_text("#!/bin/sh\ncat\n")
    program.chmod(0o755)

    def hash_of(folder: Any = tmp_path, **how: Any) -> str:
        raw = {"r": {"steps": [{"run": ["./x"], **how}, WEBP]}}
        return parse_recipes(raw, folder)[0].hash

    first = hash_of()
    assert hash_of(timeout=99, memory=512) == first, "how long it may take is not what it does"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    program.rename(elsewhere / "x")
    assert hash_of(elsewhere) == first, "nor is where it lies"
    changed = {hash_of(elsewhere, parameters={"a": 1}), hash_of(elsewhere, facts="fact")}
    (elsewhere / "x").write_text("#!/bin/sh\ncat # anew\n")
    changed.add(hash_of(elsewhere))
    assert len(changed | {first}) == 4


def test_a_whole_photo_is_handed_over_and_an_answer_is_bounded_as_ever(shop: Workshop) -> None:
    limits = Limits().with_whole_pictures()
    assert limits.output == 256 * MIB
    assert Limits(memory=256 * MIB).with_whole_pictures().output == Limits().output, "never less, on little memory"
    shop.sandbox.limits = limits
    shop.sandbox.recipes = recipes(bare=[own("one"), WEBP])
    made(shop)
    assert [bounds.output for bounds in shop.own_steps.bounds] == [Limits().output]
