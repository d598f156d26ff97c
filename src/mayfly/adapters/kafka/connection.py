"""How the brokers are reached, and who we are there: as librdkafka wants to be told.

https://github.com/confluentinc/librdkafka/blob/master/CONFIGURATION.md lists its properties.
"""

import base64
import logging
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

from mayfly.model.errors import Misconfigured

Token = Callable[[], tuple[str, float]]
"""Gives a token and the second (since 1970) that it ends in."""

SILENT = logging.getLogger(__name__)
"""librdkafka's own log is not ours: what it says of failures comes to `error_cb`, too, and is told from there."""
SILENT.addHandler(logging.NullHandler())
SILENT.propagate = False

MOST_TEXT = 600
"""Characters: a token endpoint's whole answer stands in the text of a failure."""


@dataclass(frozen=True, slots=True)
class Connection:
    """`mechanism` AWS_MSK_IAM takes `token`; OAUTHBEARER takes it, or gets tokens from `token_endpoint` by OpenID
    Connect, where `username` and `password` are the client's id and secret."""

    servers: str
    protocol: str = "PLAINTEXT"
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    mechanism: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    token_endpoint: str | None = None
    scope: str | None = None
    token: Token | None = field(default=None, repr=False)

    def properties(self) -> dict[str, Any]:
        """What every client of the brokers has in common.

        Raises:
            Misconfigured: a file that is named cannot be read.
        """
        for setting, file in (("kafka_ca", self.ca), ("kafka_certificate", self.certificate), ("kafka_key", self.key)):
            if file is not None:
                _must_be_readable(setting, file)
        wanted = {
            "bootstrap.servers": self.servers,
            "client.id": "mayfly",
            "security.protocol": self.protocol,
            "ssl.ca.location": self.ca and str(self.ca),
            "ssl.certificate.location": self.certificate and str(self.certificate),
            "ssl.key.location": self.key and str(self.key),
            "logger": SILENT,
        } | self._sasl()
        return {name: value for name, value in wanted.items() if value is not None}

    def without_secrets(self, text: str) -> str:
        """The text as it may be shown, cut where it is long. Who refuses us may quote what we sent."""
        for secret in sorted(self._secrets(), key=len, reverse=True):
            text = text.replace(secret, "***")
        return text if len(text) <= MOST_TEXT else f"{text[:MOST_TEXT]}..."

    @property
    def proof(self) -> str:
        """The settings that say who we are: what to look at where that is refused."""
        if self.token is not None:
            return "kafka_region, and at whose AWS credentials are found"
        if self.mechanism == "OAUTHBEARER":
            return "kafka_token_endpoint, kafka_username, kafka_password, kafka_scope and kafka_ca"
        return "kafka_mechanism, kafka_username and kafka_password"

    def _secrets(self) -> Iterator[str]:
        """The password in every form in which it is sent."""
        if self.password:
            for encoded in (str, quote, quote_plus, lambda text: quote(text, safe="")):
                name, password = encoded(self.username or ""), encoded(self.password)
                yield password
                yield base64.b64encode(f"{name}:{password}".encode()).decode()

    def _sasl(self) -> dict[str, Any]:
        if self.mechanism is None:
            return {}
        if self.token is not None:
            token = self.token
            return {"sasl.mechanism": "OAUTHBEARER", "oauth_cb": lambda _: token()}
        if self.mechanism == "OAUTHBEARER":
            return {
                "sasl.mechanism": "OAUTHBEARER",
                "sasl.oauthbearer.method": "oidc",
                "sasl.oauthbearer.token.endpoint.url": self.token_endpoint,
                "sasl.oauthbearer.client.id": self.username,
                "sasl.oauthbearer.client.secret": self.password,
                "sasl.oauthbearer.scope": self.scope,
                "https.ca.location": str(self.ca) if self.ca else _system_certificates(),
            }
        return {
            "sasl.mechanism": self.mechanism,
            "sasl.username": self.username,
            "sasl.password": self.password,
        }


def _system_certificates() -> str | None:
    """Where the system has those that it trusts. librdkafka asks for tokens by a library that looks where its builders
    have them, and is not led elsewhere by `probe`."""
    known = ssl.get_default_verify_paths()
    places = (known.cafile, "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", known.capath)
    return next((place for place in places if place and Path(place).exists()), None)


def _must_be_readable(setting: str, file: Path) -> None:
    """librdkafka would name its own setting, and not the file."""
    try:
        file.read_bytes()
    except OSError as fault:
        raise Misconfigured(f"{setting}: {file} cannot be read ({fault.strerror}): name a file in PEM") from None
