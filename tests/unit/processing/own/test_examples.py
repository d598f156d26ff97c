"""The examples do what their pages say."""

import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from mayfly.model.errors import Rejected
from mayfly.processing.limits import Limits
from mayfly.processing.own.call import OwnSteps
from mayfly.processing.own.step import OWN_STEPS, HttpStep, OwnStep, split
from mayfly.processing.steps.step import Params

EXAMPLES = Path(__file__).resolve().parents[4] / "examples" / "steps"
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="only Linux can confine a program")


def example(rendition: str) -> OwnStep:
    """The step of a rendition of the examples' settings."""
    recipes = tomllib.loads((EXAMPLES / "mayfly.toml").read_text())["renditions"]
    faults: list[str] = []
    (found,) = (entry for entry in map(split, recipes[rendition]["steps"]) if entry)
    step = OWN_STEPS[found[0]].parse(Params("", found[1], faults))
    assert faults == []
    return step.located(EXAMPLES)


@pytest.fixture
def sidecar() -> Iterator[str]:
    command = [sys.executable, str(EXAMPLES / "sidecar.py"), "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield process.stdout.readline().strip()
        process.terminate()


@linux_only
def test_the_function_tints(confined: OwnSteps, bounds: Limits, pictures: SimpleNamespace) -> None:
    photo = pictures.photo(64, 48)
    answer = confined.call(example("tinted"), pictures.encoded(photo, "png"), "image/png", bounds)
    tinted = pictures.decoded(bytes(answer.data))
    assert (tinted.width, tinted.height, answer.media_type) == (64, 48, "image/png")
    red, green, blue = (tinted[band].avg() for band in range(3))
    assert red > green > blue
    assert answer.facts is not None
    assert 0.2 < answer.facts["brightness_before"] < 0.8


@linux_only
def test_the_program_lets_wide_pictures_pass_and_rejects_narrow_ones(
    confined: OwnSteps, bounds: Limits, pictures: SimpleNamespace
) -> None:
    wide, narrow = (pictures.encoded(pictures.photo(width, 8), "png") for width in (300, 8))
    answer = confined.call(example("checked"), wide, "image/png", bounds)
    assert (answer.data, answer.facts) == (wide, {"width": 300})
    with pytest.raises(Rejected, match=r"^step-rejected$"):
        confined.call(example("checked"), narrow, "image/png", bounds)


@pytest.mark.parametrize("bands", [1, 2, 3, 4])
@pytest.mark.parametrize("row_filter", ["none", "all"])
def test_the_sidecar_turns_a_picture_into_its_negative(
    sidecar: str, bounds: Limits, pictures: SimpleNamespace, bands: int, row_filter: str
) -> None:
    photo = pictures.photo(24, 18)
    image = photo.colourspace("b-w") if bands < 3 else photo
    image = image if bands % 2 else image.bandjoin(photo[0])
    step = example("negative")
    assert isinstance(step, HttpStep)
    with OwnSteps() as own:
        png = image.pngsave_buffer(filter=row_filter)
        answer = own.call(replace(step, url=sidecar), png, "image/png", bounds)
        turned = pictures.decoded(bytes(answer.data))
        colours = image.extract_band(0, n=1 if bands < 3 else 3)
        assert (turned.extract_band(0, n=colours.bands) + colours - 255).abs().max() == 0
        assert bands % 2 or (turned[bands - 1] - image[bands - 1]).abs().max() == 0
        assert answer.facts == {"width": 24, "height": 18}
        with pytest.raises(Rejected):
            own.call(replace(step, url=sidecar), pictures.encoded(photo, "jpeg"), "image/jpeg", bounds)
