"""Write images to the topic `photos`: python produce.py FILE..."""

import mimetypes
import sys
import uuid
from functools import partial
from pathlib import Path

from confluent_kafka import Producer

brokers = {"bootstrap.servers": "127.0.0.1:9092"}
producer = Producer({**brokers, "message.max.bytes": 11_534_336, "enable.idempotence": True})
refused = []


def note(path, fault, _):
    if fault:
        refused.append(f"{path}: {fault}")


for path in map(Path, sys.argv[1:]):
    event = {"ce_specversion": "1.0", "ce_id": str(uuid.uuid4()), "ce_source": "urn:example", "ce_type": "photo.taken"}
    media_type = mimetypes.guess_type(path)[0] or "application/octet-stream"
    headers = event | {"content-type": media_type, "ce_labelcamera": "front"}
    told = partial(note, path)
    producer.produce("photos", path.read_bytes(), key=event["ce_id"], headers=headers, on_delivery=told)
    producer.poll(0)
lost = producer.flush(60)
sys.exit("\n".join(refused) or int(lost > 0))
