"""One original to all its renditions and facts.

    header → bounds → ONE decode, as small as the largest rendition allows
                        → largest → steps → encode
                            ↓
                          smaller → steps → encode
                            ↓ ...

Every rendition starts from the pixels of the one before it, never from the file again: 131 ms of CPU for a photo
against 213.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pyvips

from mayfly.model.errors import AttemptFailed
from mayfly.model.image import MediaType
from mayfly.processing.decode import Original, read_header, says_out_of_memory
from mayfly.processing.facts import MEASURED_AT, Findings, measure
from mayfly.processing.limits import Limits
from mayfly.processing.picture import Picture, Size, swap_if
from mayfly.processing.stage import Stage
from mayfly.processing.steps import POINTWISE, Orient, Resize, Step
from mayfly.processing.steps.resize import scale_to

_FACTS: tuple[Step, ...] = (Orient(), MEASURED_AT)


@dataclass(frozen=True, slots=True)
class Made:
    """What one stage made. Sizes in pixels, `data` the encoded file."""

    name: str
    media_type: str
    width: int
    height: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Result:
    """`timings` are milliseconds: `decode` holds header, decoding and the first shrinking, which are one pass.
    `facts` and `phash` are empty where nothing was measured."""

    renditions: tuple[Made, ...]
    facts: dict[str, Any]
    phash: bytes
    timings: dict[str, float]


class Stopwatch:
    """Adds up milliseconds by stage."""

    def __init__(self, stages: Sequence[str]) -> None:
        self.spent = dict.fromkeys(stages, 0.0)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        begun = time.perf_counter()
        try:
            yield
        finally:
            self.spent[name] += (time.perf_counter() - begun) * 1_000


def process(
    data: memoryview, media_type: MediaType, stages: Sequence[Stage], limits: Limits, *, measured: bool = True
) -> Result:
    """Every stage's picture, and unless they are not to be `measured`, the facts.

    Raises:
    Rejected: the image is at fault; the reason is a slug.
    AttemptFailed: a rendition would be too large, or cannot be written in its format; the reason is a slug.
    MemoryError: it does not fit into this process's memory.
    """
    watch = Stopwatch(("decode", "resize", "encode", "facts"))
    wants: list[tuple[Stage | None, tuple[Step, ...]]] = [
        (stage, _without_slack(stage.steps, media_type)) for stage in stages
    ]
    if measured:
        wants.append((None, _FACTS))
    with watch.stage("decode"):
        original = read_header(data, media_type, limits)
        wants.sort(key=lambda want: reach(want[1], original.size, original.orientation), reverse=True)
        picture = original.picture(reach(wants[0][1], original.size, original.orientation))
        picture = replace(picture, most=limits.pixels)
    if all(isinstance(next(iter(steps), None), Orient) for _, steps in wants):
        with watch.stage("resize"):
            picture = Orient().apply(picture)
    made: dict[str, Made] = {}
    findings = None
    for stage, steps in wants:
        with watch.stage("resize"):
            size = reach(steps, picture.size, picture.orientation)
            picture = replace(picture, image=scale_to(picture.image, size))
            finished = _apply(steps, picture)
        if stage is None:
            with watch.stage("facts"):
                findings = measure(finished)
        else:
            with watch.stage("encode"):
                made[stage.name] = _encode(stage, finished)
    renditions = tuple(made[stage.name] for stage in stages)
    if findings is None:
        return Result(renditions, {}, b"", watch.spent)
    return Result(renditions, _facts(original, findings), findings.phash, watch.spent)


def _without_slack(steps: tuple[Step, ...], media_type: MediaType) -> tuple[Step, ...]:
    """Slack is for what it saves, and only JPEG decoders can leave pixels out: other types come out as asked for."""
    if media_type is MediaType.JPEG:
        return steps
    return tuple(replace(step, slack=0) if isinstance(step, Resize) else step for step in steps)


def reach(steps: Sequence[Step], size: Size, orientation: int) -> Size:
    """How many pixels of a picture the steps can make use of. A recipe that begins by shrinking needs no more than it
    shrinks to; a verb before that which is not pointwise needs all of them. In the coordinates of `size`, not yet
    upright, and of its proportions: so of any two, one has no fewer pixels along either side."""
    turned = False
    for step in steps:
        if isinstance(step, Resize):
            return swap_if(turned, step.reach(swap_if(turned, size)))
        if isinstance(step, Orient):
            turned = orientation >= 5
        elif not isinstance(step, POINTWISE):
            break
    return size


def _apply(steps: Sequence[Step], picture: Picture) -> Picture:
    try:
        for step in steps:
            picture = step.apply(picture)
    except pyvips.Error as error:
        raise MemoryError if says_out_of_memory(str(error)) else AttemptFailed("step-failed") from None
    return picture


def _encode(stage: Stage, picture: Picture) -> Made:
    try:
        media_type, data = stage.encode.write(picture)
    except pyvips.Error as error:
        # The pixels are decoded and in memory: this is the format's limit (WebP has 16,383 pixels a side).
        raise MemoryError if says_out_of_memory(str(error)) else AttemptFailed("encode-failed") from None
    return Made(stage.name, media_type, picture.image.width, picture.image.height, data)


def _facts(original: Original, findings: Findings) -> dict[str, Any]:
    """What analysts see. `kib` is rounded up: the exact size in bytes would single out a known file."""
    upright = swap_if(original.orientation >= 5, original.size)
    return {
        "format": original.media_type.name.lower(),
        "kib": -(-len(original.data) // 1024),
        "width": upright[0],
        "height": upright[1],
        "orientation": original.stored_orientation,
        "frames": original.frames,
        "alpha": findings.alpha,
        "dominant_colour": findings.dominant_colour,
        "brightness": findings.brightness,
        "sharpness": findings.sharpness,
    }
