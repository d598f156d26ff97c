"""Every error the client raises on purpose, as one tree.

    MayflyClientError
    ├── UsageError              the url, the token, the CA or an argument cannot be used
    ├── UnreachableError        nobody answers there, or not in time
    │   └── UntrustedError      the server's certificate is of no authority we trust
    ├── CutError                the answer ended early, or the connection before it
    ├── NotMayflyError          what answers there is no Mayfly server
    ├── DamagedError            the bytes are not those that were announced
    ├── NotYetError             the image did not reach the state in time
    └── ProblemError            the server said no, in a problem document (RFC 9457)
        ├── RefusedError        the request or the image is at fault; nothing was kept
        ├── DeniedError         401 or 403
        ├── NotFoundError       404
        ├── ConflictError       409
        ├── GoneError           410: past its expires_at, or erased
        └── UnavailableError    503 or 429: come back after `retry_after` seconds

A file of yours that cannot be read or written raises Python's own OSError.
"""

from typing import Any


class MayflyClientError(Exception):
    """The root. `str()` is one sentence for the person who can act on it."""


class UsageError(MayflyClientError):
    """The url, the token, the CA or an argument cannot be used."""


class UnreachableError(MayflyClientError):
    """Nobody answers there, or not in time. `sent`: the request may have arrived all the same."""

    def __init__(self, message: str, *, sent: bool = False) -> None:
        super().__init__(message)
        self.sent = sent


class UntrustedError(UnreachableError):
    """The server's certificate is of no authority we trust."""


class CutError(MayflyClientError):
    """The answer ended early, or the connection before it."""


class NotMayflyError(MayflyClientError):
    """What answers there is no Mayfly server. `status`: what it answered."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class DamagedError(MayflyClientError):
    """The bytes are not those that were announced."""


class NotYetError(MayflyClientError, TimeoutError):
    """The image did not reach the state in time."""


class ProblemError(MayflyClientError):
    """The server said no. `slug` names the problem as docs/reference/problems.md does; `retry_after` is seconds.

    Decide by the class, `status` and `slug`: `title` and `detail` are for people. `raw` is the document as it came.
    """

    def __init__(self, status: int, document: dict[str, Any], retry_after: float | None = None) -> None:
        self.status = status
        self.slug = str(document.get("type", "")).rpartition("/")[2]
        self.title = str(document.get("title", "the server refused"))
        self.detail = str(document.get("detail", ""))
        self.retry_after = retry_after
        self.raw = document
        super().__init__(f"{self.title} ({status}): {self.detail}")

    def __reduce__(self) -> tuple[Any, ...]:
        # So that it comes whole out of a process pool.
        return type(self), (self.status, self.raw, self.retry_after)


class RefusedError(ProblemError):
    """The request or the image is at fault; nothing was kept."""


class DeniedError(ProblemError):
    """The caller may not do this."""


class NotFoundError(ProblemError):
    """Not an id of this server's, or it has no such rendition."""


class ConflictError(ProblemError):
    """The image's state does not allow this, or the same upload is still under way."""


class GoneError(ProblemError):
    """The image is past its `expires_at`, or was erased."""


class UnavailableError(ProblemError):
    """Not now; `retry_after` says when."""


_BY_STATUS: dict[int, type[ProblemError]] = {
    401: DeniedError,
    403: DeniedError,
    404: NotFoundError,
    409: ConflictError,
    410: GoneError,
    429: UnavailableError,
    503: UnavailableError,
}


def problem(status: int, document: dict[str, Any], retry_after: float | None) -> ProblemError:
    """The error of a problem document, by its status."""
    kind = _BY_STATUS.get(status, RefusedError if 400 <= status < 500 else ProblemError)
    return kind(status, document, retry_after)
