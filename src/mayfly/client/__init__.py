"""The Python client: `from mayfly import Client`. It knows HTTP and the standard library, and no room of the server."""

from mayfly.client.client import Client
from mayfly.client.errors import (
    ConflictError,
    CutError,
    DamagedError,
    DeniedError,
    GoneError,
    MayflyClientError,
    NotFoundError,
    NotMayflyError,
    NotYetError,
    ProblemError,
    RefusedError,
    UnavailableError,
    UnreachableError,
    UntrustedError,
    UsageError,
)
from mayfly.client.many import Progress, Uploaded
from mayfly.client.shapes import SETTLED, Image, Limits, Page, Rendition, Reprocessed, Sweep, Swept

__all__ = [
    "SETTLED",
    "Client",
    "ConflictError",
    "CutError",
    "DamagedError",
    "DeniedError",
    "GoneError",
    "Image",
    "Limits",
    "MayflyClientError",
    "NotFoundError",
    "NotMayflyError",
    "NotYetError",
    "Page",
    "ProblemError",
    "Progress",
    "RefusedError",
    "Rendition",
    "Reprocessed",
    "Sweep",
    "Swept",
    "UnavailableError",
    "UnreachableError",
    "UntrustedError",
    "Uploaded",
    "UsageError",
]
