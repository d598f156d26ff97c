"""Every error Mayfly raises on purpose, as one tree.

    MayflyError
    ├── Refused                 the request or the bytes are at fault; nothing is kept
    │   ├── InvalidRequest      a parameter, a header, a cursor, a form
    │   ├── EmptyBody
    │   ├── TooLarge            more bytes than the door takes
    │   ├── UnknownType         the bytes are no image type we take
    │   ├── TypeMismatch        the bytes are an image of another type than was declared
    │   ├── TooManyPixels       the first bytes already tell of dimensions past the cap
    │   ├── BodyCut             the connection ended before the body did
    │   ├── FormTooSmall        fewer bytes than the upload form asks for
    │   ├── FormTooLarge        more bytes than the upload form allows
    │   ├── IdempotencyReused   the same Idempotency-Key with other bytes
    │   └── ClaimFault          a claim check that cannot be honoured
    │       ├── ClaimRefused    it points where none may, or at what is no plain file
    │       ├── ClaimMissing    nothing stands there
    │       └── ClaimMismatch   what stands there are other bytes than it says
    ├── Unauthenticated         no token, or none that is live, where one is needed
    ├── Denied                  the caller may not do this, or asks from a place we do not trust
    │   └── FormRefused         an upload form that is not as it was issued
    │       └── FormExpired     its time is over
    ├── InFlight                the same Idempotency-Key, or the same form's file, is being received right now
    ├── NotFound                not an id of ours, or alive by its id but unknown
    │   └── ObjectMissing       no object at that address
    ├── Gone                    past its death, or erased
    │   ├── Expired
    │   ├── Erased
    │   └── KeyDestroyed        the minute's key no longer exists
    ├── Conflict                a transition that the state does not allow
    │   ├── AlreadyExists       an object or a record that may be made only once
    │   └── LeaseLost           the claim, the job or the key belongs to somebody else by now
    ├── Unopenable              a sealed object that was altered, cut, moved, or is under another key
    ├── Rejected                the image is at fault; only decoding could tell. Not retried
    ├── AttemptFailed           we are at fault, or a step is; retried while attempts are left
    │   ├── WorkerDied
    │   └── WorkerOverdue
    ├── Unavailable             try again later
    │   ├── StorageFull
    │   ├── Busy                a bounded buffer is full
    │   ├── ClockHeld           wall time jumped; an operator has to confirm it
    │   ├── Postponed           not now, and whoever refuses says when to come back
    │   └── KeyNotMade          the minute's key was not made yet
    └── Misconfigured           settings or folders that cannot be started with
        └── Owned               the folder belongs to a process that runs

HTTP statuses and exit codes are given to these at the edges, and nowhere else.
"""


class MayflyError(Exception):
    """The root. `str()` is one sentence for the person who can act on it."""


class Refused(MayflyError):
    """The request or the bytes are at fault; nothing is kept."""


class InvalidRequest(Refused):
    """A parameter, a header, a cursor or a form is malformed."""


class EmptyBody(Refused):
    """The body holds no byte."""


class TooLarge(Refused):
    """The body holds more bytes than this door takes."""


class UnknownType(Refused):
    """The bytes are no image type we take."""


class TypeMismatch(Refused):
    """The bytes are of another type than was declared."""


class TooManyPixels(Refused):
    """The first bytes tell of dimensions past the cap."""


class BodyCut(Refused):
    """The connection ended before the body did."""


class FormTooSmall(Refused):
    """The file holds fewer bytes than its upload form asks for."""


class FormTooLarge(Refused):
    """The file holds more bytes than its upload form allows."""


class IdempotencyReused(Refused):
    """The same Idempotency-Key came with other bytes."""


class ClaimFault(Refused):
    """A claim check that cannot be honoured."""


class ClaimRefused(ClaimFault):
    """The claim check is malformed, points outside what is allowed, or at what is no plain file."""


class ClaimMissing(ClaimFault):
    """Nothing stands where the claim check points."""


class ClaimMismatch(ClaimFault):
    """What the claim check points at has another size, or other bytes, than it says."""


class Unauthenticated(MayflyError):
    """The caller shows no token, or none that is live, and this needs one."""


class Denied(MayflyError):
    """The caller may not do this, or asks from a place we do not trust."""


class FormRefused(Denied):
    """An upload form that is not as it was issued: a field, its policy or its signature."""


class FormExpired(FormRefused):
    """An upload form whose time is over, used or not."""


class InFlight(MayflyError):
    """A request with the same Idempotency-Key, or for the same image, is still under way."""


class NotFound(MayflyError):
    """Not an id of ours, or alive by its id but unknown."""


class ObjectMissing(NotFound):
    """No object is stored at that address."""


class Gone(MayflyError):
    """Past its death, or erased."""


class Expired(Gone):
    """now >= expires_at."""


class Erased(Gone):
    """Erased early, on request."""


class KeyDestroyed(Gone):
    """The minute's key was destroyed; what it sealed cannot be opened by anyone."""


class Conflict(MayflyError):
    """The image's state does not allow this."""


class AlreadyExists(Conflict):
    """It may be made only once, and it was."""


class LeaseLost(Conflict):
    """The claim, the job or the key belongs to somebody else by now."""


class Unopenable(MayflyError):
    """A sealed object was altered, cut, moved, or is under another key."""


class Rejected(MayflyError):
    """The image is at fault, and only decoding could tell."""


class AttemptFailed(MayflyError):
    """This attempt failed through no fault of the image's that we know of."""


class WorkerDied(AttemptFailed):
    """The worker process ended while it held the image."""


class WorkerOverdue(AttemptFailed):
    """The worker exceeded its time and was killed."""


class Unavailable(MayflyError):
    """Not now; try again later."""


class StorageFull(Unavailable):
    """The disk has no room left."""


class Busy(Unavailable):
    """A bounded buffer is full."""


class ClockHeld(Unavailable):
    """Wall time jumped; nothing is served or destroyed by it until an operator confirms."""


class Postponed(Unavailable):
    """Not now; come back after so many seconds."""

    def __init__(self, text: str, seconds: float = 0.0) -> None:
        super().__init__(text)
        self.seconds = seconds


class KeyNotMade(Unavailable):
    """The minute's key does not exist yet; keys are made ahead by the owner."""


class Misconfigured(MayflyError):
    """Settings or folders that cannot be started with. `faults` lists all of them."""

    def __init__(self, *faults: str) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class Owned(Misconfigured):
    """The folder belongs to a process that runs."""
