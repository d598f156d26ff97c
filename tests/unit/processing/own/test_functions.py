"""Python functions as steps: imported once, run in a process of their own for each image."""

import sys
import textwrap
from pathlib import Path

import pytest

from mayfly.model.errors import AttemptFailed, Misconfigured, Rejected
from mayfly.processing.limits import Limits
from mayfly.processing.own.answer import Answer
from mayfly.processing.own.call import OwnSteps
from mayfly.processing.own.step import FunctionStep

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux can confine a function")

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x04\0\0\0\x03\x08\x02\0\0\0" + bytes(60)

MANY = """
    import os, sys, threading, time
    from mayfly.steps import RejectImage

    loaded, calls = os.getpid(), []

    def step(image, media_type, parameters):
        calls.append(1)
        print("no picture")
        what = image[%d:].decode()
        return eval(what, globals() | locals()) if what else tell(image, media_type, parameters, loaded, len(calls))

    def tell(*what):
        return what[0][:%d] + repr(what).encode()

    def fail(error):
        raise error
""" % (len(PNG), len(PNG))  # noqa: UP031 - it holds braces


@pytest.fixture
def many(folder: Path) -> Path:
    (folder / "many.py").write_text(textwrap.dedent(MANY))
    return folder


def call(confined: OwnSteps, folder: Path, bounds: Limits, do: str = "") -> Answer:
    step = FunctionStep(function="many.py:step", parameters=(("mode", "soft"),), timeout=1).located(folder)
    return confined.call(step, PNG + do.encode(), "image/png", bounds)


def test_a_function_is_imported_once_and_called_anew_for_each_image(
    confined: OwnSteps, many: Path, bounds: Limits
) -> None:
    told = [bytes(call(confined, many, bounds).data)[len(PNG) :] for _ in range(3)]
    assert len(set(told)) == 1
    assert eval(told[0]) == (PNG, "image/png", {"mode": "soft"}, 1, 1)


def test_a_function_may_give_facts_beside_its_picture(confined: OwnSteps, many: Path, bounds: Limits) -> None:
    assert call(confined, many, bounds, "(image, {'faces': 2})").facts == {"faces": 2}
    assert call(confined, many, bounds, "bytearray(image)").facts is None


def test_a_function_holds_no_way_to_mayfly(confined: OwnSteps, many: Path, bounds: Limits) -> None:
    own = "'/proc/self/fd/' + n"
    links = f"[os.readlink({own}) for n in os.listdir('/proc/self/fd') if os.path.islink({own})]"
    told = bytes(call(confined, many, bounds, f"tell(image, str({links}))").data)[len(PNG) :]
    assert b"/dev/null" in told
    assert b"socket:" not in told
    assert b"pidfd" not in told


def test_rejecting_is_said_by_an_exception(confined: OwnSteps, many: Path, bounds: Limits) -> None:
    with pytest.raises(Rejected, match=r"^step-rejected$"):
        call(confined, many, bounds, "fail(RejectImage('because'))")


def test_what_goes_wrong_fails_the_attempt_and_that_one_alone(confined: OwnSteps, many: Path, bounds: Limits) -> None:
    for do, slug in [
        ("1 / 0", "step-failed"),
        ("fail(ValueError('quotes the image'))", "step-failed"),
        ("sys.exit(0)", "step-failed"),
        ("None", "step-failed"),
        ("'a text'", "step-failed"),
        ("b'a text'", "step-output-unknown"),
        ("(image, {'a': b'no JSON'})", "step-facts-invalid"),
        ("(image, [])", "step-facts-invalid"),
        ("bytearray(3 << 30)", "step-out-of-memory"),
        ("image + bytes(3 << 20)", "step-output-too-large"),
        ("os._exit(0)", "step-output-unknown"),
        ("os.kill(os.getpid(), 9)", "step-crashed"),
        ("open('/tmp/x', 'w')", "step-failed"),
        ("time.sleep(600)", "step-overdue"),
    ]:
        with pytest.raises(AttemptFailed, match=f"^{slug}$"):
            call(confined, many, bounds, do)
    assert call(confined, many, bounds).media_type == "image/png"


def test_a_function_of_an_installed_package_is_found_by_its_entry_point(
    confined: OwnSteps, folder: Path, bounds: Limits, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "theirs.py").write_text("def step(image, media_type, parameters):\n    return image + b'theirs'\n")
    info = folder / "theirs-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text("[mayfly.steps]\nblur = theirs:step\n")
    monkeypatch.syspath_prepend(str(folder))
    step = FunctionStep(function="blur")
    assert step.faults() == []
    first = step.fingerprint
    (folder / "theirs.py").write_text("def step(image, media_type, parameters):\n    return image + b'changed'\n")
    assert step.fingerprint != first
    # The host has a path of its own, on which this folder is not: what is told is why.
    with pytest.raises(Misconfigured, match=r"python\.function: step-not-loadable: ValueError"):
        confined.check([step])


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("def other(): pass", "AttributeError: module 'broken' has no attribute 'step'"),
        ("step = 3", "TypeError: step is no function"),
        ("raise SystemExit('stop')", "SystemExit: stop"),
        ("import os; os.kill(os.getpid(), 9); os._exit(1)", "its process ended"),
    ],
)
def test_a_function_that_cannot_be_loaded_is_told_before_the_first_image(
    confined: OwnSteps, folder: Path, bounds: Limits, code: str, told: str
) -> None:
    (folder / "broken.py").write_text(code)
    step = FunctionStep(function="broken.py:step").located(folder)
    with pytest.raises(Misconfigured) as caught:
        confined.check([step])
    assert told in str(caught.value)
    with pytest.raises(AttemptFailed, match=r"^step-not-loadable$"):
        confined.call(step, PNG, "image/png", bounds)


def test_helpers_beside_a_function_are_imported_if_they_may_be_read(
    confined: OwnSteps, folder: Path, bounds: Limits
) -> None:
    (folder / "helper.py").write_text("tail = b'helped'\n")
    code = "import helper\ndef step(image, media_type, parameters):\n    return image + helper.tail\n"
    (folder / "uses.py").write_text(code)
    step = FunctionStep(function="uses.py:step", read=("helper.py",)).located(folder)
    assert confined.call(step, PNG, "image/png", bounds).data == PNG + b"helped"
    alone = FunctionStep(function="uses.py:step").located(folder)
    with pytest.raises(AttemptFailed, match=r"^step-not-loadable$"):
        confined.call(alone, PNG, "image/png", bounds)


def test_a_host_outlives_its_images_and_not_its_keeper(confined: OwnSteps, many: Path, bounds: Limits) -> None:
    with pytest.raises(AttemptFailed):
        call(confined, many, bounds, "os.kill(0, 9)")
    assert call(confined, many, bounds).media_type == "image/png"
