"""The console script, and `python -m mayfly`."""

import os
import signal
import sys


def main() -> None:
    # Before the imports, which take most of a start: nothing is open yet, so there is nothing to close either.
    if sys.argv[1:2] in (["up"], ["consume"]):
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: os._exit(0))
    from mayfly.cli import main as command_line

    command_line()


if __name__ == "__main__":
    main()
