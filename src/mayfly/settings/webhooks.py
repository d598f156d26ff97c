"""The webhooks that are told of events: how settings write them, and where their secrets are read."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from urllib.parse import SplitResult, urlsplit

from mayfly.adapters.webhook.network import is_public
from mayfly.adapters.webhook.signature import parse_secret
from mayfly.model.errors import Misconfigured
from mayfly.model.event import SENT
from mayfly.model.lifecycle import State
from mayfly.settings.secrets import read_secret, reference_fault
from mayfly.settings.sources import suggestion

MOST_WEBHOOKS = 8
_LONGEST_URL = 2_048
_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
_KEYS = ("url", "secret", "allow_private", "states")


@dataclass(frozen=True, slots=True)
class Webhook:
    """`secret` says where the secret is: `env:NAME` or `file:PATH`."""

    name: str
    url: str
    secret: str
    allow_private: bool = False
    states: tuple[State, ...] = SENT


def parse_webhooks(tables: Mapping[str, Any]) -> tuple[Webhook, ...]:
    """From the tables of the settings.

    Raises:
        Misconfigured: with every fault, each with its path.
    """
    faults: list[str] = []
    if len(tables) > MOST_WEBHOOKS:
        faults.append(f"webhooks: must hold at most {MOST_WEBHOOKS} (got {len(tables)})")
    found = [_webhook(name, table, faults) for name, table in tables.items()]
    if faults:
        raise Misconfigured(*faults)
    return tuple(webhook for webhook in found if webhook is not None)


def webhooks_to_json(webhooks: tuple[Webhook, ...]) -> dict[str, Any]:
    """As the settings write them."""
    return {
        webhook.name: {
            "url": webhook.url,
            "secret": webhook.secret,
            "allow_private": webhook.allow_private,
            "states": [state.value for state in webhook.states],
        }
        for webhook in webhooks
    }


def read_secrets(webhooks: tuple[Webhook, ...], environ: Mapping[str, str]) -> Mapping[str, bytes]:
    """The keys that the webhooks sign with, by name.

    Raises:
        Misconfigured: with every one that cannot be had. No message shows a secret.
    """
    keys: dict[str, bytes] = {}
    faults: list[str] = []
    for webhook in webhooks:
        place = f"webhooks.{webhook.name}.secret: {webhook.secret}"
        try:
            keys[webhook.name] = parse_secret(read_secret(webhook.secret, environ))
        except Misconfigured as fault:
            faults.append(f"{place}: {fault}")
    if faults:
        raise Misconfigured(*faults)
    return keys


def _webhook(name: str, table: object, faults: list[str]) -> Webhook | None:
    path = f"webhooks.{name}"
    if not _NAME.fullmatch(name):
        faults.append(f"{path}: must be 1 to 32 of a-z, 0-9 and _, beginning with a letter")
    if not isinstance(table, Mapping):
        faults.append(f"{path}: must be a table with a url and a secret")
        return None
    faults += [f"{path}.{key}: no such setting{suggestion(key, _KEYS)}" for key in table if key not in _KEYS]
    private = table.get("allow_private", False)
    if not isinstance(private, bool):
        faults.append(f"{path}.allow_private: must be true or false")
    checks: tuple[tuple[str, Callable[[Any], str | None]], ...] = (
        ("url", lambda value: _url_fault(value, private is True)),
        ("secret", reference_fault),
        ("states", _states_fault),
    )
    values = {"url": "", "secret": "", "states": list(SENT)} | dict(table)
    for key, check in checks:
        if said := check(values[key]):
            faults.append(f"{path}.{key}: {said}")
    if any(fault.startswith((f"{path}:", f"{path}.")) for fault in faults):
        return None
    # In the order of a life, whatever order they are written in.
    states = tuple(state for state in SENT if state in values["states"])
    return Webhook(name, values["url"], values["secret"], private, states)


def _url_fault(value: object, private: bool) -> str | None:
    if not isinstance(value, str) or not value:
        return "must be the address that events are posted to, such as https://example.org/mayfly"
    parts = _split(value)
    if parts is None or not parts.hostname or parts.username is not None or parts.fragment:
        return "must be a URL with a host, without a user, a password or a fragment, in ASCII without spaces"
    if parts.scheme != "https" and not (parts.scheme == "http" and private):
        return "must begin with https:// (http:// goes to addresses of your own network, with allow_private = true)"
    return _literal_fault(parts, private)


def _split(value: str) -> SplitResult | None:
    if len(value) > _LONGEST_URL or not value.isascii() or not value.isprintable() or " " in value:
        return None
    try:
        parts = urlsplit(value)
        usable = parts.port != 0
    except ValueError:
        return None
    return parts if usable else None


def _literal_fault(parts: SplitResult, private: bool) -> str | None:
    """Names are looked at when they are connected to, each time; a bare address can be told now."""
    try:
        address = ip_address(parts.hostname or "")
    except ValueError:
        return None
    if not is_public(str(address)) and not private:
        return "must not be an address that is not public, unless allow_private = true"
    if is_public(str(address)) and parts.scheme != "https":
        return "must begin with https://: a public address is spoken to over TLS alone"
    return None


def _states_fault(value: object) -> str | None:
    if isinstance(value, list | tuple) and value and all(one in SENT for one in value):
        return None
    return f"must be a list of one or more of {', '.join(SENT)}"
