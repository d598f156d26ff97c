"""A process that writes to the local adapters without end and tells of each step, to be killed at any moment.

A line `+ what` is an acknowledgement; a line `- what` announces a removal, which may have happened from then on.
Run as `python scribe.py FOLDER`.
"""

import itertools
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from mayfly.adapters.local.clock import SystemClock
from mayfly.adapters.local.database import Database
from mayfly.adapters.local.key_store import SlotKeyStore
from mayfly.adapters.local.metadata_store import SqliteMetadataStore
from mayfly.adapters.local.object_store import LocalObjectStore
from mayfly.model.address import Address
from mayfly.model.identity import ImageId
from mayfly.model.image import ImageRecord, Source
from mayfly.model.instant import MINUTE, Minute, Ms
from mayfly.model.job import Job
from mayfly.model.lifecycle import State
from mayfly.model.retention import Retention

SLOTS = 64
KEPT_KEYS = 40
KEYS_AT_ONCE = 8
FIRST_MINUTE = Minute(29_833_334)
KEPT_IMAGES = 6

Tell = Callable[[str], None]


class Adapters:
    """The local adapters over one folder."""

    def __init__(self, folder: Path) -> None:
        self.clock = SystemClock(folder / "clock.tick", synchronised=lambda: True)
        self.keys = SlotKeyStore(folder / "keys", SLOTS)
        self.database = Database(folder / "mayfly.db")
        self.metadata = SqliteMetadataStore(self.database, self.clock)
        self.objects = LocalObjectStore(folder / "objects", self.clock)

    def close(self) -> None:
        self.database.close()
        self.keys.close()
        self.clock.close()


def body_of(image_id: ImageId) -> bytes:
    """Bytes that only this image has; more than one page of them."""
    return image_id.raw * 1_000


def dying_in(minute: Minute) -> ImageId:
    return ImageId.new(Ms((minute - 60) * MINUTE), Retention(60))


def write_images(adapters: Adapters, tell: Tell) -> None:
    """Objects and records come, and the oldest go."""
    kept: list[ImageId] = []
    for number in itertools.count():
        image_id = ImageId.new(adapters.clock.now(), Retention(60))
        record = ImageRecord(image_id, State.RECEIVED, Source.HTTP, "image/png", 16_000, b"sealed")
        by_form = number % 2 == 0
        if by_form:
            adapters.metadata.admit(replace(record, state=State.AWAITED, size=0), None)
            tell(f"+ awaited {image_id}")
        writer = adapters.objects.create(Address.original(image_id))
        writer.write(body_of(image_id))
        writer.commit()
        tell(f"+ object {image_id}")
        if by_form:
            adapters.metadata.fulfil(record, Job(image_id))
        else:
            adapters.metadata.admit(record, Job(image_id))
        tell(f"+ record {image_id}")
        kept.append(image_id)
        if len(kept) > KEPT_IMAGES:
            oldest = kept.pop(0)
            tell(f"- image {oldest}")
            adapters.objects.delete(Address.original(oldest))
            adapters.metadata.delete(oldest)
            tell(f"+ gone {oldest}")


def write_keys(adapters: Adapters, tell: Tell) -> None:
    """Keys are made ahead, erasures remembered under them, and the oldest destroyed."""
    keys = adapters.keys
    while True:
        mark = keys.high_water()
        first = FIRST_MINUTE if mark is None else Minute(mark + 1)
        keys.provide(first, Minute(first + KEYS_AT_ONCE - 1))
        for minute in range(first, first + KEYS_AT_ONCE):
            tell(f"+ key {minute} {keys.key(Minute(minute)).hex()}")
        erased = dying_in(first)
        keys.remember_erased(erased)
        tell(f"+ erased {erased}")
        doomed = keys.live()[:-KEPT_KEYS]
        for minute in doomed:
            tell(f"- key {minute}")
        keys.destroy(doomed)
        for minute in doomed:
            tell(f"+ destroyed {minute}")


def main() -> None:
    adapters = Adapters(Path(sys.argv[1]))
    lock = threading.Lock()

    def tell(line: str) -> None:
        with lock:
            print(line, flush=True)

    threading.Thread(target=write_keys, args=(adapters, tell), daemon=True).start()
    write_images(adapters, tell)


if __name__ == "__main__":
    main()
