"""Signatures as Standard Webhooks have them (https://www.standardwebhooks.com, version 1): HMAC-SHA256 over
`id.timestamp.body`, so that a receiver knows the sender, the bytes and the moment of sending."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping

from mayfly.model.errors import Misconfigured

_PREFIX = "whsec_"
_LEAST, _MOST = 24, 64
"""Bytes of a key, as the specification bounds them."""


def parse_secret(text: str) -> bytes:
    """The key of a secret as it is handed round: `whsec_` and the key in base64.

    Raises:
        Misconfigured: it is no such secret; the message does not show it.
    """
    encoded = text.strip().removeprefix(_PREFIX)
    try:
        key = base64.b64decode(encoded, validate=True) if text.strip().startswith(_PREFIX) else b""
    except binascii.Error:
        key = b""
    if not _LEAST <= len(key) <= _MOST:
        raise Misconfigured(
            f"must be whsec_ and {_LEAST} to {_MOST} bytes in base64: echo whsec_$(openssl rand -base64 32) makes one"
        )
    return key


def signed(key: bytes, message_id: str, timestamp: int, body: bytes) -> Mapping[str, str]:
    """The three headers. `timestamp` is the second of the sending."""
    content = f"{message_id}.{timestamp}.".encode() + body
    digest = hmac.new(key, content, hashlib.sha256).digest()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }
