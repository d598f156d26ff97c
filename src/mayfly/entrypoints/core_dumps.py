"""No core dump of a process that holds keys and clear bytes: what crashes leaves nothing of its memory on a disk."""

import resource


def forbid_core_dumps() -> None:
    """For this process and those that it starts."""
    # Not 0: a system that hands cores to a program of its own would still do it. At 1 byte the kernel drops them.
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    least = 1 if hard == resource.RLIM_INFINITY else min(1, hard)
    resource.setrlimit(resource.RLIMIT_CORE, (least, least))
