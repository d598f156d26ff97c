"""Kafka's own command line tools, under the names its distribution gives them."""

import os
import shlex
import subprocess
from pathlib import Path

from support.broker_jars import TOOLS as ARCHIVES
from support.broker_jars import class_path

TOOLS = {
    "kafka-acls.sh": "org.apache.kafka.tools.AclCommand",
    "kafka-configs.sh": "kafka.admin.ConfigCommand",
    "kafka-consumer-groups.sh": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
    "kafka-delete-records.sh": "org.apache.kafka.tools.DeleteRecordsCommand",
    "kafka-topics.sh": "org.apache.kafka.tools.TopicCommand",
}
TOOL_SECONDS = 120


def write_tools(folder: Path) -> Path:
    """Make the programs in a folder, to be put on a PATH."""
    folder.mkdir(parents=True, exist_ok=True)
    java = "java -Xmx256m -XX:TieredStopAtLevel=1 -Dorg.slf4j.simpleLogger.defaultLogLevel=error"
    for name, main in TOOLS.items():
        program = folder / name
        program.write_text(f'#!/bin/sh\nexec {java} -cp {shlex.quote(class_path(ARCHIVES))} {main} "$@"\n')
        program.chmod(0o755)
    return folder


def run_line(line: str, tools: Path) -> str:
    """Run a line as a person would who copied it into a shell; what it printed.

    Raises:
        AssertionError: it failed; the text is what it said.
    """
    environment = {**os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        ["/bin/sh", "-c", line], env=environment, capture_output=True, text=True, timeout=TOOL_SECONDS, check=False
    )
    assert done.returncode == 0, f"{line}: {done.stdout}{done.stderr}"
    return done.stdout
