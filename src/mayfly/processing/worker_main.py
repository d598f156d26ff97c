"""What a worker runs: `python -E -P -m mayfly.processing.worker_main`, with a socket as its standard input.

It is exec'd with an empty environment and owns nothing: no key, no store, no file. Each image comes as shared memory
and goes as shared memory. It ends when the socket does.
"""

import ctypes
import mmap
import os
import select
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from typing import Any

from mayfly.model.errors import AttemptFailed, Rejected
from mayfly.model.image import MediaType
from mayfly.processing import cage, engine, wire
from mayfly.processing.limits import MIB, Limits
from mayfly.processing.pipeline import Result, process
from mayfly.processing.stage import Stage, by_name
from mayfly.processing.steps.step import files_from_json

# glibc's mallopt. One arena, and large blocks kept from one image to the next: 137 MB of peak instead of 235 at the
# same CPU.
_MALLOPT = {-8: 1, -3: 32 * MIB, -1: 256 * MIB}  # M_ARENA_MAX, M_MMAP_THRESHOLD, M_TRIM_THRESHOLD

# Free memory is given back to the system once no image came for this long. Doing so after every image costs a tenth of
# its CPU, for the pages are wanted again at once.
_IDLE_SECONDS = 0.5

# The parent kills a worker that is overdue; should the parent be stopped itself, this alarm does, a little later.
_GRACE_SECONDS = 5


def main() -> None:
    channel = socket.socket(fileno=0)
    try:
        _serve(channel)
    except (wire.Broken, OSError):
        os._exit(0)  # the parent is gone, or is done with us


def _serve(channel: socket.socket) -> None:
    setup = wire.receive(channel, largest=wire.LARGEST_SETUP)
    limits = Limits(**setup["limits"])
    files = files_from_json(setup["files"])
    stages = by_name([Stage.from_json(raw, files) for raw in setup["stages"]])
    trim = _tune_allocator()
    engine.start()
    wire.send(channel, {"ready": True, "cage": cage.enter(limits.memory)})
    while True:
        if not select.select([channel], [], [], _IDLE_SECONDS)[0]:
            trim()
        request, (body, output) = wire.receive_with_descriptors(channel, 2)
        signal.setitimer(signal.ITIMER_REAL, limits.seconds + _GRACE_SECONDS)
        answer = _answer(request, body, output, stages, limits)
        signal.setitimer(signal.ITIMER_REAL, 0)
        wire.send(channel, answer)


def _answer(
    request: dict[str, Any], body: int, output: int, stages: Mapping[str, Stage], limits: Limits
) -> dict[str, Any]:
    try:
        with mmap.mmap(body, request["size"], access=mmap.ACCESS_READ) as pages, memoryview(pages) as data:
            wanted = [stages[name] for name in request["stages"]]
            result = process(data, MediaType(request["media_type"]), wanted, limits, measured=request["measure"])
        with mmap.mmap(output, request["room"]) as room:
            return _hand_over(result, room)
    except Rejected as fault:
        return {"rejected": str(fault)}
    except AttemptFailed as fault:
        return {"failed": str(fault)}
    except MemoryError:
        return {"failed": "out-of-memory"}
    except Exception as fault:
        # Its text may quote the image; its type cannot.
        return {"failed": f"fault-{type(fault).__name__.lower()}"}
    finally:
        os.close(body)
        os.close(output)


def _hand_over(result: Result, room: mmap.mmap) -> dict[str, Any]:
    pictures, position = [], 0
    for made in result.renditions:
        end = position + len(made.data)
        if end > len(room):
            raise AttemptFailed("output-too-large")
        room[position:end] = made.data
        pictures.append(
            {
                "name": made.name,
                "media_type": made.media_type,
                "width": made.width,
                "height": made.height,
                "offset": position,
                "size": len(made.data),
            }
        )
        position = end
    answer = {"pictures": pictures, "timings": result.timings}
    if not result.phash:
        return answer
    return answer | {"facts": result.facts, "phash": result.phash.hex()}


def _tune_allocator() -> Callable[[], object]:
    """Set malloc up; what is returned gives free memory back to the system."""
    libc = ctypes.CDLL(None)
    if sys.platform != "linux" or not hasattr(libc, "mallopt"):
        return lambda: None
    for option, value in _MALLOPT.items():
        libc.mallopt(option, value)
    return lambda: libc.malloc_trim(0)


if __name__ == "__main__":
    main()
