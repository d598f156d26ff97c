"""A consumer's figures on their way to the owner, who shows them: a consumer has no page of its own."""

import contextlib
import threading
from collections.abc import Callable, Iterator

from mayfly.model.consumption import ConsumerFigures

REPORT_SECONDS = 2.0


@contextlib.contextmanager
def reporting(
    figures: Callable[[], ConsumerFigures], tell: Callable[[ConsumerFigures], None], seconds: float = REPORT_SECONDS
) -> Iterator[None]:
    """Tell the figures every so often while this lasts, and once more at its end. `tell` waits for nothing."""
    ended = threading.Event()

    def run() -> None:
        while not ended.wait(seconds):
            tell(figures())

    reporter = threading.Thread(target=run, name="reporter", daemon=True)
    reporter.start()
    try:
        yield
    finally:
        ended.set()
        reporter.join(seconds)
        tell(figures())
