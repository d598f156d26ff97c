"""The large campaign against the second door, as a program: `make chaos-kafka`.

Prints what it does and every check; the last line is 'N passed, M failed', and the exit code is 1 where one failed.
PHOTOS names a folder of photos to send among the others; MAYFLY_CHAOS_SEED repeats a campaign. It takes some 20 GB of
room where TMPDIR is, and leaves nothing there.
"""

import os
import random
import signal
import sys
import tempfile
from pathlib import Path

from support.broker_jars import lacking
from support.stream_campaign import FULL, Campaign
from support.stream_pictures import photos


def main() -> int:
    if missing := lacking():
        print(f"no broker can be started: install {' and '.join(missing)}", file=sys.stderr)
        return 2
    # A broker and a server are to end with us, also when we are told to.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    seed = int(os.environ.get("MAYFLY_CHAOS_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"MAYFLY_CHAOS_SEED={seed}")
    real = photos(Path(folder)) if (folder := os.environ.get("PHOTOS")) else ()
    with tempfile.TemporaryDirectory(prefix="mayfly-chaos-") as room:
        report = Campaign(Path(room), FULL, seed, real).run()
    for fault in report.failed:
        print(f"FAILED: {fault}")
    print(report.line())
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
