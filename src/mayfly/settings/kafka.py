"""Everything about Kafka: where the broker is, who we are there, what is read, and what may be fetched besides."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field

from mayfly.model.errors import Misconfigured
from mayfly.settings.faults import Nested
from mayfly.settings.fields import Duration, Location, Whole, texts
from mayfly.settings.secrets import read_secret, reference_fault
from mayfly.settings.sources import Source

MEBIBYTE = 1024 * 1024
KAFKA_SINK = "kafka"
"""What the topic of events is called among the sinks, where each webhook has its own name."""
MOST_TOPICS = 16
MOST_CONSUMERS = 16
_NAME = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,249}")
"""Kafka's rule for names of topics (org.apache.kafka.common.internals.Topic); ours for groups, too."""
_SERVER = re.compile(r"(?:\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9](?:[A-Za-z0-9._-]{0,252})):([1-9][0-9]{0,4})")
_REGION = re.compile(r"[a-z]{2,4}(-[a-z]+){1,3}-[0-9]{1,2}")
_WITH_PASSWORD = ("SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN", "OAUTHBEARER")
_IN_THE_OPEN = ("PLAIN", "OAUTHBEARER", "AWS_MSK_IAM")
"""Mechanisms that send what whoever listens could use himself."""

Protocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Mechanism = Literal["SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN", "OAUTHBEARER", "AWS_MSK_IAM"]


def _servers(value: str) -> str:
    servers = [one.strip() for one in value.split(",")]
    ports = [match and int(match[1]) for match in map(_SERVER.fullmatch, servers)]
    if not all(port is not None and port <= 65_535 for port in ports):
        raise ValueError(
            "must be one or more brokers as HOST:PORT with commas between them, such as 127.0.0.1:9092; "
            "the others are learnt from them"
        )
    return ",".join(servers)


def _name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError("must be 1 to 249 of a-z, A-Z, 0-9, '.', '_' and '-', and neither '.' nor '..'")
    return value


def _topics(value: object) -> tuple[str, ...]:
    topics = tuple(dict.fromkeys(map(_name, texts(value))))
    if len(topics) > MOST_TOPICS:
        raise ValueError(f"must be at most {MOST_TOPICS} topics")
    return topics


def _reference(value: object) -> object:
    if said := reference_fault(value):
        raise Nested((f"kafka_password: {said}",))
    return value


def _endpoint(value: str) -> str:
    try:
        parts = urlsplit(value)
        good = parts.scheme == "https" and bool(parts.hostname) and parts.username is None and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise ValueError("must be an https:// address without a user or a password")
    return value


def _region(value: str) -> str:
    if not _REGION.fullmatch(value):
        raise ValueError("must be a region of AWS such as eu-central-1")
    return value


def _prefixes(value: object) -> tuple[Path, ...]:
    given = [str(one) for one in value] if isinstance(value, list | tuple) else value
    prefixes = tuple(map(Path, texts(given)))
    if not all(prefix.is_absolute() and ".." not in prefix.parts and len(prefix.parts) > 1 for prefix in prefixes):
        raise ValueError("must be folders by their absolute paths, without '..', and not the root")
    return prefixes


Name = Annotated[str, AfterValidator(_name)]
Prefixes = Annotated[tuple[Path, ...], BeforeValidator(_prefixes)]


class KafkaSettings(BaseModel):
    """The second door's settings; without `kafka` there is none."""

    kafka: Annotated[str, AfterValidator(_servers)] | None = Field(
        default=None,
        description="The Kafka brokers to begin with, `HOST:PORT`, with commas between them. By default none.",
    )
    topic: Annotated[tuple[str, ...], BeforeValidator(_topics)] = Field(
        default=(),
        description="The topics that images are read from, at most 16. In the environment with commas between them.",
    )
    kafka_group: Name = Field(
        default="mayfly", description="The consumer group. One that is new reads its topics from their beginning."
    )
    kafka_source_name: Annotated[str, AfterValidator(_name)] = Field(
        default="kafka",
        description="What this Kafka cluster is called in the making of ids. Never change it while its records may "
        "come again: they would be other images then.",
    )
    kafka_retention: Duration | None = Field(
        default=None,
        description="How long an image from Kafka lives, counted from its record's timestamp. By default `retention`.",
    )
    kafka_consumers: Whole = Field(
        default=1,
        ge=0,
        le=MOST_CONSUMERS,
        description="How many consumers `mayfly up` starts; with 0 you start `mayfly consume` yourself.",
    )
    kafka_dead_letters: Name = Field(
        default="mayfly.deadletters",
        description="The topic of the dead letters. Made if it is missing and the broker lets us.",
    )
    kafka_events: Name | None = Field(
        default=None,
        description="The topic that is told of events, as CloudEvents. By default none.",
    )
    kafka_memory: Whole = Field(
        default=64 * MEBIBYTE,
        ge=32 * MEBIBYTE,
        le=4096 * MEBIBYTE,
        description="How many bytes of records a consumer holds at most, read but not yet durable. At least 32 MiB.",
    )
    kafka_trim: bool = Field(
        default=False,
        description="Whether records are deleted from the topic once their images are durable here. Only where nobody "
        "else reads the topic.",
    )
    kafka_protocol: Protocol = Field(
        default="PLAINTEXT",
        description="How the brokers are spoken to: `PLAINTEXT`, `SSL` (TLS), `SASL_PLAINTEXT` or `SASL_SSL`.",
    )
    kafka_ca: Location | None = Field(
        default=None,
        description="The file of the certificates that the brokers' and the token endpoint's are signed with, in PEM. "
        "By default the system's.",
    )
    kafka_certificate: Location | None = Field(
        default=None, description="The file of our own certificate and its chain, in PEM, where brokers ask for one."
    )
    kafka_key: Location | None = Field(
        default=None, description="The file of our certificate's private key, in PEM, without a passphrase."
    )
    kafka_mechanism: Mechanism | None = Field(
        default=None,
        description="How we prove who we are, with SASL: `SCRAM-SHA-256`, `SCRAM-SHA-512`, `PLAIN`, `OAUTHBEARER` or "
        "`AWS_MSK_IAM`.",
    )
    kafka_username: str | None = Field(
        default=None, max_length=256, description="Our name at the broker; with `OAUTHBEARER` the client's id."
    )
    kafka_password: Annotated[str, BeforeValidator(_reference)] | None = Field(
        default=None,
        description="Where our password, or the client's secret, is: `env:NAME` or `file:/PATH`. Never the password "
        "itself.",
    )
    kafka_token_endpoint: Annotated[str, AfterValidator(_endpoint)] | None = Field(
        default=None, description="Where `OAUTHBEARER` gets its tokens (OpenID Connect, client credentials). `https`."
    )
    kafka_scope: str | None = Field(
        default=None, max_length=1024, description="The scope that `OAUTHBEARER` asks for. By default none."
    )
    kafka_region: Annotated[str, AfterValidator(_region)] | None = Field(
        default=None, description="The region of the MSK cluster, for `AWS_MSK_IAM`."
    )
    kafka_claims: Prefixes = Field(
        default=(),
        description="The folders that claim checks may point into. By default none: every claim check is refused. What "
        "is taken in is deleted there. In the environment with commas between them.",
    )
    kafka_claims_external: Prefixes = Field(
        default=(),
        description="Those of `kafka_claims`, or folders in them, whose files are left where they are: deleting them "
        "in time is up to you.",
    )


def read_password(settings: KafkaSettings, environ: Mapping[str, str]) -> str | None:
    """The password, None where none is needed.

    Raises:
        Misconfigured: it cannot be had. The message does not show it.
    """
    if settings.kafka_password is None:
        return None
    try:
        return read_secret(settings.kafka_password, environ)
    except Misconfigured as fault:
        raise Misconfigured(f"kafka_password: {settings.kafka_password}: {fault}") from None


def faults(values: Mapping[str, Any], origin: Mapping[str, Source]) -> list[str]:
    """What the settings need of each other, as given: before any default, and whether the others are valid or not."""
    checks = (_on_the_broker, _on_names, _on_tls, _on_sasl, _on_claims)
    found = [(name, said) for check in checks for name, said in check(values)]
    return [f"{origin[name].place(name) if name in origin else name}: {said}" for name, said in found]


_Faults = Iterator[tuple[str, str]]


def _on_the_broker(values: Mapping[str, Any]) -> _Faults:
    if values.get("topic") and not values.get("kafka"):
        yield "topic", "needs kafka beside it: the brokers to read it from"
    if values.get("kafka") and not (values.get("topic") or values.get("kafka_events")):
        yield "kafka", "needs topic beside it, which topics to read images from, or kafka_events"


def _on_names(values: Mapping[str, Any]) -> _Faults:
    """A consumer that read its own dead letters or events would feed on itself."""
    try:
        read = texts(values.get("topic", ()))
    except ValueError:
        read = ()
    dead = values.get("kafka_dead_letters", KafkaSettings.model_fields["kafka_dead_letters"].default)
    if dead in read:
        yield (
            ("kafka_dead_letters" if "kafka_dead_letters" in values else "topic"),
            ("the topic of the dead letters must not be one that images are read from"),
        )
    hooks = values.get("webhooks")
    if values.get("kafka_events") and isinstance(hooks, Mapping) and KAFKA_SINK in hooks:
        yield "kafka_events", f"is told of events under the name {KAFKA_SINK}: call the webhook of that name otherwise"
    if values.get("kafka_events") and values["kafka_events"] in (*read, dead):
        yield "kafka_events", "must be a topic of its own: neither images nor dead letters share it"


def _on_tls(values: Mapping[str, Any]) -> _Faults:
    if str(values.get("kafka_protocol", "PLAINTEXT")) not in ("SSL", "SASL_SSL"):
        for name in ("kafka_ca", "kafka_certificate", "kafka_key"):
            if values.get(name):
                yield name, "needs kafka_protocol to be SSL or SASL_SSL: without TLS it is not looked at"
    halves = ("kafka_certificate", "kafka_key")
    for there, missing in (halves, halves[::-1]):
        if values.get(there) and not values.get(missing):
            yield there, f"needs {missing} beside it"


def _on_sasl(values: Mapping[str, Any]) -> _Faults:
    protocol, mechanism = str(values.get("kafka_protocol", "PLAINTEXT")), values.get("kafka_mechanism")
    if protocol.startswith("SASL_") and not mechanism:
        yield "kafka_protocol", "needs kafka_mechanism beside it: how we prove who we are"
    if not mechanism:
        return
    if not protocol.startswith("SASL_"):
        yield "kafka_mechanism", "needs kafka_protocol to be SASL_SSL (or SASL_PLAINTEXT, without TLS)"
    elif mechanism in _IN_THE_OPEN and protocol != "SASL_SSL":
        yield "kafka_mechanism", "needs kafka_protocol to be SASL_SSL: it would show its secret to whoever listens"
    needed = ["kafka_username", "kafka_password"] if mechanism in _WITH_PASSWORD else []
    needed += ["kafka_token_endpoint"] if mechanism == "OAUTHBEARER" else []
    needed += ["kafka_region"] if mechanism == "AWS_MSK_IAM" else []
    if missing := [name for name in needed if not values.get(name)]:
        yield "kafka_mechanism", f"needs {' and '.join(missing)} beside it"


def _on_claims(values: Mapping[str, Any]) -> _Faults:
    try:
        allowed, external = (_prefixes(values.get(name, ())) for name in ("kafka_claims", "kafka_claims_external"))
        data = Path(values.get("data") or "mayfly-data").expanduser().resolve()
        keys = Path(values["keys"]).expanduser().resolve() if values.get("keys") else data.parent / f"{data.name}.keys"
    except (TypeError, ValueError, RuntimeError, OSError):
        return  # the field's own fault says so
    for prefix in external:
        if not any(prefix.is_relative_to(one) for one in allowed):
            yield "kafka_claims_external", f"must be one of kafka_claims, or beneath one (got {str(prefix)!r})"
    for prefix in (one.resolve() for one in allowed):
        for ours in (data, keys):
            if prefix.is_relative_to(ours) or ours.is_relative_to(prefix):
                yield "kafka_claims", f"must not hold data or keys of ours, or lie in them (got {prefix} and {ours})"
