"""Why something was refused, as a slug: in a rejected image's record, in a dead letter, and in what HTTP answers where
both doors know it."""

from collections.abc import Mapping

from mayfly.model import errors

NO_TIMESTAMP = "no-timestamp"
FROM_THE_FUTURE = "from-the-future"

SLUGS: Mapping[type[errors.Refused], str] = {
    errors.InvalidRequest: "invalid-request",
    errors.EmptyBody: "empty-body",
    errors.TooLarge: "too-large",
    errors.UnknownType: "unknown-type",
    errors.TypeMismatch: "type-mismatch",
    errors.TooManyPixels: "too-many-pixels",
    errors.IdempotencyReused: "idempotency-reused",
    errors.ClaimRefused: "claim-refused",
    errors.ClaimMissing: "claim-missing",
    errors.ClaimMismatch: "claim-mismatch",
}


def reason_of(fault: errors.Refused) -> str:
    return SLUGS[type(fault)]
