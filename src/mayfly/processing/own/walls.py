"""The walls around a user's own program or function: namespaces of its own, and a file system of its own in which only
the system, its interpreter and its own file are, read-only. In the host, before it reads a line of the user's code.

Everything here raises OSError where the kernel refuses, and then nothing is run: there is no going on without a wall.
"""

import contextlib
import os
import sys
from collections.abc import Iterable
from pathlib import Path

from mayfly.processing.own import linux
from mayfly.processing.own.report import SCRATCH

NOBODY = 65534
"""Who a step is where Mayfly is root: its other files and limits of processes would mean nothing to root."""

_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/nix/store")
# Not all of /etc: the secrets of services lie there, Mayfly's perhaps among them.
_CONFIGURATION = (
    *("ld.so.cache", "ld.so.conf", "ld.so.conf.d", "passwd", "group", "nsswitch.conf", "hosts", "host.conf"),
    *("localtime", "alternatives", "fonts", "mime.types", "magic", "ImageMagick-6", "ImageMagick-7"),
    *("ssl/certs", "ssl/openssl.cnf", "pki/tls/certs", "pki/ca-trust/extracted", "crypto-policies", "gai.conf"),
)
_DEVICES = ("null", "zero", "full", "random", "urandom")
_LINKS = {"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2"}
_MIB = 1024 * 1024
_ROOM_FOR_FOLDERS = "size=1m,mode=0755"
_FILES_IN_SCRATCH = 16_384
_MOST_DESCRIPTORS = 1 << 16

# Any folder that every Linux has. It is covered in this process's own view alone, once all that is shown was opened.
_BASE = "/tmp"  # noqa: S108 - no file is made in it


def leave(*, network: bool) -> None:
    """Into namespaces of its own; returns in a child that is the first process of its own. The process that was left
    behind waits for that child, and ends with it."""
    _become_another_user()
    linux.unshare(
        linux.NEW_MOUNTS | linux.NEW_IPC | linux.NEW_UTS | linux.NEW_PIDS | (0 if network else linux.NEW_NETWORK)
    )
    child = os.fork()
    if child:
        linux.die_with_parent()  # again: a change of namespace may undo it
        os.closerange(0, _MOST_DESCRIPTORS)
        os.waitpid(child, 0)
        os._exit(0)
    linux.die_with_parent()


def _become_another_user() -> None:
    """Into a user namespace. Root stays root in it, and has a nobody beside it for its steps to be; anyone else is who
    they were."""
    user, group = os.geteuid(), os.getegid()
    if user != 0:
        linux.unshare(linux.NEW_USER)
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
        return
    # Two users can be mapped only from outside.
    ready, go = os.pipe()
    helper = os.fork()
    if helper == 0:
        _map_from_outside(ready, go)
    os.close(ready)
    linux.unshare(linux.NEW_USER)
    os.close(go)
    if os.waitpid(helper, 0)[1] != 0:
        raise PermissionError("root and nobody cannot be mapped into a user namespace")


def _map_from_outside(ready: int, go: int) -> None:
    status = 1
    try:
        os.close(go)
        os.read(ready, 1)  # ends when the other end is closed
        for kind in ("uid_map", "gid_map"):
            Path(f"/proc/{os.getppid()}/{kind}").write_text(f"0 0 1\n{NOBODY} {NOBODY} 1\n")
        status = 0
    finally:
        os._exit(status)


def build(shown: Iterable[str], hidden: Iterable[str], *, network: bool) -> None:
    """Change to a root in which only what is `shown`, the system and this interpreter can be seen, read-only; what is
    `hidden` is empty, wherever it lies."""
    names = [*_SYSTEM, *(f"/etc/{name}" for name in _CONFIGURATION), *_python()]
    names += ["/etc/resolv.conf"] if network else []
    there = [name for name in names if os.path.exists(name)]
    opened = {name: os.open(os.path.realpath(name), os.O_PATH) for name in {*there, *shown}}
    devices = {name: os.open(f"/dev/{name}", os.O_PATH) for name in _DEVICES}
    linux.mount("none", "/", "", linux.RECURSIVE | linux.PRIVATE)
    linux.mount("tmpfs", _BASE, "tmpfs", linux.NO_SUID | linux.NO_DEVICES, _ROOM_FOR_FOLDERS)
    # Parents before what lies in them, which is then there already.
    for name, descriptor in sorted(opened.items(), key=lambda pair: len(os.path.realpath(pair[0]))):
        _show(os.path.realpath(name), descriptor)
    # Parents first here too: a link in a folder that is a link itself is there already, by that one.
    for name in sorted(opened, key=len):
        _link(name)
    for name in map(os.path.realpath, hidden):
        if Path(_BASE + name).is_dir():
            linux.mount("tmpfs", _BASE + name, "tmpfs", linux.READ_ONLY, "size=4k,mode=0555")
    _furnish(devices)
    linux.lock_mounts(_BASE, linux.READ_ONLY | linux.NO_SUID)
    for descriptor in (*opened.values(), *devices.values()):
        os.close(descriptor)
    linux.change_root(_BASE)


def scratch(size: int, user: int, group: int) -> None:
    """An empty working folder of `size` MiB in memory, for this process and those it starts. It is gone with them."""
    linux.unshare(linux.NEW_MOUNTS)
    options = f"size={size * _MIB},nr_inodes={_FILES_IN_SCRATCH},mode=0700,uid={user},gid={group}"
    linux.mount("tmpfs", SCRATCH, "tmpfs", linux.NO_SUID | linux.NO_DEVICES, options)
    _mount_proc("/proc")
    os.chdir(SCRATCH)


def _python() -> set[str]:
    return {sys.prefix, sys.base_prefix, sys.exec_prefix, *filter(os.path.isabs, sys.path)}


def _show(path: str, descriptor: int) -> None:
    target = Path(_BASE + path)
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if Path(f"/proc/self/fd/{descriptor}").is_dir():
        target.mkdir()
    else:
        target.touch()
    linux.mount(f"/proc/self/fd/{descriptor}", str(target), "", linux.BIND | linux.RECURSIVE)
    linux.lock_mounts(str(target), linux.READ_ONLY | linux.NO_SUID | linux.NO_DEVICES)


def _link(name: str) -> None:
    """A path that leads elsewhere leads there still, but for one inside of what is shown."""
    if os.path.realpath(name) != name:
        with contextlib.suppress(OSError):
            link = Path(_BASE + name)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(os.path.realpath(name))


def _furnish(devices: dict[str, int]) -> None:
    for folder in ("/dev", "/proc", SCRATCH):
        Path(_BASE + folder).mkdir(exist_ok=True)
    for name, descriptor in devices.items():
        target = f"{_BASE}/dev/{name}"
        Path(target).touch()
        linux.mount(f"/proc/self/fd/{descriptor}", target, "", linux.BIND)
    for name, place in _LINKS.items():
        Path(f"{_BASE}/dev/{name}").symlink_to(place)
    _mount_proc(_BASE + "/proc")


def _mount_proc(target: str) -> None:
    """Some machines allow no new one. Then there is none, and most programs do without."""
    with contextlib.suppress(OSError):
        linux.mount("proc", target, "proc", linux.READ_ONLY | linux.NO_SUID | linux.NO_DEVICES | linux.NO_EXEC)
