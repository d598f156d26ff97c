"""One line on a terminal that tells how far a command has come, and is gone when it ends."""

import contextlib
import sys
from collections.abc import Callable, Iterator

from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from mayfly.cli.client import errors


@contextlib.contextmanager
def counting() -> Iterator[Callable[[str], None]]:
    """Give it the words of the moment. Where nobody watches, nothing is shown."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=errors, transient=True, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("", total=None)
        yield lambda words: progress.update(task, description=words)
