"""The log: one line a state change, no personal field. Text on a terminal, JSON otherwise; always on stderr."""

import logging
import sys
from typing import Any, Literal

import structlog

_FIELDS = frozenset(
    {
        "attempts",
        "erased",
        "image",
        "kib",
        "lag_ms",
        "minute",
        "objects",
        "originals",
        "orphans",
        "partition",
        "partitions",
        "reason",
        "records",
        "renditions",
        "role",
        "sequence",
        "sink",
        "source",
        "strays",
        "token",
    }
)
"""What may be logged beside the event. A field that is not here is dropped: a name or a hash cannot slip in.

`token` is a token's public id, never its secret, nor its bearer's name.

No size in bytes either: beside an image, or a minute that held but one, it would single out a known file for ever."""

COUNTED_ALONE = frozenset(
    {
        "admitted",
        "attempt_begun",
        "attempt_ended",
        "event_delivered",
        "event_retried",
        "looked_around",
        "refused",
        "swept",
        "worker_ended",
        "worker_started",
    }
)
"""Told for the figures' sake: as lines they would say what others say already, or be as many as a stranger wants."""


def configure(log_format: Literal["auto", "text", "json"]) -> None:
    """Set the process's logging up, libraries' warnings and errors included."""
    text = log_format == "text" or (log_format == "auto" and sys.stderr.isatty())
    renderer: Any = (
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()) if text else structlog.processors.JSONRenderer()
    )
    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("mayfly").setLevel(logging.INFO)


def journal(event: str, **fields: object) -> None:
    """Tell a state change."""
    if event in COUNTED_ALONE:
        return
    kept = {name: value for name, value in fields.items() if name in _FIELDS and value is not None}
    structlog.get_logger("mayfly").info(event, **kept)
