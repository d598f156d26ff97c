"""deploy/systemd/mayfly.service: locked down as far as the workers' own cage allows, and no further."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mayfly.entrypoints.ending import LAST_RESORT_SECONDS
from support.pages import blocks

UNIT = Path(__file__).parents[2] / "deploy" / "systemd" / "mayfly.service"
MOST_EXPOSED = 2.9
"""Of 10, by `systemd-analyze security`: what is left is the network and the namespaces that it needs."""

REASONS = {
    "NoNewPrivileges=yes": "no program it starts gains any privilege",
    "CapabilityBoundingSet=": "it needs no capability",
    "AmbientCapabilities=": "nor is it given one",
    "ProtectSystem=strict": "it writes to its state directories alone",
    "ProtectHome=yes": "nobody's files are its business",
    "PrivateTmp=yes": "no image's byte goes to a shared place",
    "PrivateDevices=yes": "it needs no device",
    "DevicePolicy=closed": "it needs no device",
    "ProtectKernelTunables=yes": "it sets nothing of the kernel's",
    "ProtectKernelModules=yes": "it loads none",
    "ProtectKernelLogs=yes": "it reads none",
    "ProtectControlGroups=yes": "it changes none",
    "ProtectHostname=yes": "it changes none",
    "ProtectProc=invisible": "it sees no other user's processes",
    "LockPersonality=yes": "no decoder needs another one",
    "MemoryDenyWriteExecute=yes": "no decoder of ours compiles as it runs",
    "RestrictRealtime=yes": "it may not starve others",
    "RestrictSUIDSGID=yes": "it makes no such file",
    "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6": "HTTP and its workers; no netlink, no raw packets",
    "SystemCallArchitectures=native": "the workers' filter knows these numbers alone",
    "SystemCallFilter=@system-service": "the rest is for others",
    "UMask=0077": "its files are its own",
    "LimitCORE=1": "a core dump holds keys and pictures",
    "KeyringMode=private": "it shares no kernel keys",
    "RemoveIPC=yes": "nothing of it stays in memory",
    "StateDirectoryMode=0700": "data and keys are its own",
    "MemorySwapMax=0": "no clear byte of an image goes to a swap disk",
    "OOMPolicy=continue": "a worker that took too much costs an attempt, not the service",
    "Type=notify": "what depends on it waits until the purge of a start is done",
    "KillMode=mixed": "the owner ends its workers, each after its image",
    "Restart=on-failure": "a defect costs seconds",
    "RestartPreventExitStatus=2": "wrong settings do not mend by themselves",
}
"""Each directive, and why it stands there."""

NEEDED = {
    "RestrictNamespaces": {"user", "net", "ipc", "mnt", "pid", "uts"},
    "SystemCallFilter": {
        "landlock_create_ruleset",
        "landlock_add_rule",
        "landlock_restrict_self",
        "seccomp",
        "mount",
        "umount2",
        "pivot_root",
        "mount_setattr",
        "adjtimex",
    },
}
"""What the cage of the workers and of a user's own steps is made with, and the guard of the clock."""

LEFT_OUT = {
    "ProtectClock": "it would refuse adjtimex: the clock's guard would take any clock for a synchronised one",
    "PrivateNetwork": "it serves HTTP",
    "PrivateUsers": "the state directories would belong to nobody",
    "DynamicUser": "backups and `mayfly doctor` want a user with a name that stays",
}


def lines() -> list[str]:
    return [line for line in UNIT.read_text(encoding="utf-8").splitlines() if line and line[0] not in "#["]


def values(name: str) -> set[str]:
    return {value for line in lines() if line.startswith(f"{name}=") for value in line.partition("=")[2].split()}


@pytest.mark.parametrize("directive", REASONS)
def test_a_directive_stands_for_its_reason(directive: str) -> None:
    assert directive in lines(), REASONS[directive]


@pytest.mark.parametrize("name", NEEDED)
def test_what_the_cage_is_made_with_is_allowed(name: str) -> None:
    assert values(name) >= NEEDED[name]


@pytest.mark.parametrize("name", LEFT_OUT)
def test_what_would_break_it_is_left_out(name: str) -> None:
    assert not [line for line in lines() if line.startswith(f"{name}=")], LEFT_OUT[name]


def test_data_and_keys_lie_apart() -> None:
    (start,) = [line for line in lines() if line.startswith("ExecStart=")]
    assert "--data /var/lib/mayfly/data --keys /var/lib/mayfly-keys/keys" in start
    assert values("StateDirectory") == {"mayfly", "mayfly-keys"}


def test_it_is_given_longer_to_end_than_it_takes() -> None:
    (limit,) = values("TimeoutStopSec")
    assert float(limit.removesuffix("s")) > LAST_RESORT_SECONDS


@pytest.mark.skipif(
    sys.platform != "linux" or shutil.which("systemd-analyze") is None, reason="systemd is not on this machine"
)
@pytest.mark.parametrize("added", ["", *(text for place, text in blocks("ini") if "run-as-a-service" in place)])
def test_systemd_takes_the_unit_and_what_the_page_adds_and_finds_it_hard(tmp_path: Path, added: str) -> None:
    unit = tmp_path / "mayfly.service"
    unit.write_text(UNIT.read_text(encoding="utf-8").replace("/opt/mayfly/bin/mayfly", sys.executable) + added)
    checked = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True)
    assert (checked.returncode, checked.stderr) == (0, "")
    scored = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", f"--threshold={MOST_EXPOSED * 10:.0f}", unit],
        capture_output=True,
        text=True,
    )
    assert scored.returncode == 0, scored.stdout[-200:]
