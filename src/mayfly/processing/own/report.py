"""What a child's report says, to both sides of the walls."""

import struct

SCRATCH = "/scratch"
"""The working folder of a step, as the step sees it."""
FACTS = f"{SCRATCH}/facts.json"
"""Where a step may write facts."""
LARGEST_FACTS = 64 * 1024
"""Bytes."""
REPORT = struct.Struct(">i?")
"""How a report begins: the code's exit status, below 0 for the signal that ended it; and whether facts follow."""
REJECTED, OUT_OF_MEMORY, FAILED = 65, 71, 1
"""Exit statuses of the user's code; the first two are EX_DATAERR and EX_OSERR of sysexits.h."""
NOT_LOCKED = 3
"""The exit status of the process in between, where a lock does not close."""
