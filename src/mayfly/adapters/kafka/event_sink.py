"""Events as CloudEvents in structured JSON, written to one topic under the image's id: one image's events are in one
partition, in order.

| the broker says | |
|---|---|
| acknowledged by every replica in sync | taken |
| nothing, no such topic, no right to it, too few replicas | not now: what stands between us is wrong, not the event |
| too large, or no record that this topic takes | not taken |
"""

import json
import threading
import time

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from mayfly.adapters.kafka.connection import Connection
from mayfly.adapters.kafka.membership import make
from mayfly.model.errors import Refused, Unavailable
from mayfly.model.event import Event, cloud_event

CONTENT_TYPE = "application/cloudevents+json"
_MARGIN_SECONDS = 5.0
"""The client library tells by its own time, whatever the brokers do; it is not believed for ever."""
_POLL_SECONDS = 0.1
_REFUSALS = frozenset({KafkaError._AUTHENTICATION, KafkaError._SSL})
"""The client library would try for ever."""
_NEVER = frozenset({KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE, KafkaError.INVALID_RECORD})


class KafkaEventSink:
    """Implements `ports.event_sink.EventSink`."""

    def __init__(self, connection: Connection, topic: str, origin: str, *, seconds: float = 10.0) -> None:
        """`origin` is the `source` of the CloudEvents, a URI; `seconds` is what one delivery may take.

        Raises:
            Misconfigured: the client library refuses the settings, or a file that they name.
        """
        self._connection = connection
        self._seconds = seconds
        self._settings = {
            **connection.properties(),
            "enable.idempotence": True,
            "acks": "all",
            "message.timeout.ms": round(seconds * 1000),
            "linger.ms": 5,
            "error_cb": self._note,
        }
        self._topic = topic
        self._origin = origin
        self._trouble: str | None = None
        self._refused = False
        self._closed = False
        self._lock = threading.Lock()
        self._producer: Producer = make(Producer, self._settings)

    def deliver(self, event: Event) -> None:
        if self._closed:
            raise Unavailable("the sink is closed")
        delivery, self._refused = _Delivery(), False
        producer = self._producer
        body = json.dumps(cloud_event(event, self._origin), separators=(",", ":")).encode()
        try:
            producer.produce(
                self._topic,
                value=body,
                key=str(event.image_id).encode(),
                headers=[("content-type", CONTENT_TYPE.encode())],
                on_delivery=delivery.done,
            )
        except BufferError:
            raise Unavailable("too much waits for the brokers") from None
        except KafkaException as fault:
            self._judge(producer, fault.args[0])
        deadline = time.monotonic() + self._seconds + _MARGIN_SECONDS
        while not delivery.ended.is_set():
            # Whichever thread polls, each is told of its own.
            producer.poll(_POLL_SECONDS)
            if self._refused:
                raise Unavailable(f"the brokers refuse us: {self._trouble}")
            if time.monotonic() > deadline:
                raise Unavailable(f"the brokers did not answer in {self._seconds:.0f} s")
        if delivery.fault is not None:
            self._judge(producer, delivery.fault)
        self._trouble = None

    def close(self) -> None:
        self._closed = True
        self._producer.purge()
        self._producer.flush(0)

    def _judge(self, producer: Producer, fault: KafkaError) -> None:
        if fault.code() in _NEVER:
            raise Refused(f"the broker does not take it: {self._said(fault)}")
        if fault.fatal():
            # This producer takes nothing any more. What it had is delivered again under the same key.
            with self._lock:
                if self._producer is producer:
                    self._producer = make(Producer, self._settings)
        raise Unavailable(f"not written to {self._topic}: {self._trouble or self._said(fault)}")

    def _note(self, fault: KafkaError) -> None:
        """Why it does not work, as only this callback tells it: a wrong password, a certificate that is not trusted."""
        if fault.code() != KafkaError._ALL_BROKERS_DOWN:
            self._trouble = self._said(fault)
            self._refused = self._refused or fault.code() in _REFUSALS

    def _said(self, fault: KafkaError) -> str:
        return self._connection.without_secrets(str(fault.str()))


class _Delivery:
    def __init__(self) -> None:
        self.ended = threading.Event()
        self.fault: KafkaError | None = None

    def done(self, fault: KafkaError | None, _: Message) -> None:
        self.fault = fault
        self.ended.set()
