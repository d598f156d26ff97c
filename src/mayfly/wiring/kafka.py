"""The composition root of what speaks to Kafka. Imported only where `kafka` is set: its client library is an extra."""

from collections.abc import Mapping

from mayfly.adapters.kafka.connection import Connection, Token
from mayfly.adapters.kafka.event_sink import KafkaEventSink
from mayfly.adapters.kafka.producer import ImageProducer
from mayfly.adapters.kafka.topic import look
from mayfly.model.errors import Misconfigured
from mayfly.model.topic import ClusterState
from mayfly.operations.topic.promise import ENVELOPE_BYTES
from mayfly.settings import Settings
from mayfly.settings.kafka import read_password


def connection_of(settings: Settings, environ: Mapping[str, str]) -> Connection:
    """How the settings say that the brokers are reached.

    Raises:
        Misconfigured: the password cannot be had (the message does not show it), or a library is missing.
        Unavailable: there are no AWS credentials now, where they are asked for.
    """
    return Connection(
        servers=settings.kafka or "",
        protocol=settings.kafka_protocol,
        ca=settings.kafka_ca,
        certificate=settings.kafka_certificate,
        key=settings.kafka_key,
        mechanism=settings.kafka_mechanism,
        username=settings.kafka_username,
        password=read_password(settings, environ),
        token_endpoint=settings.kafka_token_endpoint,
        scope=settings.kafka_scope,
        token=_msk_token(settings),
    )


def _msk_token(settings: Settings) -> Token | None:
    if settings.kafka_mechanism != "AWS_MSK_IAM":
        return None
    try:
        from mayfly.adapters.aws.msk_token import MskToken  # only now: botocore is an extra
    except ImportError:
        raise Misconfigured("kafka_mechanism: AWS_MSK_IAM needs botocore: pip install 'mayfly[aws,kafka]'") from None
    token = MskToken(settings.kafka_region or "")
    token()  # whoever has none is told so here; the client library would say but that it waited
    return token


def event_sink_of(settings: Settings, environ: Mapping[str, str], topic: str, origin: str) -> KafkaEventSink:
    """What writes events to a topic, as `origin`.

    Raises:
        Misconfigured: as `connection_of`, or the client library refuses the settings.
    """
    return KafkaEventSink(connection_of(settings, environ), topic, origin)


def producer_of(settings: Settings, environ: Mapping[str, str]) -> ImageProducer:
    """What writes images to the first topic, each as large as `max_bytes` lets it be.

    Raises:
        Misconfigured: as `connection_of`; the brokers refuse us, or there is no such topic.
        Unavailable: no broker answers.
    """
    return ImageProducer(connection_of(settings, environ), settings.topic[0], settings.max_bytes + ENVELOPE_BYTES)


def look_at(settings: Settings, environ: Mapping[str, str]) -> ClusterState:
    """The cluster as it is, and every topic that the settings name.

    Raises:
        Misconfigured: as `connection_of`, or the brokers refuse us.
        Unavailable: no broker answers.
    """
    topics = [*settings.topic, *((settings.kafka_dead_letters,) if settings.topic else ()), settings.kafka_events]
    return look(connection_of(settings, environ), settings.kafka_group, [name for name in topics if name])
