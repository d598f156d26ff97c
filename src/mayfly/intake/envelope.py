"""What a record says of itself: CloudEvents in binary or structured mode, a claim check, or plain bytes.

Whoever produces is a stranger: each header that is read is bounded and has to be plain text, those that are not read
may hold anything. What is at fault is told, never raised: the record's image is kept all the same, as rejected.

Source: CloudEvents 1.0, "Kafka Protocol Binding" (attributes are headers `ce_*` and `content-type`) and "JSON Event
Format".
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mayfly.intake.file_name import file_name_of
from mayfly.model.claim import Claim
from mayfly.model.errors import ClaimRefused, InvalidRequest
from mayfly.model.retention import Retention
from mayfly.model.stream import UNREADABLE_HEADERS

MOST_HEADERS = 256
LONGEST_HEADER = 4_096
"""Bytes of one header that is read."""
LONGEST_CLAIM = 64 * 1024
"""Bytes of a record that is a claim check."""

STRUCTURED = "application/cloudevents+json"
CLAIM_CHECK = "application/json"
_PREFIX = "ce_"
_LABEL = "label"
_DISPOSITION = "content-disposition"
_READ = frozenset({"content-type", _DISPOSITION, "ce_id", "ce_source", "ce_retain"})
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Envelope:
    """`event` is a CloudEvent's source and id as one text, where it has both; `claim` where the bytes stand, or why
    that cannot be known; `fault` the first header that is at fault."""

    declared_type: str | None = None
    source: str | None = None
    event: str | None = None
    file_name: str | None = None
    retain: Retention | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    claim: Claim | ClaimRefused | None = None
    fault: InvalidRequest | None = None


def envelope_of(headers: Sequence[tuple[str, bytes]], value: bytes | None) -> Envelope:
    """Read a record. Nothing that a record holds raises."""
    texts, faults = _texts(headers)
    attributes = {name.removeprefix(_PREFIX): text for name, text in texts.items() if name.startswith(_PREFIX)}
    declared = texts.get("content-type")
    media_type = (declared or "").partition(";")[0].strip().lower()
    claim: Claim | ClaimRefused | None = None
    if media_type in (STRUCTURED, CLAIM_CHECK) and value:
        declared = None
        try:
            document = _document(value)
            if media_type == STRUCTURED:
                attributes.update(_attributes(document, faults))
            claim = _claim(document.get("data") if media_type == STRUCTURED else document)
        except ClaimRefused as refusal:
            claim = refusal
    retain, event = None, None
    try:
        retain = None if "retain" not in attributes else Retention.parse(attributes["retain"])
        event = _event(attributes)
    except InvalidRequest as fault:
        faults.append(fault)
    return Envelope(
        declared_type=declared,
        source=attributes.get("source"),
        event=event,
        file_name=file_name_of(texts.get(_DISPOSITION)),
        retain=retain,
        labels={name[len(_LABEL) :]: text for name, text in attributes.items() if name.startswith(_LABEL)},
        claim=claim,
        fault=faults[0] if faults else None,
    )


def _texts(headers: Sequence[tuple[str, bytes]]) -> tuple[dict[str, str], list[InvalidRequest]]:
    """The headers that are read, by their names in lower case, and what is at fault with the others of them."""
    texts: dict[str, str] = {}
    faults: list[InvalidRequest] = []
    if len(headers) > MOST_HEADERS:
        faults.append(InvalidRequest(f"a record has at most {MOST_HEADERS} headers; this one has {len(headers)}"))
    seen: set[str] = set()
    if tuple(headers) == UNREADABLE_HEADERS:
        faults.append(InvalidRequest("the name of a header is not UTF-8"))
    for name, raw in headers[:MOST_HEADERS]:
        name = name.lower()
        if name not in _READ and not name.startswith(_PREFIX + _LABEL):
            continue
        if name in seen:
            # Which of two was meant nobody knows: neither counts.
            texts.pop(name, None)
            faults.append(InvalidRequest(f"the header {name[:40]!r} comes twice"))
            continue
        seen.add(name)
        try:
            texts[name] = _text(name, raw)
        except InvalidRequest as fault:
            faults.append(fault)
    return texts, faults


def _text(name: str, raw: bytes) -> str:
    if name == _DISPOSITION:
        # Clients write file names in any way they like; what is taken of it is made safe.
        return raw[:LONGEST_HEADER].decode("latin-1")
    if len(name) + len(raw) > LONGEST_HEADER:
        raise InvalidRequest(f"the header {name[:40]!r} is longer than {LONGEST_HEADER} bytes")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidRequest(f"the header {name[:40]!r} is not UTF-8") from None
    return _plain(name, text)


def _plain(name: str, said: object) -> str:
    if not isinstance(said, str) or not said.isprintable() or len(said) > LONGEST_HEADER:
        raise InvalidRequest(f"{name[:40]!r} is printable text of at most {LONGEST_HEADER} characters")
    return said


def _event(attributes: Mapping[str, str]) -> str | None:
    source, event_id = attributes.get("source"), attributes.get("id")
    if source is None or event_id is None:
        return None
    if not source or not event_id:
        raise InvalidRequest("a CloudEvent's source and id are not empty")
    # Neither can hold a NUL: no two pairs read the same.
    return f"{source}\x00{event_id}"


def _document(value: bytes) -> dict[str, Any]:
    if len(value) > LONGEST_CLAIM:
        raise ClaimRefused(f"a claim check is at most {LONGEST_CLAIM} bytes of JSON")
    try:
        return _object(json.loads(value))
    except (ValueError, RecursionError):
        raise ClaimRefused("a claim check is a JSON object") from None


def _object(found: object) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise ClaimRefused("a claim check is a JSON object with uri, sha256 and bytes")
    return found


def _attributes(document: Mapping[str, Any], faults: list[InvalidRequest]) -> dict[str, str]:
    """Those of a structured CloudEvent that are read."""
    found: dict[str, str] = {}
    for name, said in document.items():
        if name not in ("id", "source", "retain") and not name.startswith(_LABEL):
            continue
        try:
            found[name] = _plain(name, said)
        except InvalidRequest as fault:
            faults.append(fault)
    return found


def _claim(found: object) -> Claim:
    said = _object(found)
    uri, sha256, size = said.get("uri"), said.get("sha256"), said.get("bytes")
    if not isinstance(uri, str) or not isinstance(sha256, str) or not _SHA256.fullmatch(sha256.lower()):
        raise ClaimRefused("a claim check holds uri, and sha256 as 64 hex digits")
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise ClaimRefused("a claim check holds bytes, the file's exact size")
    return Claim(uri, sha256.lower(), size)
