"""docs/reference/client.md describes the client there is, as it is; its how-to's examples are typed."""

import dataclasses
import inspect
import re
import subprocess
import sys
from pathlib import Path

import mayfly.client
from mayfly import Client
from mayfly.client import ProblemError
from support.pages import python_of

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "reference" / "client.md").read_text(encoding="utf-8")
HOWTO = ROOT / "docs" / "howto" / "use-from-python.md"
METHODS = {name: method for name, method in inspect.getmembers(Client, inspect.isfunction) if not name.startswith("_")}
PUBLIC = {name: getattr(mayfly.client, name) for name in mayfly.client.__all__}


def sections() -> dict[str, str]:
    parts = re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]
    return {part.partition("\n")[0]: part.partition("\n")[2] for part in parts}


def written(call: object, name: str) -> str:
    """A signature as the page writes it: names and defaults, no types."""
    parameters = [
        parameter.replace(annotation=inspect.Parameter.empty)
        for parameter in inspect.signature(call).parameters.values()  # type: ignore[arg-type]
        if parameter.name != "self"
    ]
    text = name + str(inspect.Signature(parameters))
    return text.replace(repr(mayfly.client.SETTLED), "SETTLED")


def test_every_method_has_its_section_with_its_signature_and_every_parameter() -> None:
    calls = {"Client": (Client.__init__, "Client")}
    calls |= {f"Client.{name}": (method, name) for name, method in METHODS.items()}
    assert sections().keys() == calls.keys() | {"Values", "Errors"}
    for heading, (call, name) in calls.items():
        assert f"```python\n{written(call, name)}\n```" in sections()[heading], written(call, name)
        for parameter in set(inspect.signature(call).parameters) - {"self"}:
            assert f"`{parameter}`" in sections()[heading], parameter


def test_every_value_has_its_row_with_its_fields_and_every_error_its_own() -> None:
    values = {name: kind for name, kind in PUBLIC.items() if dataclasses.is_dataclass(kind)}
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", sections()["Values"], re.MULTILINE))
    assert rows.keys() == values.keys()
    for name, kind in values.items():
        named = set(re.findall(r"`(\w+)`", rows[name])) - {"None", "settled"}
        assert named == {field.name for field in dataclasses.fields(kind)}, name
    errors = {name for name, kind in PUBLIC.items() if isinstance(kind, type) and issubclass(kind, Exception)}
    assert set(re.findall(r"^\| `(\w+)` \|", sections()["Errors"], re.MULTILINE)) == errors
    problem = ProblemError(410, {"type": "/problems/gone"})
    assert all(f"`{name}`" in sections()["Errors"] for name in vars(problem))


def test_the_examples_of_the_how_to_are_typed(tmp_path: Path) -> None:
    """By the package's own types, as anyone's checker sees them."""
    program = tmp_path / "program.py"
    lines = "\nreveal_type(client)\nreveal_type(image)\nreveal_type(client.download(image))\n"
    program.write_text(python_of(HOWTO) + lines, encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), str(program)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, cwd=tmp_path)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert re.findall(r'Revealed type is "(.*)"', ended.stdout) == [
        "mayfly.client.client.Client",
        "mayfly.client.shapes.Image",
        "bytes",
    ]
