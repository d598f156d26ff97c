"""Where reading had to begin anew, as only librdkafka's log tells: the topic has no record at the group's offset.

Its retention deleted what nobody had read yet, or its log is another one: made anew, restored, cut short.
"""

import logging
import re
from collections.abc import Callable

from mayfly.model.stream import Partition

_RESET = re.compile(r"\]: (?P<topic>\S+) \[(?P<number>\d+)\]: offset reset \(at offset (?P<offset>\d+)")

Heard = Callable[[Partition, int], None]
"""Takes a partition, and the offset at which it has no record."""


def logger_of(heard: Heard) -> logging.Logger:
    """A logger for librdkafka that hears of this and of nothing else. It is called within `poll`."""
    logger = logging.Logger(__name__, logging.WARNING)
    logger.addHandler(_Resets(heard))
    return logger


class _Resets(logging.Handler):
    def __init__(self, heard: Heard) -> None:
        super().__init__()
        self._heard = heard

    def emit(self, record: logging.LogRecord) -> None:
        found = _RESET.search(record.getMessage())
        if found is not None:
            self._heard(Partition(found["topic"], int(found["number"])), int(found["offset"]))
