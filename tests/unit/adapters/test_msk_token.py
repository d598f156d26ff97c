"""Tokens for Amazon MSK. No cluster of AWS's was asked: the signature is held to a calculation of its own."""

import hashlib
import hmac
import time
from base64 import urlsafe_b64decode
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlsplit

import pytest

from mayfly.adapters.aws.msk_token import MskToken
from mayfly.adapters.kafka.connection import Connection
from mayfly.cli.doctor import kafka_checks
from mayfly.model.errors import Unavailable
from mayfly.settings import Settings

KEY, SECRET, SESSION = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG", "session+token/="


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No credentials of this machine's, and nobody asked for any."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))


def expected(query: dict[str, str], host: str, region: str) -> str:
    """Signature Version 4 in the query, by its description alone
    (https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html)."""
    names = sorted(set(query) - {"X-Amz-Signature", "User-Agent"})
    canonical_query = "&".join(f"{quote(name, safe='-_.~')}={quote(query[name], safe='-_.~')}" for name in names)
    nothing = hashlib.sha256(b"").hexdigest()
    canonical = f"GET\n/\n{canonical_query}\nhost:{host}\n\nhost\n{nothing}"
    moment = query["X-Amz-Date"]
    scope = f"{moment[:8]}/{region}/kafka-cluster/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = f"AWS4{SECRET}".encode()
    for part in (moment[:8], region, "kafka-cluster", "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


@pytest.mark.parametrize("session", [None, SESSION])
def test_a_token_is_a_signed_request_to_connect(monkeypatch: pytest.MonkeyPatch, session: str | None) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    if session is not None:
        monkeypatch.setenv("AWS_SESSION_TOKEN", session)
    before = time.time()
    token, ends_at = MskToken("eu-central-1")()
    assert "=" not in token
    url = urlsplit(urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode())
    query = dict(parse_qsl(url.query))
    assert (url.scheme, url.netloc, url.path) == ("https", "kafka.eu-central-1.amazonaws.com", "/")
    assert query["Action"] == "kafka-cluster:Connect"
    assert query["X-Amz-Expires"] == "900"
    assert query.get("X-Amz-Security-Token") == session
    assert query["X-Amz-SignedHeaders"] == "host"
    assert query["X-Amz-Credential"].startswith(f"{KEY}/")
    assert query["User-Agent"].startswith("mayfly/")
    assert query["X-Amz-Signature"] == expected(query, url.netloc, "eu-central-1")
    assert SECRET not in url.geturl()
    assert before + 900 <= ends_at <= time.time() + 900


def test_without_credentials_it_says_so() -> None:
    with pytest.raises(Unavailable, match="no AWS credentials"):
        MskToken("eu-central-1")()
    settings = Settings.load(
        None,
        {},
        {
            "MAYFLY_KAFKA": "b:9098",
            "MAYFLY_TOPIC": "photos",
            "MAYFLY_KAFKA_PROTOCOL": "SASL_SSL",
            "MAYFLY_KAFKA_MECHANISM": "AWS_MSK_IAM",
            "MAYFLY_KAFKA_REGION": "eu-central-1",
        },
    )
    (check,) = kafka_checks(settings, {})
    assert check.verdict == "failed"
    assert "no AWS credentials" in check.found


def test_the_client_library_is_given_tokens_as_it_asks_for_them() -> None:
    connection = Connection("b:9098", "SASL_SSL", mechanism="AWS_MSK_IAM", token=lambda: ("token", 1.0))
    properties = connection.properties()
    assert properties["sasl.mechanism"] == "OAUTHBEARER"
    assert properties["oauth_cb"]("") == ("token", 1.0)
