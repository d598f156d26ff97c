"""Yardsticks of the second door, each a process of its own: a bare confluent-kafka loop, run as a program.

`python -m benchmarks.bare_stream BOOTSTRAP TOPIC COUNT [FOLDER]` reads COUNT records from the beginning and throws them
away, or writes each into a file of the folder and makes it durable (fsync of the file) before it reads the next. Prints
the seconds from its first record to its last.
"""

import os
import sys
import time
import uuid
from pathlib import Path

from confluent_kafka import Consumer

_POLL_SECONDS = 30.0


def main(bootstrap: str, topic: str, count: int, folder: Path | None) -> None:
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": uuid.uuid4().hex,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    consumer.subscribe([topic])
    begun = 0.0
    for number in range(count):
        record = consumer.poll(_POLL_SECONDS)
        if record is None or record.error() is not None:
            raise SystemExit(f"{topic} gave {number} of {count} records")
        if folder is not None:
            _write(folder / str(number), record.value() or b"")
        begun = begun or time.perf_counter()
    print(time.perf_counter() - begun)
    consumer.close()


def _write(path: Path, body: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    os.write(descriptor, body)
    os.fsync(descriptor)
    os.close(descriptor)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]) if len(sys.argv) > 4 else None)
