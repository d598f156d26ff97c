"""How the brokers are reached, and who we are there: as librdkafka wants to be told.

https://github.com/confluentinc/librdkafka/blob/master/CONFIGURATION.md lists its properties.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Token = Callable[[], tuple[str, float]]
"""Gives a token and the second (since 1970) that it ends in."""

SILENT = logging.getLogger(__name__)
"""librdkafka's own log is not ours: what it says of failures comes to `error_cb`, too, and is told from there."""
SILENT.addHandler(logging.NullHandler())
SILENT.propagate = False


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
        """What every client of the brokers has in common."""
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
        """The text as it may be shown."""
        return text.replace(self.password, "***") if self.password else text

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
            }
        return {
            "sasl.mechanism": self.mechanism,
            "sasl.username": self.username,
            "sasl.password": self.password,
        }
