"""The page on performance knows every benchmark. None is run here: a timed test fails on a busy machine."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")


def test_every_benchmark_is_on_the_page() -> None:
    modules = (ROOT / "benchmarks").glob("*.py")
    benchmarks = {path.stem for path in modules if "def run(" in path.read_text(encoding="utf-8")}
    assert len(benchmarks) == 7
    for name in benchmarks:
        assert f"| `{name}` |" in PAGE, name
        assert f"**{name}**" in PAGE, name
