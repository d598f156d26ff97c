"""Getting to the brokers for the first time, by a person who waits: what keeps us out is named in seconds."""

import time
from concurrent.futures import Future
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, DescribeClusterResult

from mayfly.adapters.kafka.connection import Connection
from mayfly.adapters.kafka.membership import make
from mayfly.adapters.kafka.refusals import certificate_refused
from mayfly.model.errors import Misconfigured, Unavailable

ANSWER_SECONDS = 5.0
"""For the cluster to let us in, and for each question after that."""
_POLL_SECONDS = 0.05
_REASON_SECONDS = 1.0
"""That every broker is down may be told before why the last one is."""
_REFUSALS = (KafkaError._AUTHENTICATION, KafkaError.SASL_AUTHENTICATION_FAILED, KafkaError.UNSUPPORTED_SASL_MECHANISM)


class Reach:
    """A client for questions. Nothing that it asks makes a topic or joins a group."""

    def __init__(self, connection: Connection) -> None:
        """
        Raises:
            Misconfigured: the client library refuses the settings, or a file that they name.
        """
        self._connection = connection
        self._told: list[KafkaError] = []
        self.admin: AdminClient = make(AdminClient, connection.properties() | {"error_cb": self._told.append})

    def let_in(self) -> DescribeClusterResult:
        """The cluster's own description, once it lets us in.

        Raises:
            Misconfigured: it refuses us, or we do not trust it. The text names the settings to look at.
            Unavailable: it does not answer.
        """
        answer: Future[Any] = self.admin.describe_cluster(request_timeout=ANSWER_SECONDS)
        # Who is refused is told so by the error callback alone, while the question waits for its end.
        all_down_since: float | None = None
        while not answer.done():
            self.admin.poll(_POLL_SECONDS)
            for fault in self._told:
                self._heed(fault)
            down = [fault for fault in self._told if fault.code() == KafkaError._ALL_BROKERS_DOWN]
            all_down_since = all_down_since or (time.monotonic() if down else None)
            if all_down_since is not None and time.monotonic() - all_down_since > _REASON_SECONDS:
                raise Unavailable(self._unanswered(down[0]))
        try:
            found: DescribeClusterResult = answer.result()
        except KafkaException as fault:
            raise Unavailable(self._unanswered(fault.args[0])) from None
        return found

    def said(self, fault: KafkaError) -> str:
        """The fault as it may be shown."""
        return self._connection.without_secrets(str(fault.str()))

    def _heed(self, fault: KafkaError) -> None:
        where, said = self._connection.servers, self.said(fault)
        if fault.code() in _REFUSALS:
            raise Misconfigured(f"kafka: {where} refuses us: {said}. Look at {self._connection.proof}")
        if certificate_refused(fault):
            raise Misconfigured(f"kafka_certificate, kafka_key: {where} asks for a certificate of ours: {said}")
        if fault.code() == KafkaError._SSL:
            raise Misconfigured(f"kafka_protocol, kafka_ca: no TLS with {where}: {said}")

    def _unanswered(self, fault: KafkaError) -> str:
        # That all are down says less than why the last one is.
        reasons = [self.said(told) for told in self._told if told.code() != KafkaError._ALL_BROKERS_DOWN]
        hint = f"{self.said(fault)}; where they listen, look at kafka_protocol: {self._connection.protocol}"
        return f"kafka: no broker answers at {self._connection.servers}: {(reasons or [hint])[-1]}"
