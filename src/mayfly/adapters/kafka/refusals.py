"""What librdkafka tells of brokers beside its calls.

A wrong password or certificate shows nowhere else: librdkafka tries for ever, and every call just takes its time.
"""

import re
import threading
import time
from collections.abc import Callable

from confluent_kafka import KafkaError

from mayfly.adapters.kafka.connection import Connection
from mayfly.adapters.kafka.rights import lacking
from mayfly.model.errors import Misconfigured

Tell = Callable[..., None]
"""Takes the name of what happened, and `reason`: the journal's shape."""

GRACE_SECONDS = 2.0
"""A broker that starts may refuse for a moment whom it lets in soon."""
_TOLD_AGAIN_SECONDS = 60.0

_UNPROVEN = (KafkaError._AUTHENTICATION, KafkaError.SASL_AUTHENTICATION_FAILED)
_FORBIDDEN = (
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
)
_CERTIFICATE_REFUSED = re.compile(r"SSL alert number (4[2-689]|116)\b")
"""Bad, unsupported, revoked, expired or unknown; of an unknown authority, without access, required: of TLS 1.3 such an
alert comes after the handshake, and librdkafka tells it as any connection that broke.
https://www.rfc-editor.org/rfc/rfc8446#section-6"""
_REFUSALS = (*_UNPROVEN, *_FORBIDDEN, KafkaError.UNSUPPORTED_SASL_MECHANISM, KafkaError._SSL)


def cause(error: KafkaError) -> int:
    """The error's code; of a fatal one the code of what it came of, which librdkafka tells in its text alone. A group
    we have no right to is such a one."""
    code = error.code()
    if code == KafkaError._FATAL:
        return next((one for one in _FORBIDDEN if KafkaError(one).str() in error.str()), code)
    return code


def certificate_refused(error: KafkaError) -> bool:
    """Whether the broker asks for a certificate of ours that we do not have, or that it does not take."""
    return _CERTIFICATE_REFUSED.search(error.str()) is not None


class Refusals:
    """Whether the brokers refuse us; every failure is told, each kind at most once a minute. Threads may share it."""

    def __init__(self, connection: Connection, group: str, tell: Tell) -> None:
        self._connection = connection
        self._group = group
        self._tell = tell
        self._lock = threading.Lock()
        self._since: float | None = None
        self._reason = ""
        self._told: dict[int, float] = {}

    def note(self, error: KafkaError, topic: str | None = None) -> None:
        """For librdkafka's `error_cb`, and for errors that come in the place of a topic's records."""
        now = time.monotonic()
        code = cause(error)
        with self._lock:
            refused = code in _REFUSALS or certificate_refused(error)
            reason = self._said(error, topic)
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

    def _said(self, error: KafkaError, topic: str | None) -> str:
        text = f"kafka: {self._connection.without_secrets(error.str())}"
        if certificate_refused(error):
            return f"{text}. The broker asks for a certificate of ours: look at kafka_certificate and kafka_key"
        match cause(error):
            case code if code in _UNPROVEN:
                return f"{text}. Look at {self._connection.proof}"
            case KafkaError.UNSUPPORTED_SASL_MECHANISM:
                return f"{text}. Look at kafka_mechanism"
            case KafkaError._SSL:
                return f"{text}. Look at kafka_ca, kafka_certificate and kafka_key"
            case KafkaError.GROUP_AUTHORIZATION_FAILED:
                return f"kafka: {lacking(self._connection, 'Read', 'group', self._group)}"
            case KafkaError.TOPIC_AUTHORIZATION_FAILED if topic is not None:
                return f"kafka: {lacking(self._connection, 'Read', 'topic', topic)}"
            case code if code in _FORBIDDEN:
                return f"{text}. Look at our rights there"
        return text
