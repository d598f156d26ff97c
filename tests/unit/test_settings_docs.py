"""The settings' page and the template say what the code does."""

import tomllib
from pathlib import Path

from mayfly.settings import Settings
from mayfly.settings.text import default_values, reference, template

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "settings.md"


def test_the_page_holds_every_setting_as_it_is() -> None:
    assert reference() in PAGE.read_text(encoding="utf-8"), (
        "docs/reference/settings.md is behind src/mayfly/settings/__init__.py; its table has to be:\n\n" + reference()
    )


def test_every_setting_has_a_meaning() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert field.description.endswith("."), name


def test_the_template_as_written_changes_nothing() -> None:
    assert tomllib.loads(template()) == {}


def test_the_template_uncommented_holds_every_setting_with_its_default() -> None:
    written = tomllib.loads(uncommented(template()))
    assert set(written) == set(Settings.model_fields)
    settings = Settings.model_validate(written).model_dump(mode="json")
    # Absent by default: the template shows what they look like.
    examples = {"keys", "clock", "labels", "tls_certificate", "tls_key", "webhooks", "kafka", "topic"}
    examples |= {f"kafka_{name}" for name in ("retention", "events", "ca", "certificate", "key", "mechanism")}
    examples |= {f"kafka_{name}" for name in ("username", "password", "token_endpoint", "scope", "region")}
    examples |= {"kafka_claims", "kafka_claims_external"}
    assert {name for name, value in settings.items() if value != default_values()[name]} == examples


def uncommented(text: str) -> str:
    """Takes the `#` away before all but prose: a person would do it line by line."""
    lines = [line.removeprefix("# ") for line in text.splitlines()]
    return "\n".join(line for line in lines if line[:1] in "[]{ " or " = " in line)
