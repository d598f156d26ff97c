"""The host of one step: `python -E -P -m mayfly.processing.own.host`, with a socket as its standard input.

It is exec'd with an empty environment and owns nothing. It goes behind walls, imports the user's function, if it is to
run one, and then forks a child for each image: what was imported is paid for once, and what one image did to a process
ends with that image. It never looks at an image itself.

parent → host   {"shown", "hidden", "network", "environment", "memory", "scratch", "seconds", "parameters",
                 "command" | "function"}                                                            once
host → parent   {"ready": true} | {"failed": slug, "why": text}
parent → host   {"media_type", "size"}   with three descriptors: the image, and pipes for the result and the report
host → parent   {"overdue": whether its time was up, "status": how the first process of the image ended}
"""

import gc
import os
import select
import signal
import socket
from typing import Any

from mayfly.processing import wire
from mayfly.processing.own import child, linux, walls

_LONGEST_REASON = 500
_DESCRIPTORS = 3


def main() -> None:
    linux.die_with_parent()
    channel = socket.socket(fileno=os.dup(0))
    os.dup2(1, 0)  # /dev/null, both
    try:
        setup = wire.receive(channel)
        work = _get_ready(channel, setup)
        gc.freeze()  # or a collection in a child would copy all that was imported
        wire.send(channel, {"ready": True})
        while True:
            request, descriptors = wire.receive_with_descriptors(channel, _DESCRIPTORS)
            wire.send(channel, _run(channel, work, request, descriptors))
    except (wire.Broken, OSError):
        os._exit(0)  # the parent is gone, or is done with us


def _get_ready(channel: socket.socket, setup: dict[str, Any]) -> child.Work:
    os.umask(0o022)
    try:
        walls.leave(network=setup["network"])
        walls.build(setup["shown"], setup["hidden"], network=setup["network"])
        linux.forbid_tracing()
    except OSError as error:
        _give_up(channel, "step-not-isolated", str(error))
    os.environ.clear()
    os.environ.update(setup["environment"])
    try:
        work = child.Work.load(setup)
    except BaseException as error:
        # No image was here yet, so that this text can quote none.
        _give_up(channel, "step-not-loadable", f"{type(error).__name__}: {error}")
        raise
    if refused := _rehearsed(work):
        _give_up(channel, "step-not-isolated", refused)
    return work


def _give_up(channel: socket.socket, slug: str, why: str) -> None:
    wire.send(channel, {"failed": slug, "why": why[:_LONGEST_REASON]})
    os._exit(0)


def _rehearsed(work: child.Work) -> str:
    """What would keep the processes of an image from being locked in; empty where nothing does."""
    told, refused = os.pipe()
    own, first = _fork()
    if first == 0:
        child.rehearse(work, refused)
    linux.enter_namespace(own, linux.NEW_PIDS)
    os.close(own)
    os.close(refused)
    with open(told, errors="replace") as text:
        found = text.read()
    os.waitpid(first, 0)
    return found


def _fork() -> tuple[int, int]:
    """Fork the first process of a namespace: a descriptor of this one, which has to go back to its own, and the fork's
    process id."""
    own = os.pidfd_open(os.getpid())
    linux.unshare(linux.NEW_PIDS)
    return own, os.fork()


def _run(channel: socket.socket, work: child.Work, request: dict[str, Any], descriptors: list[int]) -> dict[str, Any]:
    """One image."""
    image, result, report = descriptors
    own, first = _fork()
    if first == 0:
        channel.close()
        os.close(own)
        child.main(work, child.Image(request["media_type"], request["size"], image), result, report)
    linux.enter_namespace(own, linux.NEW_PIDS)  # or no second one could be made
    watch = os.pidfd_open(first)
    for descriptor in (own, image, report):
        os.close(descriptor)
    overdue = not _ended(channel, watch, result, work.seconds)
    # All that it started dies with it, before it can be waited for: it is the first of its namespace.
    os.kill(first, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(first, 0)[1])
    os.close(watch)
    os.close(result)
    return {"overdue": overdue, "status": status}


def _ended(channel: socket.socket, watch: int, result: int, seconds: float) -> bool:
    """Wait for the end of the child, or for the parent to want no more of it. False if its time was up first."""
    events = select.poll()
    events.register(watch, select.POLLIN)
    events.register(result, 0)  # tells when nobody reads any more
    events.register(channel, select.POLLIN)  # the parent says nothing meanwhile, but it may end
    return bool(events.poll(seconds * 1_000))


if __name__ == "__main__":
    main()
