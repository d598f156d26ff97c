"""A figure beside its yardstick, and the table they make."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

_WIDTHS = (46, 13, 46, 13, 8, 12)
_HEAD = ("figure", "value", "yardstick", "value", "ratio", "bound")


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of a table.

    Attributes:
        most: what the value must stay below; None: for information.
        most_ratio: the same for value / yardstick.
        least_ratio: what value / yardstick must reach.
    """

    name: str
    value: float
    unit: str
    yardstick: str = ""
    against: float | None = None
    most: float | None = None
    most_ratio: float | None = None
    least_ratio: float | None = None

    @property
    def ratio(self) -> float | None:
        return self.value / self.against if self.against else None

    @property
    def held(self) -> bool:
        """Whether it keeps its bounds; one that has none does."""
        below = self.most is None or self.value < self.most
        near = self.most_ratio is None or (self.ratio is not None and self.ratio <= self.most_ratio)
        enough = self.least_ratio is None or (self.ratio is not None and self.ratio >= self.least_ratio)
        return below and near and enough


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def p95(values: Sequence[float]) -> float:
    """The value that 95 % do not exceed (nearest rank)."""
    return sorted(values)[max(0, -(-len(values) * 95 // 100) - 1)]


def table(figures: Sequence[Figure]) -> str:
    rows = [_HEAD, tuple("-" * width for width in _WIDTHS), *map(_cells, figures)]
    return "\n".join(_line(row) for row in rows)


def _cells(figure: Figure) -> tuple[str, ...]:
    against = "" if figure.against is None else _amount(figure.against, figure.unit)
    ratio = "" if figure.ratio is None else f"{figure.ratio:.2f}"
    return figure.name, _amount(figure.value, figure.unit), figure.yardstick, against, ratio, _bound(figure)


def _line(cells: Sequence[str]) -> str:
    # Numbers stand at the right, names at the left.
    numbers = {1, 3, 4}
    padded = [
        cell.rjust(width) if place in numbers else cell.ljust(width)
        for place, (cell, width) in enumerate(zip(cells, _WIDTHS, strict=True))
    ]
    return " ".join(padded).rstrip()


def _amount(value: float, unit: str) -> str:
    return f"{value:.0f} {unit}" if value >= 100 else f"{value:.1f} {unit}"


def _bound(figure: Figure) -> str:
    parts = []
    if figure.most is not None:
        parts.append(f"< {figure.most:g} {figure.unit}")
    if figure.most_ratio is not None:
        parts.append(f"<= {figure.most_ratio:g} x")
    if figure.least_ratio is not None:
        parts.append(f">= {figure.least_ratio:g} x")
    if not parts:
        return "-"
    return " ".join(parts) + ("" if figure.held else "  MISSED")
