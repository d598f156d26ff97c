"""Programs and functions behind walls. Each test runs real code that tries something, and looks at what became of it;
each failure costs one attempt, and nothing is left behind."""

import os
import signal
import socket
import sys
import textwrap
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mayfly.model.errors import AttemptFailed, Misconfigured, Rejected
from mayfly.processing.limits import MIB, Limits
from mayfly.processing.own import call, keeper
from mayfly.processing.own.answer import Answer
from mayfly.processing.own.call import OwnSteps
from mayfly.processing.own.keeper import Keeper
from mayfly.processing.own.step import FunctionStep, RunStep
from support.processes import descendants

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux can confine a program")

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x04\0\0\0\x03\x08\x02\0\0\0" + bytes(60)
SOON = 8.0
HOST_PROCESSES = 2
"""The one that was started, and the one behind the walls."""

Run = Callable[..., Answer]


@pytest.fixture
def program(confined: OwnSteps, folder: Path, bounds: Limits) -> Run:
    """Run a Python script as an executable: `image`, `parameters`, `say` (write a picture that tells) and `attempt` are
    there."""

    def run(code: str, data: bytes = PNG, **options: Any) -> Answer:
        step = written(folder, code, **options)
        confined.close()  # the host of another program
        before = set(descendants(os.getpid()))
        try:
            return confined.call(step, data, "image/png", bounds)
        finally:
            assert len(set(descendants(os.getpid())) - before) <= HOST_PROCESSES

    return run


def written(folder: Path, code: str, **options: Any) -> RunStep:
    head = """\
        #!/usr/bin/env python3
        import errno, json, os, signal, socket, subprocess, sys, time
        image = sys.stdin.buffer.read()
        parameters = json.loads(os.environ["MAYFLY_PARAMETERS"])
        head = %r
        def say(what):
            global head
            sys.stdout.buffer.write(head + str(what).encode())
            sys.stdout.flush()
            head = b""
        def attempt(what):
            try:
                say(what() or "done")
            except OSError as error:
                say(errno.errorcode[error.errno])
    """
    file = folder / "x"
    file.write_text(textwrap.dedent(head) % PNG + textwrap.dedent(code))
    file.chmod(0o755)
    return RunStep(command=("./x", *options.pop("arguments", ())), **options).located(folder)


def said(answer: Answer) -> str:
    assert bytes(answer.data[: len(PNG)]) == PNG
    return bytes(answer.data[len(PNG) :]).decode()


def failing(slug: str) -> Any:
    return pytest.raises(AttemptFailed, match=f"^{slug}$")


def test_a_program_gets_the_image_its_type_its_parameters_and_its_arguments(program: Run) -> None:
    answer = program(
        "say([image.decode(), os.environ['MAYFLY_MEDIA_TYPE'], parameters, sys.argv[1:], os.getcwd()])",
        b"the image",
        parameters=(("mode", "soft"), ("strength", 3)),
        arguments=("-q",),
    )
    assert said(answer) == str(["the image", "image/png", {"mode": "soft", "strength": 3}, ["-q"], "/scratch"])
    assert answer.media_type == "image/png"


def test_a_large_image_goes_through_whole(program: Run) -> None:
    data = PNG + os.urandom(2 * MIB - 200)
    assert program("sys.stdout.buffer.write(image)", data).data == data


def test_a_program_of_the_systems_named_by_its_path_leaves_the_others_of_its_folder_there(bounds: Limits) -> None:
    step = RunStep(command=("/bin/sh", "-c", "/bin/true && /bin/cat"))
    for _ in range(6):  # the order in which a host shows things was by chance
        with OwnSteps() as own:
            assert own.call(step, PNG, "image/png", bounds).data == PNG


@pytest.mark.parametrize("limit", ["-c 0", "-n 128", "-v 900000"])
def test_a_service_that_was_given_less_than_a_step_may_have_runs_steps_all_the_same(limit: str, bounds: Limits) -> None:
    limited = ("/bin/sh", "-c", f'ulimit {limit}; exec "$@"', "sh", *keeper.HOST)
    kept = Keeper(RunStep(command=("cat",)), (), limited)
    try:
        assert kept.call(PNG, "image/png", bounds.output).data == PNG
    finally:
        kept.close()


def test_a_program_of_the_systems_is_found_by_its_name(confined: OwnSteps, bounds: Limits) -> None:
    assert confined.call(RunStep(command=("cat",)), PNG, "image/png", bounds).data == PNG


def test_the_environment_holds_nothing_of_mayflys(program: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAYFLY_SECRET", "hush")
    told = said(program("say(sorted(os.environ))"))
    known = {"HOME", "LANG", "PATH", "TMPDIR", *(f"MAYFLY_{name}" for name in ("FACTS", "MEDIA_TYPE"))}
    assert set(eval(told)) - {"LC_CTYPE"} == known | {"MAYFLY_PARAMETERS", "MAYFLY_SCRATCH"}


def test_nothing_is_inherited_but_standard_streams(program: Run) -> None:
    code = """
        def is_open(number):
            try:
                return bool(os.fstat(number))
            except OSError:
                return False
        say([number for number in range(256) if is_open(number)])
    """
    assert said(program(code)) == "[0, 1, 2]"


def test_what_it_complains_of_is_thrown_away(program: Run, capfd: pytest.CaptureFixture[str]) -> None:
    program("print('a secret of the image', file=sys.stderr); say('')")
    assert capfd.readouterr() == ("", "")


def test_exit_65_rejects_the_image(program: Run) -> None:
    with pytest.raises(Rejected, match=r"^step-rejected$"):
        program("sys.exit(65)")


def test_what_goes_wrong_fails_the_attempt_and_that_one_alone(program: Run) -> None:
    wrongs = [
        ("sys.exit(1)", "step-failed"),
        ("say(''); sys.exit(255)", "step-failed"),
        ("sys.exit(71)", "step-out-of-memory"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "step-crashed"),
        ("import ctypes; ctypes.string_at(0)", "step-crashed"),
        ("pass", "step-output-unknown"),
        ("sys.stdout.write('a text')", "step-output-unknown"),
        ("say(''); sys.stdout.buffer.write(bytes(3 << 20))", "step-output-too-large"),
        ("sys.stdout.buffer.write(image[:16] + b'\\0\\1\\0\\0' * 2 + image[24:])", "step-output-too-many-pixels"),
    ]
    code = f"exec({[code for code, _ in wrongs]!r}[image[-1]])"
    for number, (_, slug) in enumerate(wrongs):
        with failing(slug):
            program(code, PNG + bytes([number]))
    assert said(program("say('well')")) == "well"


@pytest.mark.parametrize(
    "code",
    [
        "signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65)); time.sleep(600)",
        "os.fork() or os.setsid()\nwhile True: pass",
    ],
)
def test_a_program_that_hangs_is_killed_in_time(program: Run, code: str) -> None:
    begun = time.monotonic()
    with failing("step-overdue"):
        program(code, timeout=0.5)
    assert time.monotonic() - begun < SOON


def test_a_flood_is_cut_off_even_if_the_program_will_not_stop(program: Run) -> None:
    begun = time.monotonic()
    with failing("step-output-too-large"):
        program(
            """
            signal.signal(signal.SIGPIPE, signal.SIG_IGN)
            while True:
                try:
                    os.write(1, bytes(65536))
                except OSError:
                    pass
            """,
            timeout=60,
        )
    assert time.monotonic() - begun < SOON


def test_what_it_leaves_running_dies_with_it(program: Run) -> None:
    said(program("subprocess.Popen(['sleep', '600'], start_new_session=True, stdout=2); say('gone')"))


def test_a_fork_bomb_is_bounded_and_gone_afterwards(program: Run) -> None:
    code = """
        made = 0
        try:
            while True:
                if os.fork() == 0:
                    time.sleep(600)
                made += 1
        except BlockingIOError:
            say(made)
    """
    assert int(said(program(code))) < 64
    with failing("step-overdue"):
        program("while True:\n    try:\n        os.fork()\n    except OSError:\n        pass", timeout=1)
    assert said(program("say('well')")) == "well"


def test_memory_is_bounded(program: Run) -> None:
    code = "try:\n    x = bytearray(400 << 20)\nexcept MemoryError:\n    sys.exit(71)\nsay('had')"
    with failing("step-out-of-memory"):
        program(code, memory=256)
    assert said(program(code, memory=1024)) == "had"


def test_what_would_break_the_walls_is_refused(program: Run) -> None:
    code = """
        import ctypes
        libc = ctypes.CDLL(None)
        say([
            libc.memfd_create(b"x", 0),
            libc.shmget(0, 1 << 20, 0o1600),
            libc.unshare(0x10000000),
            libc.mount(b"t", b"/scratch", b"tmpfs", 0, None),
            libc.umount2(b"/scratch", 2),
            libc.ptrace(16, 1, 0, 0),
            libc.kill(-1, 0) or -1,
            libc.setuid(0),
            libc.prctl(23, 21, 0, 0, 0),
        ])
    """
    assert said(program(code)) == str([-1] * 8 + [0])
    # clone into a user namespace; its number on x86-64.
    assert (
        os.uname().machine != "x86_64"
        or said(program("import ctypes; say(ctypes.CDLL(None).syscall(56, 0x10000011, 0, 0, 0, 0))")) == "-1"
    )


def test_nothing_can_be_written_but_in_the_working_folder(program: Run, folder: Path) -> None:
    places = [*("/tmp/x", "/x", "/usr/x", "/etc/x", "/dev/shm/x", "/dev/x", "/proc/x"), str(folder / "y")]
    code = f"""
        for place in {places!r}:
            attempt(lambda: open(place, "w").close())
            say(" ")
    """
    refusals = said(program(code)).split()
    assert len(refusals) == len(places)
    assert set(refusals) <= {"EROFS", "ENOENT", "EACCES"}
    assert not any(Path(place).exists() for place in places)


def test_its_own_file_cannot_be_changed(program: Run, folder: Path) -> None:
    assert said(program("attempt(lambda: open(sys.argv[0], 'a').close())")) in ("EROFS", "EACCES")


@pytest.mark.parametrize("name", ["data", "keys"])
def test_data_and_keys_cannot_be_read_even_where_their_folder_is_shown(program: Run, tmp_path: Path, name: str) -> None:
    code = f"attempt(lambda: open({str(tmp_path / name / 'secret')!r}).read())"
    assert said(program(code)) == "ENOENT"
    tmp_path.chmod(0o755)
    (tmp_path / "shown").write_text("shown")
    assert said(program(code, read=("..",))) == "ENOENT"
    shown = f"attempt(lambda: open({str(tmp_path / 'shown')!r}).read())"
    assert said(program(shown, read=("..",))) == "shown"
    assert said(program(shown)) == "ENOENT"


def test_the_rest_of_the_machine_cannot_be_seen(program: Run) -> None:
    places = [str(Path.home()), "/root", "/home", "/var", "/run", "/etc/shadow", "/sys"]
    code = f"""
        for place in {places!r}:
            attempt(lambda: ",".join(os.listdir(place)))
            say(" ")
    """
    for place, seen in zip(places, said(program(code)).split(), strict=True):
        shown = {path.parts[len(Path(place).parts)] for path in shown_beneath(Path(place))}
        assert seen in ("ENOENT", "EACCES") or set(seen.split(",")) <= shown


def shown_beneath(place: Path) -> list[Path]:
    """Where the interpreter itself lies in somebody's home, the way to it can be seen."""
    known = [Path(path) for path in (sys.prefix, sys.base_prefix, *sys.path, os.path.realpath(sys.executable)) if path]
    return [path for path in known if place in path.parents]


def test_other_processes_cannot_be_seen(program: Run) -> None:
    assert said(program("say(sorted(int(n) for n in os.listdir('/proc') if n.isdigit()))")) == "[1, 2]"


@pytest.mark.parametrize("network", [False, True])
def test_the_network_is_there_only_if_it_is_allowed(program: Run, network: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(type=socket.SOCK_DGRAM) as datagrams:
        datagrams.bind(("127.0.0.1", 0))
        code = f"""
            attempt(lambda: socket.create_connection({server.getsockname()!r}, 3).close())
            say(" ")
            attempt(lambda: socket.socket(type=socket.SOCK_DGRAM).sendto(b"x", {datagrams.getsockname()!r}) and None)
        """
        streams, packets = said(program(code, network=network)).split()
    assert streams in (("done",) if network else ("ENETUNREACH", "EACCES"))
    assert packets in (("done",) if network else ("ENETUNREACH", "EPERM"))


@pytest.mark.parametrize("family", ["AF_VSOCK", "AF_ALG", "AF_PACKET"])
def test_sockets_that_no_wall_around_the_network_holds_back_cannot_be_made(program: Run, family: str) -> None:
    assert said(program(f"attempt(lambda: socket.socket(socket.{family}, 5 if 'ALG' in '{family}' else 1))")) == "EPERM"


def test_the_working_folder_is_writable_bounded_and_empty_for_each_image(program: Run) -> None:
    code = """
        found = os.listdir()
        open("left", "w").write("behind")
        os.mkfifo("pipe")
        open(os.environ["TMPDIR"] + "/too", "w").write("behind")
        say(found)
    """
    assert [said(program(code)) for _ in range(2)] == ["[]", "[]"]
    full = """
        def fill():
            for number in range(9):
                with open(f"f{number}", "wb") as file:
                    file.write(bytes(512 << 10))
        attempt(fill)
    """
    assert said(program(full, scratch=2)) == "ENOSPC"
    assert said(program(code)) == "[]"


def test_no_file_is_larger_than_the_working_folder(program: Run) -> None:
    assert said(program("attempt(lambda: open('x', 'wb').truncate(3 << 20))", scratch=2)) == "EFBIG"


def test_facts_are_taken_from_their_file(program: Run) -> None:
    answer = program("open(os.environ['MAYFLY_FACTS'], 'w').write('{\"faces\": [1, 2]}'); say('')")
    assert answer.facts == {"faces": [1, 2]}
    assert program("say('')").facts is None


def test_facts_that_are_no_small_json_object_fail_the_attempt(program: Run) -> None:
    wrongs = [
        "open(facts, 'w').write('{')",
        "open(facts, 'w').write('[]')",
        "open(facts, 'w')",
        "open(facts, 'w').write('{\"a\": \"' + 'x' * (64 << 10) + '\"}')",
        "open(facts, 'wb').write(b'{\"\\xff\": 1}')",
        "os.mkfifo(facts)",
    ]
    code = f"facts = os.environ['MAYFLY_FACTS']; exec({wrongs!r}[image[-1]]); say('')"
    for number in range(len(wrongs)):
        with failing("step-facts-invalid"):
            program(code, PNG + bytes([number]))
    assert program(code, PNG + bytes(1), facts="none").facts is None


def test_facts_are_not_looked_for_behind_a_link(program: Run) -> None:
    assert program("os.symlink('/etc/passwd', os.environ['MAYFLY_FACTS']); say('')").facts is None


def test_a_host_that_was_killed_costs_nothing_the_next_time(confined: OwnSteps, folder: Path, bounds: Limits) -> None:
    step = written(folder, "say('well')")
    keeper = Keeper(step, ())
    try:
        for _ in range(2):
            keeper.call(PNG, "image/png", bounds.output)
            assert keeper.pid
            os.kill(keeper.pid, signal.SIGKILL)
            os.waitid(os.P_PID, keeper.pid, os.WEXITED | os.WNOWAIT)
    finally:
        keeper.close()


def test_a_program_that_cannot_be_started_is_told_before_the_first_image(confined: OwnSteps, folder: Path) -> None:
    (folder / "x").write_text("no program")
    with pytest.raises(Misconfigured, match=r"run.command: .*x is not executable; chmod \+x"):
        confined.check([RunStep(command=("./x",)).located(folder)])
    with pytest.raises(Misconfigured, match=r"run.read: there is no .*model"):
        confined.check([RunStep(command=("cat",), read=("model",)).located(folder)])


def test_on_a_machine_that_cannot_confine_it_a_step_is_refused(
    confined: OwnSteps, bounds: Limits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with failing("step-not-isolated"):
        confined.call(RunStep(command=("cat",)), PNG, "image/png", bounds)
    with pytest.raises(Misconfigured, match=r"only Linux can confine it.*use an http step"):
        confined.check([RunStep(command=("cat",)), FunctionStep(function=f"{__file__}:f")])


WITHOUT_NAMESPACES = """
import ctypes
from mayfly.processing import seccomp
from mayfly.processing.own import host
ctypes.CDLL(None).prctl(38, 1, 0, 0, 0)
seccomp.deny_to_steps()
host.main()
"""


WITHOUT_LANDLOCK = """
from mayfly.processing import landlock
from mayfly.processing.own import host
def refuse(*paths, network):
    raise OSError(95, "there is no Landlock")
landlock.allow = refuse
host.main()
"""


def test_a_lock_that_closes_around_each_image_is_tried_before_the_first_one(
    confined: OwnSteps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call, "Keeper", partial(Keeper, command=(sys.executable, "-c", WITHOUT_LANDLOCK)))
    with pytest.raises(Misconfigured, match=r"run.command: step-not-isolated: .*there is no Landlock.*allow Mayfly"):
        confined.check([RunStep(command=("cat",))])


def test_where_the_kernel_refuses_a_wall_nothing_is_run(
    confined: OwnSteps, folder: Path, bounds: Limits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call, "Keeper", partial(Keeper, command=(sys.executable, "-c", WITHOUT_NAMESPACES)))
    step = written(folder, "say('ran')")
    with failing("step-not-isolated"):
        confined.call(step, PNG, "image/png", bounds)
    with pytest.raises(Misconfigured, match=r"run.command: step-not-isolated: .*not permitted.*allow Mayfly user"):
        confined.check([step])
