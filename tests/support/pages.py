"""The programs that stand on pages."""

import re
from pathlib import Path

_PYTHON = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def python_of(page: Path) -> str:
    """A page's Python blocks, one after the other."""
    found = _PYTHON.findall(page.read_text(encoding="utf-8"))
    assert found, page
    return "\n".join(found)
