"""A worker under supervision: it is replaced when it ends, killed when it is late, and never believed."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pyvips

from mayfly.model.errors import AttemptFailed, Rejected, WorkerDied, WorkerOverdue
from mayfly.processing.limits import MIB, Limits
from mayfly.processing.recipe import Recipe, parse_recipes
from mayfly.processing.sandbox import WORKER, Outcome, Sandbox
from mayfly.processing.stage import Stage


def run(sandbox: Sandbox, data: bytes, kind: str, *stages: Stage, measured: bool = True) -> Outcome:
    with sandbox.desk(len(data)) as body:
        body.view[: len(data)] = data
        return sandbox.run(body, f"image/{kind}", stages or None, measured=measured)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def await_truth(condition: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "gif", "tiff", "avif", "heic"])
def test_every_type_is_decoded_in_the_cage(kind: str, sandbox: Sandbox, pictures: SimpleNamespace) -> None:
    with run(sandbox, pictures.encoded(pictures.photo(704, 512), kind), kind) as outcome:
        assert [(one.name, one.media_type, one.width, one.height) for one in outcome.pictures] == [
            ("thumb", "image/webp", 256, 186),
            ("preview", "image/jpeg", 704, 512),
            ("large", "image/jpeg", 704, 512),
        ]
        for one in outcome.pictures:
            assert pictures.decoded(bytes(one.data)).width == one.width
        assert (outcome.facts["format"], outcome.facts["width"], outcome.facts["height"]) == (kind, 704, 512)
        assert len(outcome.phash) == 8
        assert set(outcome.timings) == {"decode", "resize", "encode", "facts"}


def test_only_the_stages_asked_for_are_run_in_the_order_asked_and_measured_if_wanted(
    sandbox: Sandbox, pictures: SimpleNamespace
) -> None:
    data = pictures.encoded(pictures.photo(704, 512), "png")
    thumb, _, large = (stage for recipe in sandbox.recipes for stage in recipe.stages)
    with run(sandbox, data, "png", large, thumb, measured=False) as outcome:
        assert [one.name for one in outcome.pictures] == ["large", "thumb"]
        assert (outcome.facts, outcome.phash) == ({}, b"")


def test_a_recipe_goes_on_from_what_a_step_of_the_users_own_gave_back(pictures: SimpleNamespace) -> None:
    steps = ["orient", {"http": "http://127.0.0.1:9/x"}, {"resize": {"width": 100, "height": 100}}]
    (recipe,) = parse_recipes({"mine": {"steps": [*steps, {"encode": {"format": "webp"}}]}})
    assert recipe.first is not None
    data = pictures.encoded(pictures.with_orientation(pictures.photo(704, 512), 6), "jpeg")
    with Sandbox(Limits(), [recipe]) as sandbox:
        with run(sandbox, data, "jpeg", recipe.first) as outcome:
            handed_over = outcome.pictures[0]
            assert (handed_over.media_type, handed_over.width, handed_over.height) == ("image/png", 512, 704)
            png = bytes(handed_over.data)
        with run(sandbox, png, "png", recipe.legs[0].stage, measured=False) as outcome:
            finished = outcome.pictures[0]
            assert (finished.name, finished.media_type, finished.height) == ("mine", "image/webp", 100)


def test_a_body_larger_than_any_upload_is_wiped_and_not_kept(sandbox: Sandbox) -> None:
    with sandbox.desk(1_000) as kept:
        pass
    with sandbox.desk(17 * MIB) as large:
        assert large is not kept
        large.view[:4] = b"mine"
    assert large.fileno() == -1
    with sandbox.desk(1_000) as again:
        assert again is kept


def test_colours_and_depths_that_need_more_machinery_are_decoded_in_the_cage(
    sandbox: Sandbox, pictures: SimpleNamespace
) -> None:
    image = pictures.photo()
    deep = (image.cast("ushort") * 257).cast("ushort").copy(interpretation="rgb16")
    for data, kind in [
        (image.icc_export(output_profile="cmyk").jpegsave_buffer(), "jpeg"),
        (image.icc_transform("p3", input_profile="srgb").jpegsave_buffer(profile="p3"), "jpeg"),
        (image.pngsave_buffer(profile="srgb"), "png"),
        (deep.pngsave_buffer(), "png"),
        (deep.heifsave_buffer(compression="av1", bitdepth=10, effort=0), "avif"),
        (image.bandjoin(image[0]).webpsave_buffer(), "webp"),
        (image.tiffsave_buffer(compression="jpeg"), "tiff"),
        (pictures.with_orientation(image, 6).jpegsave_buffer(), "jpeg"),
    ]:
        run(sandbox, data, kind).close()


def test_every_format_is_written_in_the_cage(pictures: SimpleNamespace) -> None:
    raw = {name: {"steps": ["orient", {"encode": {"format": name}}]} for name in ("jpeg", "png", "webp", "avif")}
    data = pictures.encoded(pictures.photo(), "png")
    with Sandbox(Limits(), parse_recipes(raw)) as sandbox, run(sandbox, data, "png") as outcome:
        assert [one.media_type for one in outcome.pictures] == [f"image/{name}" for name in raw]


def test_a_picture_held_whole_needs_no_temporary_file(sandbox: Sandbox) -> None:
    # Interlaced PNG cannot be streamed: 108 MB here, over the 100 MB from which libvips goes to disk by default.
    data = pyvips.Image.black(6_000, 6_000, bands=3).copy(interpretation="srgb").pngsave_buffer(interlace=True)
    run(sandbox, data, "png").close()


def test_a_rejection_names_its_reason_and_costs_the_worker(sandbox: Sandbox, pictures: SimpleNamespace) -> None:
    data = pictures.encoded(pictures.photo(), "jpeg")
    run(sandbox, data, "jpeg").close()
    before = sandbox.pid
    with pytest.raises(Rejected, match=r"^truncated$"):
        run(sandbox, data[:-500], "jpeg")
    assert sandbox.pid is None
    run(sandbox, data, "jpeg").close()
    assert sandbox.pid != before


@pytest.mark.parametrize(
    ("made", "kind", "reason"),
    [
        (lambda pictures: pictures.png_of_size(50_000, 50_000), "png", "too-many-pixels"),
        (lambda pictures: pictures.png_of_size(20_000, 20_000, interlaced=True), "png", "too-many-pixels"),
        (lambda pictures: pictures.gif_of_frames(10_000), "gif", "too-many-frames"),
        (lambda pictures: b"hello", "heic", "truncated"),
    ],
)
def test_bombs_are_rejected_through_the_sandbox(
    made: Callable[[SimpleNamespace], bytes], kind: str, reason: str, sandbox: Sandbox, pictures: SimpleNamespace
) -> None:
    with pytest.raises(Rejected, match=rf"^{reason}$"):
        run(sandbox, made(pictures), kind)


def test_one_worker_serves_many_images(sandbox: Sandbox, pictures: SimpleNamespace) -> None:
    data = pictures.encoded(pictures.photo(), "jpeg")
    run(sandbox, data, "jpeg").close()
    before = sandbox.pid
    for _ in range(5):
        run(sandbox, data, "jpeg").close()
    assert sandbox.pid == before


def test_a_worker_killed_in_mid_run_costs_one_attempt_and_is_replaced(
    sandbox: Sandbox, pictures: SimpleNamespace
) -> None:
    data = pictures.encoded(pictures.photo(), "jpeg")
    run(sandbox, data, "jpeg").close()
    pid = sandbox.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    threading.Timer(0.3, os.kill, (pid, signal.SIGKILL)).start()
    with pytest.raises(WorkerDied, match=r"^worker-died$"):
        run(sandbox, data, "jpeg")
    run(sandbox, data, "jpeg").close()
    assert sandbox.pid != pid


def test_a_worker_that_died_between_images_costs_nothing(sandbox: Sandbox, pictures: SimpleNamespace) -> None:
    data = pictures.encoded(pictures.photo(), "jpeg")
    run(sandbox, data, "jpeg").close()
    pid = sandbox.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    # Waited for, not only dead: a process whose other threads are still ending is a zombie that wait() does not give.
    await_truth(lambda: os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None)
    run(sandbox, data, "jpeg").close()


def test_a_worker_that_died_between_images_is_replaced_when_it_is_tended(recipes: tuple[Recipe, ...]) -> None:
    with Sandbox(Limits(), recipes) as sandbox:
        sandbox.tend()
        assert sandbox.pid is None
        assert sandbox.cage
        pid = sandbox.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await_truth(lambda: os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None)
        sandbox.tend()
        assert sandbox.pid not in (None, pid)


@pytest.mark.parametrize("size", [10, 5 * MIB])
def test_nothing_of_an_original_stays_on_the_desk(recipes: tuple[Recipe, ...], size: int) -> None:
    with Sandbox(Limits(), recipes) as sandbox:
        with sandbox.desk(size) as body:
            body.view[:size] = b"x" * size
            first = body
        with sandbox.desk(7) as body:
            assert body is first
            assert not any(body.view)


def test_a_worker_past_its_time_is_killed(recipes: tuple[Recipe, ...], pictures: SimpleNamespace) -> None:
    with Sandbox(Limits(seconds=0.6), recipes) as sandbox:
        assert sandbox.cage
        pid = sandbox.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        with pytest.raises(WorkerOverdue, match=r"^worker-overdue$"):
            run(sandbox, pictures.encoded(pictures.photo(), "jpeg"), "jpeg")
        assert not alive(pid)


def test_a_worker_out_of_memory_fails_the_attempt(recipes: tuple[Recipe, ...]) -> None:
    data = pyvips.Image.black(8_000, 8_000, bands=3).copy(interpretation="srgb").pngsave_buffer(interlace=True)
    with Sandbox(Limits(memory=200 * MIB), recipes) as sandbox, pytest.raises(AttemptFailed):
        run(sandbox, data, "png")


def test_more_output_than_there_is_room_for_fails_the_attempt(
    recipes: tuple[Recipe, ...], pictures: SimpleNamespace
) -> None:
    with Sandbox(Limits(output=1_000), recipes) as sandbox, pytest.raises(AttemptFailed, match=r"^output-too-large$"):
        run(sandbox, pictures.encoded(pictures.photo(), "jpeg"), "jpeg")


def test_closing_an_outcome_takes_its_pictures_away(sandbox: Sandbox, pictures: SimpleNamespace) -> None:
    with run(sandbox, pictures.encoded(pictures.photo(), "jpeg"), "jpeg") as outcome:
        data = outcome.pictures[0].data
        assert data.readonly
    with pytest.raises(ValueError, match="released"):
        data[0]


def test_runs_leave_no_descriptor_behind(sandbox: Sandbox, pictures: SimpleNamespace) -> None:
    data = pictures.encoded(pictures.photo(), "jpeg")
    run(sandbox, data, "jpeg").close()

    def count() -> tuple[int, int]:
        return len(os.listdir("/proc/self/fd")), len(os.listdir(f"/proc/{sandbox.pid}/fd"))

    before = count()
    for _ in range(5):
        run(sandbox, data, "jpeg").close()
    assert count() == before


def test_a_workers_memory_is_bounded(recipes: tuple[Recipe, ...], pictures: SimpleNamespace) -> None:
    data = pictures.encoded(pictures.photo(2400, 1800), "jpeg")

    def resident(pid: int | None) -> int:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // MIB

    with Sandbox(Limits(), recipes) as sandbox:
        for _ in range(5):
            run(sandbox, data, "jpeg").close()
        early = resident(sandbox.pid)
        for _ in range(25):
            run(sandbox, data, "jpeg").close()
        assert resident(sandbox.pid) < max(early + 25, 100)


def test_a_worker_dies_with_its_parent() -> None:
    code = (
        "import time\n"
        "from mayfly.processing.limits import MIB, Limits\n"
        "from mayfly.processing.sandbox import Sandbox\n"
        "sandbox = Sandbox(Limits(), ())\n"
        "assert sandbox.cage\n"
        "print(sandbox.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        os.kill(worker, signal.SIGSTOP)  # so that it cannot see its socket end
        parent.kill()
        await_truth(lambda: not alive(worker))


# A worker that lies. Each test takes an honest reply and changes one thing.

ONE = parse_recipes({"thumb": {"steps": ["orient", {"encode": {"format": "webp"}}]}})
HONEST: dict[str, Any] = {
    "pictures": [{"name": "thumb", "media_type": "image/webp", "width": 9, "height": 9, "offset": 0, "size": 4}],
    "facts": {
        "format": "png",
        "kib": 1,
        "width": 9,
        "height": 9,
        "orientation": 1,
        "frames": 1,
        "alpha": False,
        "dominant_colour": "#000000",
        "brightness": 0.5,
        "sharpness": 2.5,
    },
    "phash": "00" * 8,
    "timings": {"decode": 1.0, "resize": 1.0, "encode": 1.0, "facts": 1.0},
}

LIAR = """
import socket, sys, time
from mayfly.processing import wire
channel = socket.socket(fileno=0)
wire.receive(channel)
wire.send(channel, {{"ready": True, "cage": {{}}}})
wire.receive_with_descriptors(channel, 2)
{does}
time.sleep(60)
"""


@contextmanager
def liar(does: str, seconds: float = 20) -> Iterator[Sandbox]:
    command = (sys.executable, "-I", "-c", LIAR.format(does=does))
    with Sandbox(Limits(seconds=seconds), ONE, command) as sandbox:
        yield sandbox


def says(reply: Any) -> str:
    data = json.dumps(reply).encode()
    return f"channel.sendall({len(data).to_bytes(4, 'big') + data!r})"


def changed(path: tuple[Any, ...], value: Any) -> Any:
    reply = json.loads(json.dumps(HONEST))
    place = reply
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return reply


def test_the_honest_reply_is_believed() -> None:
    with liar(says(HONEST)) as sandbox, run(sandbox, b"x", "png") as outcome:
        assert bytes(outcome.pictures[0].data) == bytes(4)


def test_facts_that_nobody_asked_for_are_not_believed() -> None:
    stage = ONE[0].stages[0]
    silent = {name: HONEST[name] for name in ("pictures", "timings")}
    with liar(says(silent)) as sandbox, run(sandbox, b"x", "png", stage, measured=False) as outcome:
        assert outcome.facts == {}
    for reply, measured in ((HONEST, False), (silent, True)):
        with liar(says(reply)) as sandbox, pytest.raises(WorkerDied, match=r"^worker-unbelievable$"):
            run(sandbox, b"x", "png", stage, measured=measured)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("pictures", 0, "offset"), -1),
        (("pictures", 0, "offset"), 64 * MIB - 3),
        (("pictures", 0, "offset"), 10**30),
        (("pictures", 0, "size"), 64 * MIB + 1),
        (("pictures", 0, "size"), 0),
        (("pictures", 0, "size"), True),
        (("pictures", 0, "size"), 4.0),
        (("pictures", 0, "name"), "../../etc/passwd"),
        (("pictures", 0, "media_type"), "text/html"),
        (("pictures", 0, "media_type"), ["image/webp"]),
        (("pictures", 0, "width"), 70_000),
        (("pictures", 0, "extra"), 1),
        (("pictures", 0), "thumb"),
        (("pictures",), []),
        (("pictures",), {"0": 1}),
        (("pictures",), None),
        (("facts", "format"), "<script>"),
        (("facts", "format"), {"a": 1}),
        (("facts", "dominant_colour"), "red"),
        (("facts", "brightness"), 1.5),
        (("facts", "brightness"), 10**400),
        (("facts", "frames"), 0),
        (("facts", "alpha"), "yes"),
        (("facts", "secret"), "x"),
        (("facts",), []),
        (("phash",), "00"),
        (("phash",), 7),
        (("timings", "decode"), -1),
        (("timings",), {}),
        (("rejected",), "corrupt"),
    ],
)
def test_a_lie_is_not_believed(path: tuple[Any, ...], value: Any) -> None:
    with liar(says(changed(path, value))) as sandbox:
        with pytest.raises(WorkerDied, match=r"^worker-unbelievable$"):
            run(sandbox, b"x", "png")
        assert sandbox.pid is None


@pytest.mark.parametrize(
    "reply", [{"rejected": "<b>"}, {"rejected": ["corrupt"]}, {"failed": "A b"}, {"failed": 1}, {}]
)
def test_neither_is_a_reason_nobody_knows(reply: dict[str, Any]) -> None:
    with liar(says(reply)) as sandbox, pytest.raises(WorkerDied, match=r"^worker-unbelievable$"):
        run(sandbox, b"x", "png")


@pytest.mark.parametrize(
    "does",
    [
        'channel.sendall(b"\\xff" * 100_000)',
        'channel.sendall((5).to_bytes(4, "big") + b"hello")',
        'channel.sendall((2).to_bytes(4, "big") + b"[]")',
        'channel.sendall((3).to_bytes(4, "big") + b"NaN")',
        'channel.sendall((60000).to_bytes(4, "big") + b"[" * 60000)',
        'channel.sendall((3).to_bytes(4, "big") + b"\\xff\\xfe{")',
        'channel.sendall((9).to_bytes(4, "big") + b"half"); sys.exit()',
        "sys.exit()",
    ],
)
def test_garbage_on_the_socket_is_a_dead_worker(does: str) -> None:
    with liar(does) as sandbox, pytest.raises(WorkerDied):
        run(sandbox, b"x", "png")


def test_a_worker_that_dribbles_is_overdue_all_the_same() -> None:
    does = (
        'channel.sendall((9999).to_bytes(4, "big"))\n'
        'for _ in range(80): channel.sendall(b" "); time.sleep(0.05)\n'
        "sys.exit()"
    )
    begun = time.monotonic()
    with liar(does, seconds=1) as sandbox, pytest.raises(WorkerOverdue):
        run(sandbox, b"x", "png")
    assert time.monotonic() - begun < 5


def test_a_worker_that_cannot_start_says_so() -> None:
    with Sandbox(Limits(), ONE, ("/bin/false",)) as sandbox, pytest.raises(WorkerDied):
        run(sandbox, b"x", "png")


def test_a_worker_heeds_no_environment_and_no_working_folder_but_the_users_own_site() -> None:
    """That site is where `pip install --user` puts Mayfly itself."""
    flags = "import sys; print(sys.flags.ignore_environment, sys.flags.safe_path, sys.flags.no_user_site)"
    options = WORKER[1 : WORKER.index("-m")]
    told = subprocess.run([WORKER[0], *options, "-c", flags], capture_output=True, text=True, timeout=60, check=True)
    assert told.stdout.split() == ["1", "True", "0"]
