"""How long an image lives: whole minutes, from its birth cut to the second."""

import re
from dataclasses import dataclass

from mayfly.model.errors import InvalidRequest
from mayfly.model.instant import MINUTE, SECOND, Minute, Ms, minute_of

SHORTEST_MINUTES = 1
LONGEST_MINUTES = 10_080
"""Seven days: the promise. No setting and no request can exceed it."""

_DURATION = re.compile(
    r"P(?:(\d{1,4})W)?(?:(\d{1,4})D)?(?:T(?=\d)(?:(\d{1,5})H)?(?:(\d{1,6})M)?(?:(\d{1,7})S)?)?", re.ASCII
)


@dataclass(frozen=True, order=True, slots=True)
class Retention:
    """Whole minutes, 1 to 10,080."""

    minutes: int

    def __post_init__(self) -> None:
        if not SHORTEST_MINUTES <= self.minutes <= LONGEST_MINUTES:
            raise InvalidRequest(
                f"a retention is {SHORTEST_MINUTES} to {LONGEST_MINUTES} whole minutes (7 days); got {self.minutes}"
            )

    @classmethod
    def parse(cls, text: str) -> "Retention":
        """From an ISO 8601 duration such as `PT1H`, `P7D` or `P1DT30M`.

        Raises:
            InvalidRequest: not such a duration, not whole minutes, or out of bounds.
        """
        match = _DURATION.fullmatch(text)
        if match is None or not any(match.groups()):
            raise InvalidRequest(f"a retention is an ISO 8601 duration such as PT1H or P7D; got {text[:40]!r}")
        weeks, days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
        total = (((weeks * 7 + days) * 24 + hours) * 60 + minutes) * 60 + seconds
        if total % 60:
            raise InvalidRequest(f"a retention is whole minutes; {text!r} is {total} seconds")
        return cls(total // 60)

    def expires_at(self, birth: Ms) -> Ms:
        """birth, cut to the second, plus the retention."""
        return Ms(birth // SECOND * SECOND + self.minutes * MINUTE)

    def expiry_minute(self, birth: Ms) -> Minute:
        return minute_of(self.expires_at(birth))

    def __str__(self) -> str:
        days, rest = divmod(self.minutes, 1440)
        hours, minutes = divmod(rest, 60)
        clock = (f"{hours}H" if hours else "") + (f"{minutes}M" if minutes else "")
        return "P" + (f"{days}D" if days else "") + (f"T{clock}" if clock else "")


@dataclass(frozen=True, slots=True)
class History:
    """Which retention was in force from when on, oldest first. Never rewritten, only appended to."""

    changes: tuple[tuple[Ms, Retention], ...] = ()

    def at(self, birth: Ms) -> Retention:
        """The retention in force at that instant; before the first change, the first.

        Raises:
            LookupError: the history is empty.
        """
        if not self.changes:
            raise LookupError("no retention was declared yet")
        in_force = self.changes[0][1]
        for since, retention in self.changes:
            if since > birth:
                break
            in_force = retention
        return in_force

    def declared(self, retention: Retention, now: Ms) -> "History":
        """With this retention in force from `now` on; the same where it is already. An instant not after the last
        change's counts as the millisecond after it."""
        if not self.changes:
            return History(((now, retention),))
        since, in_force = self.changes[-1]
        if in_force == retention:
            return self
        return History((*self.changes, (Ms(max(now, since + 1)), retention)))
