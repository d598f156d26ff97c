"""A consumer's figures, told to the owner."""

from mayfly.adapters.owner.line import OwnerLine
from mayfly.model.consumption import ConsumerFigures
from mayfly.model.wire import figures_to_json


class OwnerFigures:
    def __init__(self, line: OwnerLine) -> None:
        self._line = line

    def tell(self, figures: ConsumerFigures) -> None:
        """Waits for no answer; what the owner does not hear is in the next report."""
        self._line.tell({"op": "figures", "figures": figures_to_json(figures)})
