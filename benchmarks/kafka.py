"""How fast records of a real broker become durable images, beside bare loops over the same topic in the same run.

Three in turn, each over all of one topic: a loop that reads and throws away, a loop that writes each record into a
file and waits for its fsync, and `mayfly consume`, which inspects, hashes, seals and stores each, has its record and
job committed, and settles its offset. From the first record that is done to the last, so that no start is measured.
The worker is stopped (SIGSTOP): processing is another benchmark's. The broker is a process of this machine, too, and
takes its share of the cores from each of the three alike.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import uuid
from datetime import datetime
from pathlib import Path

from benchmarks.client import Client
from benchmarks.figures import Figure, median
from benchmarks.photos import Photos
from benchmarks.server import Server, until
from support.broker import Broker
from support.topics import Message

_ROOT = Path(__file__).parents[1]
_ROUNDS = 3
_PARTITIONS = 6
_TOTAL_BYTES = 450_000_000
"""Of one topic: some seconds for each loop."""
_LEAST_RATIO = 0.7


def run(photos: Photos, folder: Path) -> list[Figure]:
    broker = Broker(folder / "broker")
    try:
        broker.start()
        return [
            figure
            for name, body in (("300 KB", photos.small), ("4 MB", photos.photo))
            for figure in _measure(broker, name, body, photos.tiny, folder)
        ]
    finally:
        broker.close()


def _measure(broker: Broker, name: str, body: bytes, tiny: bytes, folder: Path) -> list[Figure]:
    count = _TOTAL_BYTES // len(body)
    topic = broker.create_topic(partitions=_PARTITIONS)
    broker.produce(topic, *[Message(body, partition=number % _PARTITIONS) for number in range(count)])
    thrown, written, ours = [], [], []
    for number in range(_ROUNDS):
        files = folder / f"{topic}-{number}-files"
        files.mkdir()
        thrown.append(_bare(broker, topic, count))
        written.append(_bare(broker, topic, count, str(files)))
        ours.append(_taken_in(broker, topic, count, tiny, folder / f"{topic}-{number}-server"))
        shutil.rmtree(files)
    broker.delete_topic(topic)
    mib = len(body) / 2**20
    return [
        Figure(
            f"{name} records made durable and settled",
            median(ours),
            "/s",
            "each written to a file, with fsync",
            median(written),
            least_ratio=_LEAST_RATIO,
        ),
        Figure("  in bytes", median(ours) * mib, "MiB/s", "  in bytes", median(written) * mib),
        Figure("  in bytes", median(ours) * mib, "MiB/s", "  read and thrown away", median(thrown) * mib),
    ]


def _bare(broker: Broker, topic: str, count: int, *folder: str) -> float:
    """Records a second of a bare loop."""
    command = [sys.executable, "-m", "benchmarks.bare_stream", broker.bootstrap, topic, str(count), *folder]
    seconds = float(subprocess.run(command, check=True, capture_output=True, text=True, cwd=_ROOT).stdout)
    return (count - 1) / seconds


def _taken_in(broker: Broker, topic: str, count: int, tiny: bytes, folder: Path) -> float:
    """Records a second of one `mayfly consume`."""
    stream = {"kafka": broker.bootstrap, "topic": topic, "kafka_group": uuid.uuid4().hex, "kafka_consumers": "0"}
    with Server(folder, workers="1", worker_seconds="600", **stream) as server:
        with Client(server.url) as client:
            client.upload(tiny)
        server.until_processed(1)
        [worker] = server.workers()
        os.kill(worker, signal.SIGSTOP)
        with server.consumer() as log:
            until(lambda: len(_received_at(log)) >= count, f"{count} records to be received", every=0.25)
            instants = _received_at(log)
    shutil.rmtree(folder)
    return (count - 1) / (instants[-1] - instants[0])


def _received_at(log: Path) -> list[float]:
    """When each record was durable, in seconds, as the consumer's log tells it."""
    lines = [json.loads(line) for line in log.read_bytes().splitlines() if b'"event": "received"' in line]
    return sorted(datetime.fromisoformat(line["timestamp"]).timestamp() for line in lines)
