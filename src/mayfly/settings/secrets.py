"""Secrets stand outside the settings: these say where, `env:NAME` or `file:/PATH`."""

import re
from collections.abc import Mapping
from pathlib import Path

from mayfly.model.errors import Misconfigured

_MOST_BYTES = 1_024
_VARIABLE = re.compile(r"(?!whsec_)[A-Za-z_][A-Za-z0-9_]*")
"""A secret in the place of its name would be shown with the settings."""


def reference_fault(value: object) -> str | None:
    """What is wrong with a reference, if anything. Its text does not repeat it: it may be the secret itself."""
    kind, _, place = value.partition(":") if isinstance(value, str) else ("", "", "")
    named = kind == "env" and _VARIABLE.fullmatch(place) is not None
    good = named or (kind == "file" and (Path(place).is_absolute() or place.startswith("~/")))
    return None if good else "must say where the secret is, env:NAME or file:/PATH, and not be it"


def read_secret(reference: str, environ: Mapping[str, str]) -> str:
    """What stands where a good reference points, without space around it.

    Raises:
        Misconfigured: it cannot be had. No message shows a secret.
    """
    kind, _, place = reference.partition(":")
    if kind == "env":
        text = environ.get(place, "")
        missing = "is not set in the environment"
    else:
        text = _read(Path(place).expanduser())
        missing = "is empty"
    if not text.strip():
        raise Misconfigured(missing)
    return text.strip()


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_MOST_BYTES).decode()
    except OSError as fault:
        raise Misconfigured(f"cannot be read: {fault.strerror}") from None
    except UnicodeDecodeError:
        raise Misconfigured("is not text in UTF-8") from None
