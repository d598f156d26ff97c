"""Labels: a few words a caller may hang on an image, each declared beforehand as a fact or as personal."""

from collections.abc import Mapping

from mayfly.model.errors import InvalidRequest
from mayfly.model.terms import LabelKind

LONGEST_VALUE = 256


def split_labels(labels: Mapping[str, str], declared: Mapping[str, LabelKind]) -> tuple[dict[str, str], dict[str, str]]:
    """The labels declared as facts, and those declared personal.

    Raises:
        InvalidRequest: one is not declared, or is empty, too long or not printable.
    """
    for name, value in labels.items():
        if name not in declared:
            known = ", ".join(sorted(declared)) or "none"
            raise InvalidRequest(f"the label {name[:40]!r} is not declared in mayfly.toml; declared are: {known}")
        if not 1 <= len(value) <= LONGEST_VALUE or not value.isprintable():
            raise InvalidRequest(f"the label {name!r} needs 1 to {LONGEST_VALUE} printable characters")
    facts = {name: value for name, value in labels.items() if declared[name] == "fact"}
    personal = {name: value for name, value in labels.items() if declared[name] == "personal"}
    return facts, personal
