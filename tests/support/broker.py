"""A real broker: Apache Kafka in KRaft mode, one node, started, stopped and killed by the tests."""

import contextlib
import functools
import os
import random
import signal
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from support.broker_jars import BROKER, class_path
from support.certificate import write_certificate
from support.processes import alive
from support.server import until
from support.topics import Topics

HOST = "127.0.0.1"
USER = "mayfly"
PASSWORD = "correct-horse"
"""What the listeners with SASL ask for. No comma: the formatting tool would take it for the end of the password."""

LARGEST_MESSAGE = 11_534_336
"""Bytes: 10 MiB, and what a record adds to them."""

START_SECONDS = 60.0
ANY_CLUSTER = "0" * 22
"""The cluster's id in files that are formatted once; each broker gets one of its own."""
JAVA = (
    "-Xmx384m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Djava.net.preferIPv4Stack=true",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
)
SETTINGS = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "auto.create.topics.enable": "false",
    "message.max.bytes": str(LARGEST_MESSAGE),
    "replica.fetch.max.bytes": str(LARGEST_MESSAGE),
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "log.cleaner.dedupe.buffer.size": "4194304",
    # What takes a real cluster minutes takes a test seconds: a member that died is missed, a start is believed, and
    # what is over age goes.
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "group.consumer.min.session.timeout.ms": "1000",
    "group.consumer.session.timeout.ms": "6000",
    "group.consumer.min.heartbeat.interval.ms": "500",
    "group.consumer.heartbeat.interval.ms": "1000",
    "broker.session.timeout.ms": "2000",
    "broker.heartbeat.interval.ms": "400",
    "log.retention.check.interval.ms": "1000",
    "log.initial.task.delay.ms": "500",
    "log.segment.delete.delay.ms": "1000",
}
SECURED = ("SASL_PLAINTEXT", "SSL", "SASL_SSL")
MECHANISMS = ("SCRAM-SHA-256", "SCRAM-SHA-512")
SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule required;"

WATCH = '"$0" "$@" </dev/null & echo $!; read -r _; kill -9 $! 2>/dev/null; wait $!'
"""Runs the broker, prints its pid, and kills it once nobody holds the other end of the input any more: so it ends with
the tests however they end. (A signal at the parent's death would come when the thread ends that started it.)"""


@dataclass
class Broker(Topics):
    """One that listens for PLAINTEXT; with `secured`, for SCRAM, for TLS, and for SCRAM over TLS, too.

    `settings` go into server.properties, over those above. The ports stay the same from start to start.
    """

    folder: Path
    secured: bool = False
    settings: Mapping[str, str] = field(default_factory=dict)
    java: tuple[str, ...] = ()
    ports: dict[str, int] = field(default_factory=dict)
    pid: int = 0
    watch: subprocess.Popen[str] | None = None

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        names = ("CONTROLLER", "PLAINTEXT", *(SECURED if self.secured else ()))
        self.ports = dict(zip(names, free_ports(len(names)), strict=True))
        super().__init__(self.address())

    def address(self, listener: str = "PLAINTEXT") -> str:
        return f"{HOST}:{self.ports[listener]}"

    @property
    def certificate(self) -> Path:
        """What clients of the secured listeners trust, and what signs their own certificates."""
        return self.folder / "certificate.pem"

    @property
    def log(self) -> Path:
        return self.folder / "log.txt"

    def format(self) -> None:
        """Make its folder and its users."""
        if self.secured and not self.certificate.exists():
            _, key = write_certificate(self.folder)
            (self.folder / "server.pem").write_bytes(key.read_bytes() + self.certificate.read_bytes())
        self.write_settings()
        cluster = uuid.uuid4().hex[:22].encode()
        for place, content in formatted().items():
            (self.folder / "data" / place).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / "data" / place).write_bytes(content.replace(ANY_CLUSTER.encode(), cluster))

    def write_settings(self) -> None:
        lines = [f"{name}={value}\n" for name, value in self._properties().items()]
        (self.folder / "server.properties").write_text("".join(lines))

    def start(self) -> "Broker":
        """Start, and wait until it serves."""
        assert self.watch is None
        self.forget()
        if not (self.folder / "data").exists():
            self.format()
        command = ["java", *JAVA, *self.java, "-cp", class_path(BROKER), "kafka.Kafka", "server.properties"]
        with self.log.open("ab") as log:
            self.watch = subprocess.Popen(
                ["/bin/sh", "-c", WATCH, *command],
                cwd=self.folder,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        assert self.watch.stdout is not None
        self.pid = int(self.watch.stdout.readline())
        until(self._serves_or_ended, "the broker to serve", START_SECONDS)
        if not alive(self.pid):
            self.close()
            raise AssertionError(f"no broker: {self.log.read_text()[-2_000:]}")
        return self

    def stop(self) -> None:
        """In an orderly way."""
        os.kill(self.pid, signal.SIGTERM)
        until(lambda: not alive(self.pid), "the broker to stop", START_SECONDS)
        self.close()

    def kill(self) -> None:
        """SIGKILL."""
        os.kill(self.pid, signal.SIGKILL)
        until(lambda: not alive(self.pid), "the broker to end", START_SECONDS)
        self.close()

    def close(self) -> None:
        """End it, however it stands. Its folder stays."""
        if self.watch is not None:
            assert self.watch.stdin is not None
            assert self.watch.stdout is not None
            with contextlib.suppress(BrokenPipeError):
                self.watch.stdin.close()
            self.watch.wait(START_SECONDS)
            self.watch.stdout.close()
            self.watch = None

    def _serves_or_ended(self) -> bool:
        if not alive(self.pid):
            return True
        with contextlib.suppress(OSError), socket.create_connection((HOST, self.ports["PLAINTEXT"]), timeout=1):
            return self.serves()
        return False

    def _properties(self) -> dict[str, str]:
        listeners = ",".join(f"{name}://{HOST}:{port}" for name, port in self.ports.items())
        protocols = ",".join(f"{name}:{'PLAINTEXT' if name == 'CONTROLLER' else name}" for name in self.ports)
        own = {
            "log.dirs": str(self.folder / "data"),
            "controller.quorum.voters": f"1@{HOST}:{self.ports['CONTROLLER']}",
            "listeners": listeners,
            "advertised.listeners": ",".join(part for part in listeners.split(",") if not part.startswith("CONTR")),
            "listener.security.protocol.map": protocols,
        }
        return SETTINGS | own | (self._security() if self.secured else {}) | dict(self.settings)

    def _security(self) -> dict[str, str]:
        scram = {
            f"listener.name.{name.lower()}.{mechanism.lower()}.sasl.jaas.config": SCRAM
            for name in SECURED
            if name.startswith("SASL")
            for mechanism in MECHANISMS
        }
        return scram | {
            "sasl.enabled.mechanisms": ",".join(MECHANISMS),
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(self.folder / "server.pem"),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(self.certificate),
            "ssl.client.auth": "requested",
        }


@functools.cache
def formatted() -> Mapping[Path, bytes]:
    """The files of a broker that never ran, by their places: made once for all of a run, for Java takes seconds."""
    users = [f"--add-scram={mechanism}=[name={USER},password={PASSWORD}]" for mechanism in MECHANISMS]
    what = ["format", f"--cluster-id={ANY_CLUSTER}", "--config=server.properties", *users]
    with tempfile.TemporaryDirectory(prefix="format-") as name:
        made = Broker(Path(name))
        made.write_settings()
        done = subprocess.run(
            ["java", *JAVA, "-cp", class_path(BROKER), "kafka.tools.StorageTool", *what],
            cwd=made.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        data = made.folder / "data"
        return {path.relative_to(data): path.read_bytes() for path in data.rglob("*") if path.is_file()}


def free_ports(count: int) -> list[int]:
    """Ports nobody listens on, below those that the system gives to clients: a client that tries a dead port among
    those again and again is connected to itself in the end, and the port is taken."""
    try:
        lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except OSError:
        lowest = 32_768
    found: list[int] = []
    with contextlib.ExitStack() as held:
        while len(found) < count:
            port = random.randrange(lowest - 12_000, lowest)
            listener = held.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                listener.bind((HOST, port))
                found.append(port)
    return found
