"""How soon `mayfly --help` answers, beside a Python that does nothing and one that only imports the CLI framework."""

import sysconfig
from pathlib import Path

from benchmarks.figures import Figure, median
from benchmarks.photos import Photos
from benchmarks.programs import python_ms

_ROUNDS = 25
_MOST_MS = 300


def run(_: Photos, __: Path) -> list[Figure]:
    program = str(Path(sysconfig.get_path("scripts")) / "mayfly")
    ours, nothing, typer = [], [], []
    for _round in range(_ROUNDS + 1):
        nothing.append(python_ms("-c", "pass"))
        typer.append(python_ms("-c", "import typer"))
        ours.append(python_ms(program, "--help"))
    # The first of each reads its files into the page cache.
    value = median(ours[1:])
    return [
        Figure("mayfly --help", value, "ms", "python -c pass", median(nothing[1:]), most=_MOST_MS),
        Figure("mayfly --help", value, "ms", 'python -c "import typer"', median(typer[1:]), most=_MOST_MS),
    ]
