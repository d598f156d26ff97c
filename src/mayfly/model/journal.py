"""How state changes are told."""

from typing import Protocol


class Journal(Protocol):
    """Takes an event's name and its fields. Nothing personal is ever passed."""

    def __call__(self, event: str, **fields: object) -> None: ...


def untold(event: str, **fields: object) -> None:
    """A journal for who has nobody to tell."""
