"""How the parameters of a user's own step are read. Faults go to `Params`, as for every step."""

import json
import math
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from mayfly.processing.steps.step import Params

Value = str | int | float | bool
Table = tuple[tuple[str, Value], ...]
"""The table `parameters`, by name."""

LONGEST_TIMEOUT = 600
"""Seconds."""
MOST_PARAMETER_BYTES = 4096
"""Of the table as JSON: it travels in an environment variable or in a header."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
_SECRET = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]{0,127}")
_MOST_ARGUMENTS = 64


def seconds(params: Params) -> float:
    wanted = f"seconds above 0, at most {LONGEST_TIMEOUT}"
    value = params.value("timeout", wanted, 10)
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= LONGEST_TIMEOUT:
        return float(value)
    params.fault("timeout", f"must be {wanted}; got {value!r}")
    return 10.0


def flag(params: Params, key: str) -> bool:
    value = params.value(key, "true or false", default=False)
    if not isinstance(value, bool):
        params.fault(key, f"must be true or false; got {value!r}")
    return value is True


def text(params: Params, key: str, wanted: str, default: str | None = None) -> str:
    value = params.value(key, wanted) if default is None else params.value(key, wanted, default)
    if isinstance(value, str) and (value or default == "") and "\0" not in value:
        return value
    if value is not None:
        params.fault(key, f"must be {wanted}; got {value!r}")
    return default or "-"


def texts(params: Params, key: str, wanted: str, default: list[str] | None = None) -> tuple[str, ...]:
    value = params.value(key, wanted) if default is None else params.value(key, wanted, default)
    fits = isinstance(value, list | tuple) and len(value) <= _MOST_ARGUMENTS and (value or default is not None)
    if fits and all(isinstance(one, str) and one and "\0" not in one for one in value):
        return tuple(value)
    if value is not None:
        params.fault(key, f"must be {wanted}, at most {_MOST_ARGUMENTS}; got {value!r}")
    return ("-",) if default is None else ()


def table(params: Params) -> Table:
    """`parameters`: what the code is given beside the image."""
    wanted = 'a table of texts, numbers and truth values, for example {strength = 3, mode = "soft"}'
    raw = params.value("parameters", wanted, {})
    fits = isinstance(raw, Mapping) and all(_named(name) and _plain(value) for name, value in raw.items())
    if not fits:
        params.fault("parameters", f"must be {wanted}; got {str(raw)[:60]}")
        return ()
    found = tuple(sorted(raw.items()))
    size = len(json.dumps(dict(found)).encode())
    if size > MOST_PARAMETER_BYTES:
        params.fault("parameters", f"is {size} bytes as JSON; at most {MOST_PARAMETER_BYTES} are passed on")
    return found


def url(params: Params) -> str:
    wanted = "an address such as http://127.0.0.1:9000/step"
    found = text(params, "url", wanted)
    try:
        parts = urlsplit(found)
        port = parts.port
        fits = (
            parts.scheme in ("http", "https")
            and parts.hostname
            and port != 0
            and not (parts.fragment or parts.username or parts.password)
            and found.isascii()
            and found.isprintable()
            and " " not in found
        )
    except ValueError:
        fits = False
    if not fits and found != "-":
        params.fault("url", f"must be {wanted}, without a user, a password or a fragment; got {found[:120]!r}")
    return found


def secret(params: Params) -> str:
    """A reference: the secret itself has no place in settings. Empty where there is none."""
    found = text(params, "secret", "a reference such as env:STEP_SECRET", "")
    if found and not _SECRET.fullmatch(found):
        params.fault("secret", "must be a reference such as env:STEP_SECRET, never the secret itself")
        return ""
    return found


def _named(name: object) -> bool:
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def _plain(value: object) -> bool:
    return isinstance(value, str | bool | int) or (isinstance(value, float) and math.isfinite(value))
