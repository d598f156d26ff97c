"""Kafka in the settings: what is refused, and that every fault is told at once, a secret never."""

from pathlib import Path

import pytest

from mayfly.model.errors import Misconfigured
from mayfly.model.retention import Retention
from mayfly.settings import Settings
from mayfly.settings.kafka import read_password

BROKER = {"MAYFLY_KAFKA": "127.0.0.1:9092", "MAYFLY_TOPIC": "photos"}
PASSWORD = {"MAYFLY_KAFKA_USERNAME": "u", "MAYFLY_KAFKA_PASSWORD": "env:KAFKA_PASSWORD"}
TLS = {"MAYFLY_KAFKA_PROTOCOL": "SSL"}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def load(**environ: str) -> Settings:
    return Settings.load(None, {}, environ)


def faults(**environ: str) -> list[str]:
    with pytest.raises(Misconfigured) as caught:
        load(**environ)
    return [fault.removeprefix("environment ") for fault in caught.value.faults]


def fault(**environ: str) -> str:
    (one,) = faults(**environ)
    return one


def test_without_a_broker_there_is_no_second_door() -> None:
    settings = load()
    assert settings.kafka is None
    assert settings.topic == ()
    assert settings.kafka_retention is None
    assert settings.kafka_claims == ()


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("127.0.0.1:9092", "127.0.0.1:9092"),
        ("a.example:1, b.example:65535", "a.example:1,b.example:65535"),
        ("[::1]:9092", "[::1]:9092"),
        ("kafka_1:9092", "kafka_1:9092"),
    ],
)
def test_brokers_stand_between_commas(given: str, kept: str) -> None:
    assert load(MAYFLY_KAFKA=given, MAYFLY_TOPIC="a").kafka == kept


@pytest.mark.parametrize(
    "given", ["localhost", "a:0", "a:65536", "a:b", "a:1,", ",", "PLAINTEXT://a:1", "a b:1", "u:p@a:1", "::1:9092"]
)
def test_what_is_no_broker_is_refused(given: str) -> None:
    assert "HOST:PORT" in fault(MAYFLY_KAFKA=given, MAYFLY_TOPIC="a")


def test_topics_stand_between_commas_or_in_a_list_and_count_once(folder: Path) -> None:
    assert load(**BROKER | {"MAYFLY_TOPIC": "b, a,b,"}).topic == ("b", "a")
    (folder / "mayfly.toml").write_text('kafka = "a:1"\ntopic = ["x", "y.z-_1"]\nkafka_retention = "P1D"\n')
    settings = load()
    assert settings.topic == ("x", "y.z-_1")
    assert settings.kafka_retention == Retention.parse("P1D")
    assert Settings.load(None, {"topic": ("cli",)}, {}).topic == ("cli",)


@pytest.mark.parametrize("topic", [".", "..", "a b", "a/b", "ä", "x" * 250, ",".join(f"t{n}" for n in range(17))])
def test_what_is_no_topic_is_refused(topic: str) -> None:
    assert "must be" in fault(**BROKER | {"MAYFLY_TOPIC": topic})


def test_every_fault_is_told_at_once() -> None:
    told = faults(
        MAYFLY_KAFKA="nonsense",
        MAYFLY_KAFKA_CONSUMERS="17",
        MAYFLY_KAFKA_MEMORY="1000",
        MAYFLY_KAFKA_MECHANISM="PLAIN",
        MAYFLY_KAFKA_CLAIMS="relative",
        MAYFLY_KAFKA_REGION="mars",
    )
    assert [one.partition(":")[0] for one in told] == [
        f"MAYFLY_KAFKA{name}" for name in ("", "_CONSUMERS", "_MEMORY", "_REGION", "_CLAIMS", "", "_MECHANISM")
    ] + ["MAYFLY_KAFKA_MECHANISM"]


def test_a_broker_needs_something_to_read_or_tell_and_a_topic_needs_a_broker() -> None:
    assert "needs topic beside it" in fault(MAYFLY_KAFKA="a:1")
    assert load(MAYFLY_KAFKA="a:1", MAYFLY_KAFKA_EVENTS="e").topic == ()
    assert fault(MAYFLY_TOPIC="a").startswith("MAYFLY_TOPIC: needs kafka beside it")


def test_the_topic_of_events_and_a_webhook_have_names_of_their_own(folder: Path) -> None:
    hook = '[webhooks.kafka]\nurl = "https://example.org/"\nsecret = "env:SECRET"\n'
    (folder / "mayfly.toml").write_text('kafka = "b:1"\nkafka_events = "told"\n' + hook)
    (said,) = faults()
    assert said.startswith("mayfly.toml:2: kafka_events: is told of events under the name kafka")
    (folder / "mayfly.toml").write_text(hook)
    assert load().webhooks[0].name == "kafka"


def test_no_topic_is_read_and_written() -> None:
    assert "dead letters" in fault(**BROKER | {"MAYFLY_TOPIC": "a,mayfly.deadletters"})
    assert "dead letters" in fault(**BROKER, MAYFLY_KAFKA_DEAD_LETTERS="photos")
    assert "of its own" in fault(**BROKER, MAYFLY_KAFKA_EVENTS="photos")
    assert "of its own" in fault(**BROKER, MAYFLY_KAFKA_EVENTS="mayfly.deadletters")


@pytest.mark.parametrize("name", ["ca", "certificate", "key"])
def test_what_tls_needs_is_told_where_there_is_none(name: str) -> None:
    variable = f"MAYFLY_KAFKA_{name.upper()}"
    assert any(one.startswith(f"{variable}: needs kafka_protocol") for one in faults(**BROKER, **{variable: "x.pem"}))


def test_half_of_a_client_certificate_is_none() -> None:
    assert fault(**BROKER, **TLS, MAYFLY_KAFKA_KEY="x").endswith("needs kafka_certificate beside it")
    assert fault(**BROKER, **TLS, MAYFLY_KAFKA_CERTIFICATE="x").endswith("needs kafka_key beside it")
    whole = load(**BROKER, **TLS, MAYFLY_KAFKA_KEY="~/k", MAYFLY_KAFKA_CERTIFICATE="/c", MAYFLY_KAFKA_CA="ca")
    assert whole.kafka_key == Path.home() / "k"


def test_paths_in_the_file_are_relative_to_the_file(folder: Path) -> None:
    (folder / "etc").mkdir()
    (folder / "etc" / "m.toml").write_text('kafka = "a:1"\ntopic = ["t"]\nkafka_protocol = "SSL"\nkafka_ca = "ca.pem"')
    assert load(MAYFLY_CONFIG="etc/m.toml").kafka_ca == Path("etc/ca.pem")


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN"])
def test_sasl_needs_a_mechanism_and_that_its_credentials(mechanism: str) -> None:
    sasl = BROKER | {"MAYFLY_KAFKA_PROTOCOL": "SASL_SSL"}
    assert "needs kafka_mechanism" in fault(**sasl)
    sasl["MAYFLY_KAFKA_MECHANISM"] = mechanism
    assert fault(**sasl).endswith("needs kafka_username and kafka_password beside it")
    assert load(**sasl, **PASSWORD).kafka_mechanism == mechanism


def test_oauthbearer_needs_an_endpoint_over_tls_and_msk_its_region() -> None:
    sasl = BROKER | {"MAYFLY_KAFKA_PROTOCOL": "SASL_SSL"}
    oauth = sasl | PASSWORD | {"MAYFLY_KAFKA_MECHANISM": "OAUTHBEARER"}
    assert fault(**oauth).endswith("needs kafka_token_endpoint beside it")
    assert "https" in fault(**oauth, MAYFLY_KAFKA_TOKEN_ENDPOINT="http://a.example/token")
    assert "https" in fault(**oauth, MAYFLY_KAFKA_TOKEN_ENDPOINT="https://u:p@a.example/token")
    assert load(**oauth, MAYFLY_KAFKA_TOKEN_ENDPOINT="https://a.example/token").kafka_scope is None
    msk = sasl | {"MAYFLY_KAFKA_MECHANISM": "AWS_MSK_IAM"}
    assert fault(**msk).endswith("needs kafka_region beside it")
    assert load(**msk, MAYFLY_KAFKA_REGION="eu-central-1").kafka_region == "eu-central-1"


def test_no_secret_goes_over_an_open_line() -> None:
    sasl = BROKER | PASSWORD | {"MAYFLY_KAFKA_PROTOCOL": "SASL_PLAINTEXT"}
    assert "SASL_SSL" in fault(**sasl, MAYFLY_KAFKA_MECHANISM="PLAIN")
    assert load(**sasl, MAYFLY_KAFKA_MECHANISM="SCRAM-SHA-256").kafka_username == "u"
    assert "needs kafka_protocol" in fault(**BROKER, **PASSWORD, MAYFLY_KAFKA_MECHANISM="SCRAM-SHA-256")


@pytest.mark.parametrize("given", ["hunter2", "env:", "env:a b", "file:x", "vault:x"])
def test_a_password_in_the_settings_is_refused_and_not_shown(given: str) -> None:
    told = fault(**BROKER, MAYFLY_KAFKA_PASSWORD=given)
    assert told == "MAYFLY_KAFKA_PASSWORD: must say where the secret is, env:NAME or file:/PATH, and not be it"


def test_the_password_is_read_where_it_is_named_to_be(folder: Path) -> None:
    (folder / "password").write_text("pässword\n")
    assert read_password(load(), {}) is None
    assert read_password(load(MAYFLY_KAFKA_PASSWORD="env:P"), {"P": "hunter2"}) == "hunter2"
    assert read_password(load(MAYFLY_KAFKA_PASSWORD=f"file:{folder}/password"), {}) == "pässword"


@pytest.mark.parametrize(
    ("content", "said"), [(None, "cannot be read"), (b"", "is empty"), (b"hunter2\xff", "is not text in UTF-8")]
)
def test_a_password_that_cannot_be_had_is_told_and_not_shown(folder: Path, content: bytes | None, said: str) -> None:
    if content is not None:
        (folder / "password").write_bytes(content)
    with pytest.raises(Misconfigured, match=said) as caught:
        read_password(load(MAYFLY_KAFKA_PASSWORD=f"file:{folder}/password"), {})
    assert "hunter2" not in str(caught.value)
    with pytest.raises(Misconfigured, match="is not set"):
        read_password(load(MAYFLY_KAFKA_PASSWORD="env:P"), {})


def test_claims_are_allowed_beneath_absolute_folders_alone() -> None:
    settings = load(MAYFLY_KAFKA_CLAIMS="/srv/a,/srv/b", MAYFLY_KAFKA_CLAIMS_EXTERNAL="/srv/b/c")
    assert settings.kafka_claims == (Path("/srv/a"), Path("/srv/b"))
    assert settings.kafka_claims_external == (Path("/srv/b/c"),)
    for wrong in ("a", "./a", "/", "/a/../b", "~/a"):
        assert "absolute" in fault(MAYFLY_KAFKA_CLAIMS=wrong)


def test_external_claims_are_allowed_ones() -> None:
    assert "beneath one" in fault(MAYFLY_KAFKA_CLAIMS="/srv/a", MAYFLY_KAFKA_CLAIMS_EXTERNAL="/srv/ab")


@pytest.mark.parametrize("prefix", ["", "/mayfly-data", "/mayfly-data/objects", "/mayfly-data.keys", "/link"])
def test_no_claim_points_at_data_or_keys(folder: Path, prefix: str) -> None:
    (folder / "link").symlink_to(folder / "mayfly-data")
    assert all("data or keys of ours" in one for one in faults(MAYFLY_KAFKA_CLAIMS=f"{folder}{prefix}"))
