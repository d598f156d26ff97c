"""What librdkafka tells of brokers beside its calls.

A wrong password or certificate shows nowhere else: librdkafka tries for ever, and every call just takes its time.
"""

import threading
import time
from collections.abc import Callable

from confluent_kafka import KafkaError

from mayfly.adapters.kafka.connection import Connection
from mayfly.model.errors import Misconfigured

Tell = Callable[..., None]
"""Takes the name of what happened, and `reason`: the journal's shape."""

GRACE_SECONDS = 2.0
"""A broker that starts may refuse for a moment whom it lets in soon."""
_TOLD_AGAIN_SECONDS = 60.0

_LOOK_AT = {
    KafkaError._AUTHENTICATION: "kafka_mechanism, kafka_username and kafka_password",
    KafkaError.SASL_AUTHENTICATION_FAILED: "kafka_mechanism, kafka_username and kafka_password",
    KafkaError.UNSUPPORTED_SASL_MECHANISM: "kafka_mechanism",
    KafkaError._SSL: "kafka_ca, kafka_certificate and kafka_key",
    KafkaError.TOPIC_AUTHORIZATION_FAILED: "what this user may do with the topic (READ and DESCRIBE; WRITE to the "
    "dead letters')",
    KafkaError.GROUP_AUTHORIZATION_FAILED: "whether this user may READ the group kafka_group",
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: "what this user may do in the cluster",
}
"""By code, what a person should look at."""


class Refusals:
    """Whether the brokers refuse us; every failure is told, each kind at most once a minute. Threads may share it."""

    def __init__(self, connection: Connection, tell: Tell) -> None:
        self._connection = connection
        self._tell = tell
        self._lock = threading.Lock()
        self._since: float | None = None
        self._reason = ""
        self._told: dict[int, float] = {}

    def note(self, error: KafkaError) -> None:
        """For librdkafka's `error_cb`, and for errors that come in the place of records."""
        now = time.monotonic()
        code = error.code()
        with self._lock:
            refused = code in _LOOK_AT
            reason = self._said(error)
            if refused:
                self._since = self._since if self._since is not None else now
                self._reason = reason
            due = now - self._told.get(code, -_TOLD_AGAIN_SECONDS) >= _TOLD_AGAIN_SECONDS
            if due:
                self._told[code] = now
        if due:
            self._tell("stream_refused" if refused else "stream_disturbed", reason=reason)

    def accepted(self) -> None:
        """A broker answered us: whatever was refused before is over."""
        with self._lock:
            self._since = None

    def check(self) -> None:
        """
        Raises:
            Misconfigured: we have been refused for longer than a start may take.
        """
        with self._lock:
            if self._since is not None and time.monotonic() - self._since >= GRACE_SECONDS:
                raise Misconfigured(self._reason)

    def _said(self, error: KafkaError) -> str:
        text = self._connection.without_secrets(error.str())
        look_at = _LOOK_AT.get(error.code())
        return f"kafka: {text}" + (f". Look at {look_at}" if look_at else "")
