"""The programs that stand on pages."""

import re
from collections.abc import Iterator
from pathlib import Path

_FENCE = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_PYTHON = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


ROOT = Path(__file__).parents[2]


def pages() -> list[Path]:
    """Every page that is for readers of the project."""
    found = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")]
    return sorted(found)


def blocks(language: str) -> Iterator[tuple[str, str]]:
    """Each fenced block of that language: where it stands, as `page.md:number`, and its text."""
    for page in pages():
        number = 0
        for kind, text in _FENCE.findall(page.read_text(encoding="utf-8")):
            if kind == language:
                number += 1
                yield f"{page.relative_to(ROOT)}:{number}", text


def kinds() -> set[tuple[str, str]]:
    """Each language of a fenced block, with the page where one stands. A block that names none shows an answer."""
    return {
        (kind, str(page.relative_to(ROOT)))
        for page in pages()
        for kind, _ in _FENCE.findall(page.read_text(encoding="utf-8"))
    }


def python_of(page: Path) -> str:
    """A page's Python blocks, one after the other."""
    found = _PYTHON.findall(page.read_text(encoding="utf-8"))
    assert found, page
    return "\n".join(found)
