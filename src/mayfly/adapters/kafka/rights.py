"""What our user lacks at the brokers, and the command by which an administrator gives it.

https://kafka.apache.org/documentation/#security_authz lists operations, and what allows what: READ, WRITE and DELETE
allow DESCRIBE, too.
"""

import shlex
from typing import Literal

from mayfly.adapters.kafka.connection import Connection

Operation = Literal["Read", "Write", "Create", "Delete", "Describe"]
Resource = Literal["topic", "group", "cluster"]
ALL = "*"
_NAMED = ("SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN")
"""Mechanisms by which the brokers call us as we call ourselves; otherwise it is up to a token or a certificate."""


def lacking(connection: Connection, operation: Operation, resource: Resource, name: str | None = None) -> str:
    """`name` is None for the cluster, `ALL` for all there are."""
    what = f"the {resource}" if name is None else f"all {resource}s" if name == ALL else f"the {resource} {name}"
    who = f"User:{connection.username}" if connection.mechanism in _NAMED else "User:NAME"
    command = ["kafka-acls.sh", "--bootstrap-server", connection.servers, "--add", "--allow-principal", who]
    command += ["--operation", operation, f"--{resource}", *([] if name is None else [name])]
    note = "" if connection.mechanism in _NAMED else "; NAME is what the brokers call us"
    return f"the brokers do not let us {operation.upper()} {what}. An administrator does: {shlex.join(command)}{note}"
