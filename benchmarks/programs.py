"""How long programs take, from start to end."""

import subprocess
import sys
import time


def python_ms(*arguments: str) -> float:
    """Wall time of this Python with these arguments."""
    begun = time.perf_counter()
    subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True)
    return (time.perf_counter() - begun) * 1_000
