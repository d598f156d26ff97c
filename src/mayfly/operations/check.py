"""What a look at something found: `mayfly doctor` prints these."""

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["ok", "warning", "failed"]


@dataclass(frozen=True, slots=True)
class Check:
    """One finding. `fix` says what to do about it: a command, or a sentence; `why` what breaks if nobody does."""

    name: str
    verdict: Verdict
    found: str
    fix: str = ""
    why: str = ""
