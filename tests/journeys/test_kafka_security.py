"""A broker that asks who we are in every way there is, and lets nobody do more than he was told he may."""

import contextlib
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    ResourcePatternType,
    ResourceType,
)

from journeys.test_kafka_stream import NAMED_WITHIN_SECONDS, Told, a_letter, opened, take
from mayfly.adapters.kafka.connection import Connection
from mayfly.adapters.kafka.image_stream import KafkaImageStream
from mayfly.adapters.kafka.reach import Reach
from mayfly.model.errors import Conflict, Misconfigured, Unavailable
from mayfly.model.stream import Partition
from support import token_endpoint
from support.broker import PASSWORD, USER, Broker
from support.broker_tools import run_line
from support.certificate import write_certificate, write_client_certificate
from support.pages import blocks
from support.server import MakeServer, until
from support.token_endpoint import TokenEndpoint
from support.topics import CALL_SECONDS

CLIENT_NAME = "images"
"""What the certificate says of whom we are."""
PAGE = "docs/howto/kafka.md"
OAUTH = "org.apache.kafka.common.security.oauthbearer"


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenEndpoint]:
    with TokenEndpoint(tmp_path_factory.mktemp("tokens")).serving() as endpoint:
        yield endpoint


@pytest.fixture(scope="module")
def strict(
    can_start_brokers: None, tokens: TokenEndpoint, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Broker]:
    """TLS asks for a certificate, SASL over TLS for a token; SCRAM's user may do nothing yet."""
    oauth = "listener.name.sasl_ssl.oauthbearer"
    settings = {
        "listener.name.sasl_ssl.sasl.enabled.mechanisms": "OAUTHBEARER",
        f"{oauth}.sasl.jaas.config": f"{OAUTH}.OAuthBearerLoginModule required;",
        f"{oauth}.sasl.server.callback.handler.class": f"{OAUTH}.OAuthBearerValidatorCallbackHandler",
        f"{oauth}.sasl.oauthbearer.jwks.endpoint.url": tokens.keys.as_uri(),
        f"{oauth}.sasl.oauthbearer.expected.issuer": token_endpoint.ISSUER,
        f"{oauth}.sasl.oauthbearer.expected.audience": token_endpoint.AUDIENCE,
        "listener.name.ssl.ssl.client.auth": "required",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": f"User:ANONYMOUS;User:{token_endpoint.CLIENT};User:CN={CLIENT_NAME}",
    }
    allowed = {"urls": tokens.keys.as_uri(), "files": str(tokens.keys)}
    java = tuple(f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.{what}={where}" for what, where in allowed.items())
    broker = Broker(tmp_path_factory.mktemp("strict"), secured=True, settings=settings, java=java)
    try:
        yield broker.start()
    finally:
        broker.close()


@pytest.fixture
def both(strict: Broker, tokens: TokenEndpoint, tmp_path: Path) -> Path:
    """The certificates of the broker and of the token endpoint, in one file."""
    file = tmp_path / "both.pem"
    file.write_bytes(tokens.certificate.read_bytes() + strict.certificate.read_bytes())
    return file


def by_token(strict: Broker, tokens: TokenEndpoint, ca: Path) -> Connection:
    return Connection(
        strict.address("SASL_SSL"),
        protocol="SASL_SSL",
        ca=ca,
        mechanism="OAUTHBEARER",
        username=token_endpoint.CLIENT,
        password=token_endpoint.SECRET,
        token_endpoint=tokens.url,
        scope=token_endpoint.SCOPE,
    )


def refusal(strict: Broker, connection: Connection, topic: str = "") -> str:
    """What is said, in time."""
    topic, told = topic or strict.create_topic(), Told()
    began = time.monotonic()
    stream = opened(strict, topic, told, connection)
    with pytest.raises(Misconfigured) as caught:
        take(stream, 1)
    assert time.monotonic() - began < NAMED_WITHIN_SECONDS, told.lines
    stream.close()
    return str(caught.value)


def test_with_tokens_records_are_taken_in_and_dead_letters_written(
    strict: Broker, tokens: TokenEndpoint, both: Path, make_server: MakeServer, small: bytes
) -> None:
    topic = strict.create_topic()
    strict.produce(topic, small, b"no image at all")
    config = (
        f'kafka = "{strict.address("SASL_SSL")}"\ntopic = ["{topic}"]\nkafka_dead_letters = "{topic}.dead"\n'
        f'kafka_group = "g-{topic}"\nkafka_protocol = "SASL_SSL"\nkafka_ca = "{both}"\n'
        'kafka_mechanism = "OAUTHBEARER"\n'
        f'kafka_token_endpoint = "{tokens.url}"\nkafka_scope = "{token_endpoint.SCOPE}"\n'
        f'kafka_username = "{token_endpoint.CLIENT}"\nkafka_password = "env:SECRET"\n'
    )
    environment = {"SECRET": token_endpoint.SECRET}
    server = make_server(config=config, environment=environment, options=("--workers", "1")).start()
    until(lambda: strict.lag(f"g-{topic}", topic) == 0, "both to be done", 40)
    assert len(server.get("/v1/images").json()["items"]) == 2
    (letter,) = strict.records(f"{topic}.dead")
    assert letter.key == f"{topic}/0/1".encode()
    assert set(tokens.asked) == {token_endpoint.SCOPE}
    assert server.stop() == 0
    assert token_endpoint.SECRET not in server.log.read_text()


@pytest.mark.parametrize("wrong", ["secret", "certificate", "no certificate"])
def test_who_gets_no_token_hears_within_five_seconds_why_and_no_secret(
    strict: Broker, tokens: TokenEndpoint, both: Path, wrong: str
) -> None:
    good = by_token(strict, tokens, both)
    bad = {
        "secret": replace(good, password="hunter2"),
        "certificate": replace(good, ca=strict.certificate),
        "no certificate": replace(good, ca=None),
    }[wrong]
    said = refusal(strict, bad)
    assert "kafka_token_endpoint, kafka_username, kafka_password, kafka_scope and kafka_ca" in said
    assert ("invalid_client" if wrong == "secret" else "certificate") in said
    assert "hunter2" not in said
    assert "Basic ***" in said or wrong != "secret"
    assert "trust anchors" not in said, "the system's certificates are not found"


def test_a_token_that_the_broker_does_not_believe_is_told(
    strict: Broker, both: Path, tokens: TokenEndpoint, tmp_path: Path
) -> None:
    with TokenEndpoint(tmp_path / "other").serving() as other:
        both.write_bytes(other.certificate.read_bytes() + strict.certificate.read_bytes())
        said = refusal(strict, by_token(strict, other, both))
    assert "kafka_token_endpoint" in said
    assert other.asked


def test_with_a_certificate_we_are_let_in_and_without_it_hear_so(strict: Broker, tmp_path: Path) -> None:
    certificate, key = write_client_certificate(tmp_path, CLIENT_NAME, (strict.certificate, strict.folder / "key.pem"))
    good = Connection(strict.address("SSL"), protocol="SSL", ca=strict.certificate, certificate=certificate, key=key)
    topic = strict.create_topic()
    strict.produce(topic, b"in")
    stream = opened(strict, topic, connection=good)
    assert [record.value for record in take(stream, 1)] == [b"in"]
    stream.bury(a_letter(topic))
    stream.close()
    assert len(strict.records(f"letters-{topic}")) == 1
    (tmp_path / "other").mkdir()
    other, others_key = write_certificate(tmp_path / "other", "other")
    for bad in (replace(good, certificate=None, key=None), replace(good, certificate=other, key=others_key)):
        assert "kafka_certificate and kafka_key" in refusal(strict, bad)
        with pytest.raises(Misconfigured, match="kafka_certificate, kafka_key"):
            Reach(bad).let_in()
    with pytest.raises(Misconfigured, match="kafka_key"):
        opened(strict, topic, connection=replace(good, key=others_key))


def test_each_right_that_is_taken_away_is_named_with_the_line_that_gives_it(strict: Broker, kafka_tools: Path) -> None:
    """They were given by the page's own lines."""
    topic = strict.create_topic()
    group, letters, place = f"group-{topic}", f"letters-{topic}", Partition(topic, 0)
    lines = "".join(text for where, text in blocks("sh") if where.startswith(PAGE) and "kafka-acls.sh" in text)
    for example, real in {
        "broker.example.org:9092": strict.bootstrap,
        "--topic photos": f"--topic {topic}",
        "--group mayfly": f"--group {group}",
        "mayfly.deadletters": letters,
    }.items():
        assert example in lines
        lines = lines.replace(example, real)
    run_line(f"set -e\n{lines}", kafka_tools)
    strict.commit(f"others-{topic}", strict.create_topic(), {0: 0})

    ours = Connection(
        strict.address("SASL_PLAINTEXT"), "SASL_PLAINTEXT", mechanism="SCRAM-SHA-512", username=USER, password=PASSWORD
    )
    told = Told()
    strict.produce(topic, b"1", b"2", b"3")
    stream = opened(strict, topic, told, ours)
    assert [record.value for record in take(stream, 3)] == [b"1", b"2", b"3"]
    until(lambda: (stream.poll(0.1), stream.survey([place])[0].committed)[1] == 3, "the commit")
    stream.bury(a_letter(topic))
    stream.trim({place: 1})
    assert stream.survey([place])[0].earliest == 1

    for operation, kind, name, said in (
        (AclOperation.DELETE, ResourceType.TOPIC, topic, f"--operation Delete --topic {topic}"),
        (AclOperation.DESCRIBE, ResourceType.BROKER, "kafka-cluster", "--operation Describe --cluster"),
        (AclOperation.DESCRIBE, ResourceType.GROUP, "*", "--operation Describe --group '*'"),
    ):
        with without(strict, operation, kind, name), pytest.raises((Conflict, Unavailable), match=re.escape(said)):
            stream.trim({place: 3})
    assert stream.survey([place])[0].earliest == 1
    for operation, kind, name, said in (
        (AclOperation.READ, ResourceType.TOPIC, topic, f"--operation Read --topic {topic}"),
        (AclOperation.READ, ResourceType.GROUP, group, f"--operation Read --group {group}"),
        (AclOperation.WRITE, ResourceType.TOPIC, letters, f"--operation Write --topic {letters}"),
    ):
        with without(strict, operation, kind, name):
            assert f"--allow-principal User:{USER} {said}" in refusal(strict, ours, topic)
            if operation is AclOperation.WRITE:
                with pytest.raises(Unavailable, match=said):
                    stream.bury(a_letter(topic))
            elif kind is ResourceType.TOPIC:
                strict.produce(topic, b"4")
                until(lambda: (stream.poll(0.1), said in "".join(told.lines))[1], "it to be told")  # noqa: B023
    # The client learns of a right that is given back when it next looks at the topic.
    until(lambda: buried(stream, topic), "the letter to be written")
    stream.close()
    strict.delete_topic(letters)
    with without(strict, AclOperation.CREATE, ResourceType.TOPIC, letters):
        assert f"--operation Create --topic {letters}" in refusal(strict, ours, topic)


def buried(stream: KafkaImageStream, topic: str) -> bool:
    try:
        stream.bury(a_letter(topic))
    except Unavailable:
        return False
    return True


@contextlib.contextmanager
def without(broker: Broker, operation: AclOperation, kind: ResourceType, name: str) -> Iterator[None]:
    """The user's right taken away, and given back."""
    which = (kind, name, ResourcePatternType.LITERAL, f"User:{USER}", "*", operation, AclPermissionType.ALLOW)
    admin = broker.admin()
    for future in admin.delete_acls([AclBindingFilter(*which)]).values():
        assert future.result(CALL_SECONDS)
    until(lambda: not admin.describe_acls(AclBindingFilter(*which)).result(CALL_SECONDS), "the right to be gone")
    yield
    for future in admin.create_acls([AclBinding(*which)]).values():
        future.result(CALL_SECONDS)
    until(lambda: admin.describe_acls(AclBindingFilter(*which)).result(CALL_SECONDS), "the right to be back")
