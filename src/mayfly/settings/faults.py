"""Pydantic's findings, said for the person who can mend them: the place, what must hold, what was got."""

from collections.abc import Collection, Mapping

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from mayfly.settings.sources import Source, suggestion

_SAID = {
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_parsing_size": "must be a whole number, and a smaller one",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be one of {expected}",
    "path_type": "must be a path",
    "string_type": "must be a text",
    "string_pattern_mismatch": "must be 1 to 32 of a-z, 0-9 and _, beginning with a letter",
    "mapping_type": "must be a table",
    "too_long": "must hold at most {max_length}",
}


class Nested(ValueError):
    """Faults whose paths are told already, each `path: what is wrong`."""

    def __init__(self, faults: tuple[str, ...]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


def explain(error: ValidationError, origin: Mapping[str, Source], known: Collection[str]) -> list[str]:
    """One line a fault, in the order of the settings."""
    return [line for finding in error.errors(include_url=False) for line in _lines(finding, origin, known)]


def _lines(finding: ErrorDetails, origin: Mapping[str, Source], known: Collection[str]) -> list[str]:
    name = str(finding["loc"][0])
    source = origin[name]
    context = finding.get("ctx", {})
    nested = context.get("error")
    if isinstance(nested, Nested):
        return [f"{source.place(path)}: {said}" for path, _, said in (f.partition(": ") for f in nested.faults)]
    place = source.place(_path(finding["loc"]))
    if finding["type"] == "extra_forbidden":
        return [f"{place}: no such setting{suggestion(name, known)}"]
    said = str(nested) if nested else _SAID.get(finding["type"], finding["msg"]).format_map(context)
    return [f"{place}: {said}" + ("" if "got " in said else f" (got {_short(finding['input'])})")]


def _path(steps: tuple[int | str, ...]) -> str:
    """`labels.Site`; pydantic marks a fault of a key itself with a last step `[key]`."""
    named = steps[:-1] if steps[-1] == "[key]" else steps
    return ".".join(map(str, named))


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
