"""What a worker that was taken over can still do: nothing that matters. Each test tries it."""

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from mayfly.model.errors import AttemptFailed
from mayfly.processing.limits import MIB, Limits
from mayfly.processing.sandbox import Sandbox

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="these layers are Linux's")

TAKEN_OVER = """
import ctypes, mmap, os, resource, signal, socket, sys
from mayfly.processing import cage, wire
channel = socket.socket(fileno=0)
setup = wire.receive(channel)
before = {before!r}
found = eval(before)
wire.send(channel, {{"ready": True, "cage": cage.enter(setup["limits"]["memory"])}})
request, (body, output) = wire.receive_with_descriptors(channel, 2)
try:
    {attempt}
except MemoryError:
    answer = "no-memory"
except OSError as error:
    answer = "denied"
else:
    answer = "allowed"
wire.send(channel, {{"failed": found or answer}})
"""


def attempt(code: str, before: str = "''") -> str:
    """What became of it: `allowed`, `denied` or `no-memory`; or what `before` found ahead of the cage."""
    command = (sys.executable, "-I", "-c", TAKEN_OVER.format(attempt=code, before=before))
    with (
        Sandbox(Limits(memory=256 * MIB), (), command) as sandbox,
        sandbox.desk(4096) as body,
        pytest.raises(AttemptFailed) as caught,
    ):
        sandbox.run(body, "image/png")
    return str(caught.value)


def test_the_attempts_are_really_made() -> None:
    assert attempt("1 + 1") == "allowed"


@linux_only
@pytest.mark.parametrize(
    "code",
    [
        "open('/etc/passwd')",
        "open('/proc/self/environ')",
        "open('/dev/shm/x', 'w')",
        "open('/tmp/x', 'w')",
        "os.listdir('/')",
        "os.mkdir('/tmp/mayfly-test')",
        "os.memfd_create('more')",
        "socket.socket(socket.AF_INET)",
        "socket.socket(socket.AF_UNIX)",
        "socket.socketpair()",
        "os.fork()",
        "os.execv('/bin/true', ['true'])",
        "os.kill(os.getppid(), 0)",
        "resource.prlimit(0, resource.RLIMIT_FSIZE, (9, 9))",
        "os.ftruncate(output, 0)",
        "os.ftruncate(output, 1 << 30)",
        "os.ftruncate(body, 0)",
        "mmap.mmap(body, 4096)",
        "os.write(body, b'x')",
    ],
)
def test_it_cannot(code: str) -> None:
    assert attempt(code) == "denied"


@linux_only
def test_it_cannot_take_more_memory_than_its_limit() -> None:
    assert attempt("bytearray(400 << 20)") == "no-memory"


@linux_only
def test_it_can_write_what_it_was_given_to_write() -> None:
    assert attempt("mmap.mmap(output, 4096)[:1] = b'x'") == "allowed"


def test_it_inherits_neither_environment_nor_descriptors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAYFLY_TOKEN", "secret")
    monkeypatch.setenv("MAYFLY_DEBUG", "1")
    secret = os.open("/dev/null", os.O_RDONLY)
    os.set_inheritable(secret, True)
    try:
        # LC_CTYPE is Python's own doing (PEP 538); one descriptor more is that of the listing itself.
        environment = "'env-' + '-'.join(sorted(key.lower() for key in os.environ if key != 'LC_CTYPE'))"
        assert attempt("0", f"({environment}).rstrip('-')") == "env"
        assert attempt("0", "'descriptors-' + str(len(os.listdir('/dev/fd')))") == "descriptors-4"
    finally:
        os.close(secret)


@linux_only
@pytest.mark.parametrize(
    ("layer", "code"),
    [
        ("landlock.deny_everything()", "open('/etc/passwd')"),
        ("landlock.deny_everything()", "open('/tmp/x', 'w')"),
        ("landlock.deny_everything()", "os.kill(os.getppid(), 0)"),
        ("seccomp.deny_dangerous_calls()", "open('/etc/passwd')"),
        ("seccomp.deny_dangerous_calls()", "socket.socket()"),
        ("cage._leave_network()", "socket.create_connection(('127.0.0.1', 9))"),
        ("cage._limit(resource.RLIMIT_FSIZE, 0)", "open('/dev/shm/mayfly-test', 'w').write('x' * 100_000)"),
    ],
)
def test_each_layer_holds_alone(layer: str, code: str) -> None:
    script = (
        "import os, resource, signal, socket\n"
        "from mayfly.processing import cage, landlock, seccomp\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"cage._prctl(38, 1)\n{layer}\n"
        f"try:\n    {code}\n"
        "except OSError as error:\n    print('denied', error.errno)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert done.stdout.startswith("denied"), done


@linux_only
def test_a_real_worker_reports_every_layer(sandbox: Sandbox) -> None:
    assert sandbox.cage == dict.fromkeys(
        (
            "memory",
            "no_file_grows",
            "no_core_dump",
            "few_descriptors",
            "no_network",
            "no_new_privileges",
            "not_traceable",
            "dies_with_parent",
            "no_files",
            "no_dangerous_calls",
        ),
        True,
    )


@linux_only
def test_a_real_workers_limits_are_the_kernels(sandbox: Sandbox, pictures: SimpleNamespace) -> None:
    assert sandbox.cage
    with open(f"/proc/{sandbox.pid}/limits") as lines:
        limits = {line[:25].strip(): line[25:].split()[:2] for line in lines}
    assert limits["Max file size"] == limits["Max core file size"] == ["0", "0"]
    assert limits["Max address space"] == [str(Limits().memory)] * 2
    with open(f"/proc/{sandbox.pid}/status") as lines:
        status = dict(line.rstrip("\n").split(":\t", 1) for line in lines if ":\t" in line)
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")


@pytest.mark.parametrize(
    "code",
    [
        'pyvips.Image.new_from_buffer(b\'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>\', \'\')',
        'pyvips.Image.svgload_buffer(b\'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>\')',
        "pyvips.Image.csvload_source(pyvips.Source.new_from_memory(b'1,2'))",
        "pyvips.Image.new_from_buffer(jpeg, '')",
        "pyvips.Image.black(9, 9).vipssave('/dev/null')",
        "pyvips.Image.system('true')",
    ],
)
def test_only_the_wanted_loaders_and_writers_are_enabled(code: str, pictures: SimpleNamespace) -> None:
    script = (
        "import pyvips\n"
        f"jpeg = {pictures.encoded(pictures.quadrants(), 'jpeg')!r}\n"
        "from mayfly.processing import engine\n"
        "engine.start()\n"
        "assert pyvips.Image.jpegload_source(pyvips.Source.new_from_memory(jpeg)).width == 192\n"
        f"try:\n    {code}\n"
        "except pyvips.Error as error:\n    print('refused', error)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert done.stdout.startswith("refused"), done
