"""The fields of an upload form: what S3 calls a presigned POST, name by name, signed with the image's own secret.

Whoever can post a form to S3 can post one here. The signature is AWS Signature Version 4 over the policy; the access
key is the image's id, so a form names the secret it was signed with, and nothing about it has to be remembered.

Source: AWS, Amazon S3 API Reference, "Browser-Based Uploads Using POST (AWS Signature Version 4)": "POST Policy" for
the conditions, "Calculating a Signature" for the chain of HMACs.
"""

import base64
import binascii
import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from mayfly.model.address import Address
from mayfly.model.errors import FormRefused, InvalidRequest, NotFound
from mayfly.model.identity import ImageId
from mayfly.model.image import MediaType
from mayfly.model.instant import SECOND, Ms, parse_rfc3339, rfc3339

ALGORITHM = "AWS4-HMAC-SHA256"
REGION = "mayfly"
_SERVICE = "s3"
_END = "aws4_request"
_RANGE = "content-length-range"
_UNSIGNED = frozenset({"policy", "x-amz-signature"})
_IGNORED = "x-ignore-"
_ANEW = "ask for a new form, and post its fields unchanged"


@dataclass(frozen=True, slots=True)
class FormTerms:
    """What a form allows: `media_type` exactly, `least` to `most` bytes, until `expires_at` (whole seconds)."""

    image_id: ImageId
    media_type: MediaType
    least: int
    most: int
    expires_at: Ms


def fields_of(terms: FormTerms, secret: str, issued_at: Ms) -> dict[str, str]:
    """The form's fields, signed; they are posted before the file, as they are."""
    moment = datetime.fromtimestamp(issued_at // SECOND, UTC)
    day = moment.strftime("%Y%m%d")
    stated = {
        "Content-Type": str(terms.media_type),
        "key": str(Address.original(terms.image_id)),
        "x-amz-algorithm": ALGORITHM,
        "x-amz-credential": f"{terms.image_id}/{day}/{REGION}/{_SERVICE}/{_END}",
        "x-amz-date": moment.strftime("%Y%m%dT%H%M%SZ"),
    }
    conditions: list[object] = [{name: value} for name, value in stated.items()]
    conditions.append([_RANGE, terms.least, terms.most])
    policy = json.dumps({"expiration": rfc3339(terms.expires_at), "conditions": conditions}, separators=(",", ":"))
    encoded = base64.b64encode(policy.encode()).decode()
    return {**stated, "policy": encoded, "x-amz-signature": signature(secret, day, encoded)}


def signature(secret: str, day: str, policy: str) -> str:
    """Signature Version 4 of an encoded policy: 64 hex digits. `day` is `YYYYMMDD`."""
    key = b"AWS4" + secret.encode()
    for part in (day, REGION, _SERVICE, _END):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, policy.encode(), "sha256").hex()


def posted(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """A form's fields as they came; their names count in any case, as they do to S3.

    Raises:
        InvalidRequest: a name comes twice.
    """
    fields: dict[str, str] = {}
    for name, value in pairs:
        if name.lower() in fields:
            raise InvalidRequest(f"the form has two fields named {name[:40]!r}")
        fields[name.lower()] = value
    return fields


def image_of(fields: Mapping[str, str]) -> ImageId:
    """Whose secret a posted form says it was signed with. Nothing is proved by it.

    Raises:
        FormRefused: without policy, signature or credential, or the credential is none of ours.
    """
    for name in ("policy", "x-amz-algorithm", "x-amz-credential", "x-amz-signature"):
        if name not in fields:
            raise FormRefused(f"the form has no field {name!r} before its file: {_ANEW}")
    if fields["x-amz-algorithm"] != ALGORITHM:
        raise FormRefused(f"x-amz-algorithm has to be {ALGORITHM}: {_ANEW}")
    access_key, _, _ = fields["x-amz-credential"].partition("/")
    try:
        return ImageId.parse(access_key)
    except NotFound:
        raise FormRefused(f"the credential is none of ours: {_ANEW}") from None


def verified(fields: Mapping[str, str], secret: str) -> FormTerms:
    """What a posted form allows, if it is signed with that secret and is what its policy says. Its time is not
    looked at.

    Raises:
        FormRefused: the signature does not fit, a field is missing or another than signed, or one was added.
    """
    policy = fields["policy"]
    scope = fields["x-amz-credential"].split("/")
    # The whole of the credential is a condition of the policy: here it only has to lead to the same signature.
    expected = signature(secret, scope[1] if len(scope) > 1 else "", policy)
    if not hmac.compare_digest(expected.encode(), fields["x-amz-signature"].encode()):
        raise FormRefused(f"the form's signature does not fit its policy: {_ANEW}")
    expires_at, stated, least, most = _read(policy)
    for name, value in stated.items():
        if fields.get(name) != value:
            told = "is missing" if name not in fields else "is another than was signed"
            raise FormRefused(f"the field {name!r} {told}: {_ANEW}")
    for name in fields.keys() - stated.keys() - _UNSIGNED:
        if not name.startswith(_IGNORED):
            raise FormRefused(f"the form was not signed for the field {name[:40]!r}: leave it out")
    return FormTerms(
        image_id=ImageId.parse(stated["x-amz-credential"].partition("/")[0]),
        media_type=MediaType(stated["content-type"]),
        least=least,
        most=most,
        expires_at=expires_at,
    )


def _read(policy: str) -> tuple[Ms, dict[str, str], int, int]:
    """An encoded policy of ours: when it expires, what each field has to be, and the range of the file's bytes.

    It is signed, so it is ours; one that still does not read as ours allows nothing.
    """
    try:
        document: dict[str, Any] = json.loads(base64.b64decode(policy, validate=True))
        expires_at = parse_rfc3339(document["expiration"])
        stated = {
            name.lower(): value
            for condition in document["conditions"]
            if isinstance(condition, dict)
            for name, value in condition.items()
        }
        ((name, least, most),) = [each for each in document["conditions"] if isinstance(each, list)]
    except (binascii.Error, ValueError, KeyError, TypeError, RecursionError):
        name, stated = "", {}
    if name != _RANGE or not {"key", "content-type", "x-amz-credential"} <= stated.keys():
        raise FormRefused(f"the form's policy is none of ours: {_ANEW}")
    return expires_at, stated, least, most
