"""The files that a local Kafka reads: server.properties, log4j2.properties, and the facts kept about its data."""

from __future__ import annotations

import base64
import secrets
import socket
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from newsmill.local.errors import LocalKafkaError
from schemas.limits import HEADER_ROOM_BYTES, MAX_RECORD_BYTES

HOST = "127.0.0.1"
"""The only address that a local Kafka listens on: it asks nobody for a password."""

# Below the range that Linux and macOS give to outgoing connections, so that no passing connection holds the port
# when a stopped broker comes back to it.
_PORTS = range(20_000, 30_000)


@dataclass(frozen=True, slots=True)
class Identity:
    """What must stay the same as long as the data live: the cluster's id, and the ports of broker and controller."""

    cluster_id: str
    port: int
    controller_port: int


def port_is_free(port: int) -> bool:
    """Return whether a server could listen on `port` of the loopback address now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As the JVM does: connections of a server that has just ended don't hold the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def identity(data_dir: Path, port: int | None = None, controller_port: int | None = None) -> Identity:
    """Return the identity kept in `data_dir`/identity.json, made if it is new; a given port replaces the kept one.

    Ports that are neither given nor kept are free ones. Raises LocalKafkaError when the file is damaged.
    """
    path = data_dir / "identity.json"
    kept: Identity | None = None
    if path.exists():
        try:
            kept = Identity(**orjson.loads(path.read_bytes()))
        except (orjson.JSONDecodeError, TypeError) as error:
            raise LocalKafkaError(
                f"{path} is damaged ({error}). Restore it, or remove {data_dir} to start with an empty Kafka."
            ) from error
    port = port or (kept.port if kept else _free_port())
    controller_port = controller_port or (kept.controller_port if kept else _free_port(other_than=port))
    if port == controller_port:
        raise LocalKafkaError(f"The broker and its controller can't both listen on port {port}.")
    now = Identity(kept.cluster_id if kept else _new_cluster_id(), port, controller_port)
    if now != kept:
        scratch = path.with_name(path.name + ".new")
        scratch.write_bytes(orjson.dumps(asdict(now), option=orjson.OPT_INDENT_2))
        scratch.replace(path)
    return now


def _free_port(other_than: int | None = None) -> int:
    for _ in range(200):
        port = secrets.choice(_PORTS)
        if port != other_than and port_is_free(port):
            return port
    raise LocalKafkaError(f"No free port between {_PORTS.start} and {_PORTS.stop - 1} was found. Name one.")


def _new_cluster_id() -> str:
    # 16 random bytes in base64url, as Kafka's own random-uuid. A leading dash would read as an option.
    while (text := base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        pass
    return text


def server_properties(who: Identity, log_dir: Path, overrides: Mapping[str, str] | None = None) -> str:
    """Return the server.properties of a single node that is broker and controller, with its log under `log_dir`.

    `overrides` replaces or adds settings by their Kafka names.
    """
    # Twice the room: a dead letter carries the headers of the refused record and those that say why.
    record_bytes = str(MAX_RECORD_BYTES + 2 * HEADER_ROOM_BYTES)
    settings = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.bootstrap.servers": f"{HOST}:{who.controller_port}",
        "controller.listener.names": "CONTROLLER",
        "listeners": f"PLAINTEXT://{HOST}:{who.port},CONTROLLER://{HOST}:{who.controller_port}",
        "advertised.listeners": f"PLAINTEXT://{HOST}:{who.port},CONTROLLER://{HOST}:{who.controller_port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": str(log_dir),
        # There is one node, so there is one copy.
        "default.replication.factor": "1",
        "min.insync.replicas": "1",
        "offsets.topic.replication.factor": "1",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        # The default of 50 partitions each is for clusters. It costs start time and open files here.
        "offsets.topic.num.partitions": "8",
        "transaction.state.log.num.partitions": "8",
        "share.coordinator.state.topic.num.partitions": "8",
        # What schemas/limits.py lets through, the broker lets through.
        "message.max.bytes": record_bytes,
        "replica.fetch.max.bytes": record_bytes,
        "log.message.timestamp.type": "LogAppendTime",
        "log.segment.bytes": str(64 * 1024 * 1024),
        # A topic that nobody declared is a mistake in a name, not a wish.
        "auto.create.topics.enable": "false",
        # Nobody else is about to join: a worker need not wait for company.
        "group.initial.rebalance.delay.ms": "0",
        # How often transactions past their timeout are looked for. Until one is aborted, its readers stand still.
        "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
        # 128 MiB of heap by default, whether or not there is anything to clean.
        "log.cleaner.dedupe.buffer.size": str(16 * 1024 * 1024),
        "num.network.threads": "2",
        "num.io.threads": "4",
        "num.recovery.threads.per.data.dir": "2",
    }
    settings |= dict(overrides or {})
    return "".join(f"{name}={_escape(value)}\n" for name, value in settings.items())


def _escape(value: str) -> str:
    # java.util.Properties: a backslash starts an escape, and a leading space would be dropped.
    escaped = value.replace("\\", "\\\\").replace("\n", "\\n")
    return "\\" + escaped if escaped.startswith(" ") else escaped


def log4j2_properties(broker_log: Path) -> str:
    """Return a log4j2.properties that writes warnings, and the few lines that tell of start and end, to `broker_log`.

    The file is rolled at 10 MB and two old ones are kept.
    """
    name = _escape(str(broker_log))
    return f"""\
status=error
appender.file.type=RollingFile
appender.file.name=file
appender.file.fileName={name}
appender.file.filePattern={name}.%i
appender.file.layout.type=PatternLayout
appender.file.layout.pattern=%d{{yyyy-MM-dd'T'HH:mm:ss.SSSXXX}} %-5p %c{{1}}: %m%n
appender.file.policies.type=Policies
appender.file.policies.size.type=SizeBasedTriggeringPolicy
appender.file.policies.size.size=10MB
appender.file.strategy.type=DefaultRolloverStrategy
appender.file.strategy.max=2
rootLogger.level=warn
rootLogger.appenderRef.file.ref=file
logger.server.name=kafka.server.KafkaRaftServer
logger.server.level=info
logger.lifecycle.name=kafka.server.BrokerLifecycleManager
logger.lifecycle.level=info
"""
