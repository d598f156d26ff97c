"""Who is asking, and in which role."""

from dataclasses import dataclass
from enum import StrEnum

LOCAL = "local"
"""The name of whoever comes by loopback without a token."""


class Role(StrEnum):
    UPLOADER = "uploader"
    ANALYST = "analyst"
    """Facts only, never pixels."""
    SCIENTIST = "scientist"
    """Renditions through the API, audited; off by default."""
    OPERATOR = "operator"
    AUDITOR = "auditor"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Principal:
    """`name` is what is recorded, sealed, as an image's uploader."""

    name: str
    role: Role
