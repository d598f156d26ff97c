"""The settings as people read them: the template of mayfly.toml, and the table in docs/reference/settings.md.

Both are generated from `Settings`, so that neither can lag behind it.
"""

import json
import textwrap
from collections.abc import Mapping
from typing import Any

from mayfly.settings import Settings
from mayfly.settings.sources import TABLES

_WIDTH = 100
_UNSET = {
    "keys": "mayfly-data.keys",
    "clock": "clock.json",
    "tls_certificate": "certificate.pem",
    "tls_key": "key.pem",
    "kafka": "broker1.example.org:9092,broker2.example.org:9092",
    "topic": ["photos"],
    "kafka_retention": "P1D",
    "kafka_events": "mayfly.events",
    "kafka_ca": "ca.pem",
    "kafka_certificate": "client.pem",
    "kafka_key": "client.key.pem",
    "kafka_mechanism": "SCRAM-SHA-512",
    "kafka_username": "mayfly",
    "kafka_password": "env:KAFKA_PASSWORD",
    "kafka_token_endpoint": "https://login.example.org/token",
    "kafka_scope": "kafka",
    "kafka_region": "eu-central-1",
    "kafka_claims": ["/srv/photos"],
    "kafka_claims_external": ["/srv/photos"],
}
"""What the template shows for settings whose default is to be absent."""
_INTRODUCTION = """\
Mayfly's settings, each with its default. Take away the `#` in front of one to change it.
An option of the command line wins over MAYFLY_* in the environment, and that over this file.
Relative paths are relative to this file. `mayfly config check` tells every fault at once."""


def template() -> str:
    """A mayfly.toml that changes nothing: every setting is there, commented out, with its meaning and default."""
    defaults = default_values()
    blocks = [_comment(_INTRODUCTION.splitlines())]
    for name in Settings.names():
        field = Settings.model_fields[name]
        meaning = _comment(textwrap.wrap(field.description or "", _WIDTH))
        if name in TABLES:
            blocks.append(f"{meaning}\n{_comment(_table(name, defaults[name]))}")
        else:
            shown = _UNSET.get(name, defaults[name])
            blocks.append(f"{meaning}\n{_comment([f'{name} = {_toml(shown)}'])}")
    return "\n\n".join(blocks) + "\n"


def reference() -> str:
    """The rows of the documentation's table, one a setting."""
    defaults = default_values()
    rows = ["| setting | default | environment | meaning |", "|---|---|---|---|"]
    for name in Settings.names():
        field = Settings.model_fields[name]
        default = field.default_factory is None and name not in TABLES and defaults[name] is not None
        shown = f"`{_toml(defaults[name])}`" if default else "see meaning"
        rows.append(f"| `{name}` | {shown} | `MAYFLY_{name.upper()}` | {field.description} |")
    return "\n".join(rows) + "\n"


def default_values() -> dict[str, Any]:
    return Settings().model_dump(mode="json")


def _comment(lines: list[str]) -> str:
    return "\n".join(f"# {line}".rstrip() for line in lines)


def _table(name: str, value: Mapping[str, Any]) -> list[str]:
    if name == "labels":
        return ["[labels]", 'site = "fact"', 'customer = "personal"']
    if name == "webhooks":
        return ["[webhooks.ops]", 'url = "https://example.org/mayfly"', 'secret = "env:OPS_WEBHOOK_SECRET"']
    lines: list[str] = []
    for rendition, recipe in value.items():
        lines += [f"[{name}.{rendition}]", "steps = [", *(f"  {_toml(step)}," for step in recipe["steps"]), "]"]
    return lines


def _toml(value: object) -> str:
    """JSON's scalars and lists read the same in TOML; its objects become inline tables, without what is null."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} = {_toml(inner)}" for key, inner in value.items() if inner is not None) + "}"
    return json.dumps(value, ensure_ascii=False)
