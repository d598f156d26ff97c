"""The kinds of values that settings of every room have."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, PlainValidator

from mayfly.model.errors import InvalidRequest
from mayfly.model.retention import Retention


def _whole(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("must be a whole number")  # noqa: TRY004 - pydantic collects ValueError, TypeError escapes
    return value


def _folder(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError:
        raise ValueError("must be a path whose home folder can be told") from None


def _retention(value: object) -> Retention:
    if isinstance(value, Retention):
        return value
    if not isinstance(value, str):
        raise ValueError("must be an ISO 8601 duration such as PT1H or P7D")  # noqa: TRY004 - as above
    try:
        return Retention.parse(value)
    except InvalidRequest as error:
        raise ValueError(str(error)) from None


Whole = Annotated[int, BeforeValidator(_whole)]
Location = Annotated[Path, AfterValidator(_folder)]
Duration = Annotated[Retention, PlainValidator(_retention), PlainSerializer(str)]


def texts(value: object) -> tuple[str, ...]:
    """A list of texts, or in the environment one text with commas between them. Empty ones count as not there.

    Raises:
        ValueError: it is neither.
    """
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list | tuple) or not all(isinstance(part, str) for part in parts):
        raise ValueError("must be a list of texts")
    return tuple(part.strip() for part in parts if part.strip())
