"""The walls themselves: every room has a law, every port its contract, every page about them is true."""

import ast
import importlib
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "mayfly"
LONGEST_MODULE = 300
LONGEST_FUNCTION = 60

FACTORIES = {
    "claim_source": "CLAIM_SOURCES",
    "clock": "CLOCKS",
    "dead_letters": "DEAD_LETTERS",
    "event_log": "EVENT_LOGS",
    "event_sink": "EVENT_SINKS",
    "image_stream": "IMAGE_STREAMS",
    "key_store": "KEY_STORES",
    "metadata_store": "HAND_OVERS",
    "object_store": "OBJECT_STORES",
    "retention_history": "RETENTION_HISTORIES",
    "token_store": "TOKEN_STORES",
    "under_way": "UNDER_WAYS",
    "work_queue": "HAND_OVERS",
}
"""Each port, and where tests/contracts/conftest.py names the factories of its adapters."""


def packages(folder: Path) -> list[str]:
    """The packages right beneath a folder."""
    return sorted(child.name for child in folder.iterdir() if (child / "__init__.py").exists())


def modules(folder: Path) -> list[str]:
    return sorted(child.stem for child in folder.glob("*.py") if child.stem != "__init__")


def contracts() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"][
        "contracts"
    ]
    return found


def bound(contract: dict[str, Any]) -> set[str]:
    """The modules whose imports a contract restrains. Two that share a layer share a line."""
    layers = {name.strip(" ()") for layer in contract.get("layers", []) for name in layer.split("|")}
    return layers | set(contract.get("modules", [])) | set(contract.get("source_modules", []))


@pytest.mark.parametrize("room", packages(PACKAGE))
def test_every_room_stands_under_the_import_law(room: str) -> None:
    """Under a contract about rooms, that is: one that keeps a library out does not say where a room stands."""
    about_rooms = [
        contract
        for contract in contracts()
        if contract["type"] != "forbidden" or any("mayfly." in name for name in contract["forbidden_modules"])
    ]
    assert f"mayfly.{room}" in set().union(*map(bound, about_rooms))


@pytest.mark.parametrize("family", packages(PACKAGE / "adapters"))
def test_every_family_of_adapters_stands_apart(family: str) -> None:
    (apart,) = (contract for contract in contracts() if contract["name"] == "Adapter families stand apart")
    assert f"mayfly.adapters.{family}" in bound(apart)


def test_the_law_names_no_room_that_is_not_there() -> None:
    for contract in contracts():
        for name in bound(contract) | {name for name in contract.get("forbidden_modules", []) if "mayfly" in name}:
            place = PACKAGE.parent.joinpath(*name.split("."))
            assert place.is_dir() or place.with_suffix(".py").is_file(), name


@pytest.mark.parametrize("port", modules(PACKAGE / "ports"))
def test_every_port_has_a_contract_that_two_real_adapters_pass(port: str) -> None:
    suite = ROOT / "tests" / "contracts" / f"test_{port}.py"
    assert suite.is_file()
    families = [family for family in packages(PACKAGE / "adapters") if port in modules(PACKAGE / "adapters" / family)]
    assert len(families) >= 2, f"a port with one implementation is none: {families}"

    conftest = importlib.import_module("contracts.conftest")
    assert set(getattr(conftest, FACTORIES[port])) == set(families)
    source = Path(str(conftest.__file__)).read_text(encoding="utf-8")
    for family in families:
        assert f"from mayfly.adapters.{family}.{port} import" in source


@pytest.mark.parametrize("port", modules(PACKAGE / "ports"))
def test_every_method_of_a_port_is_called_by_its_contract(port: str) -> None:
    tree = ast.parse((PACKAGE / "ports" / f"{port}.py").read_text(encoding="utf-8"))
    protocols = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and any(getattr(base, "id", "") == "Protocol" for base in node.bases)
    ]
    assert protocols
    suites = sorted((ROOT / "tests" / "contracts").glob(f"test_{port}*.py"))
    suite = "".join(each.read_text(encoding="utf-8") for each in suites)
    for protocol in protocols:
        for method in protocol.body:
            if isinstance(method, ast.FunctionDef):
                assert f".{method.name}" in suite, f"{protocol.name}.{method.name}"


def test_the_page_about_the_house_names_every_room_and_no_other() -> None:
    page = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]
    told = {name.rstrip("/") for row in rows for name in row.split("`")[1::2]}
    families = {f"adapters/{family}" for family in packages(PACKAGE / "adapters")}
    assert told >= set(packages(PACKAGE)) - {"adapters"} | families
    for name in told:
        assert list(PACKAGE.glob(name)), f"ARCHITECTURE.md names {name}, which is not there"


def sources() -> Iterator[Path]:
    for folder in (PACKAGE, ROOT / "benchmarks", ROOT / "scripts"):
        yield from sorted(folder.rglob("*.py"))


def test_every_module_can_be_read_in_one_sitting() -> None:
    long = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in sources()}
    assert {str(path.relative_to(ROOT)): lines for path, lines in long.items() if lines > LONGEST_MODULE} == {}


def test_every_function_fits_a_screen() -> None:
    long = []
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > LONGEST_FUNCTION:
                    long.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name}: {lines} lines")
    assert long == []
