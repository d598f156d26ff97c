"""What listening beyond loopback takes: names, addresses, and the two halves of TLS."""

import re
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

from mayfly.settings.fields import texts
from mayfly.settings.sources import Source

MOST_NAMES = 16
_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")
_WAYS = (
    "listening beyond loopback takes TLS (tls_certificate and tls_key) or a proxy in front that speaks it "
    "(behind_proxy), and a token (mayfly token create). Or listen on loopback and forward a port from the other "
    "machine: ssh -L 8080:127.0.0.1:8080 THIS-MACHINE"
)


def is_loopback(host: str) -> bool:
    return host == "localhost" or ip_address(host).is_loopback


def address(host: str) -> str:
    """Raises ValueError for what is no address: to which one a name resolves may change."""
    try:
        is_loopback(host)
    except ValueError:
        raise ValueError(
            "must be an IP address of this machine, or localhost: a loopback one such as 127.0.0.1; or, "
            "with TLS or a proxy in front, another one, 0.0.0.0 or ::. From another machine a forwarded port will do: "
            "ssh -L 8080:127.0.0.1:8080 THIS-MACHINE"
        ) from None
    return host


def names(value: object) -> tuple[str, ...]:
    """A list of names, or in the environment one text with commas between them."""
    found = tuple(name.lower() for name in texts(value))
    wrong = [name for name in found if not _NAME.fullmatch(name)]
    if wrong or len(found) > MOST_NAMES:
        raise ValueError(f"must be at most {MOST_NAMES} host names such as photos.example.org, without port or path")
    return found


def faults(values: Mapping[str, Any], origin: Mapping[str, Source]) -> list[str]:
    """What the settings of each other need, as given: before any default, and whether the others are valid or not."""
    found = []
    certificate, key = values.get("tls_certificate"), values.get("tls_key")
    if bool(certificate) != bool(key):
        there, missing = ("tls_certificate", "tls_key") if certificate else ("tls_key", "tls_certificate")
        found.append(f"{origin[there].place(there)}: needs {missing} beside it")
    try:
        public = not is_loopback(values.get("host", "localhost"))
    except ValueError:
        public = False  # no address; the field's own fault says so
    proxied = str(values.get("behind_proxy", False)).lower() in ("true", "1", "yes", "on", "t", "y")
    if public and not proxied and not (certificate and key):
        found.append(f"{origin['host'].place('host')}: {_WAYS} (got {values['host']!r})")
    return found
