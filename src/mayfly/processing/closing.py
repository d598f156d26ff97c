"""What is closed when its `with` ends."""

from abc import ABC, abstractmethod
from typing import Self


class Closing(ABC):
    __slots__ = ()

    @abstractmethod
    def close(self) -> None:
        """Let go of everything it holds."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
