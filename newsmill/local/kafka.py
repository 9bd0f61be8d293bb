"""A single-node Apache Kafka (KRaft) as an object: started, stopped, killed and started again on the same data.

Layout of its data directory:

    identity.json        cluster id and ports, so that a restart is the same cluster at the same address
    server.properties    written at each start
    log4j2.properties    written at each start
    broker.pid           the running process, and when it started
    broker.log           what the broker says (warnings and milestones)
    console.log          what the JVM says (stdout and stderr of the last start)
    log/                 the data
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from newsmill.local import process
from newsmill.local.config import HOST, Identity, identity, log4j2_properties, port_is_free, server_properties
from newsmill.local.errors import LocalKafkaError
from newsmill.local.jars import check_jars, ensure_jars
from newsmill.local.java import find_java

Stopped = Literal["stopped", "not running"]

START_SECONDS = 60.0
"""Default wait for a broker to answer; 2 to 5 s are usual, 13 s after a crash (the broker's old session must end)."""

STOP_SECONDS = 30.0
"""Default wait for a broker to end by itself before it is killed."""

QUICK_START = "-XX:TieredStopAtLevel=1"
"""Java option for brokers that live for seconds: they start in 60 % of the time and compile no hot code later."""

_POLL_SECONDS = 0.05


class LocalKafka:
    """One Apache Kafka broker and controller on the loopback address, with its data under `data_dir`.

    `port` and `controller_port` are free ones by default; they are kept in `data_dir`, so every later start has the
    same address. `heap` is the JVM's largest heap (`512m`); `jvm_options` are further options of Java. `libs` is a
    directory with the jars of a downloaded Kafka; by default they come from Maven Central into `cache` (see
    `newsmill.local.jars`). `overrides` are broker settings by their Kafka names.

    With `die_with_parent`, on Linux, the broker gets SIGTERM when this process dies, however it dies. The kernel ties
    that to the thread that called `start`, so it applies to calls from the main thread alone; elsewhere, and without
    it, a broker whose owner was killed keeps running until `stop_recorded` (`newsmill down`).

    As a context manager it starts, waits until ready, and stops. Not for use from several threads at a time.
    """

    def __init__(
        self,
        data_dir: Path,
        port: int | None = None,
        controller_port: int | None = None,
        *,
        heap: str = "512m",
        jvm_options: Sequence[str] = (),
        cache: Path | None = None,
        libs: Path | None = None,
        overrides: Mapping[str, str] | None = None,
        die_with_parent: bool = True,
    ) -> None:
        self.data_dir = data_dir.absolute()
        self._ports = (port, controller_port)
        self._heap = heap
        self._jvm_options = tuple(jvm_options)
        self._cache = cache
        self._libs = libs
        self._overrides = dict(overrides or {})
        self._die_with_parent = die_with_parent
        self._identity: Identity | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        """The address for clients, `127.0.0.1:PORT`. Raises LocalKafkaError before the first start."""
        if self._identity is None:
            raise LocalKafkaError("The local Kafka has not been started, so it has no address yet.")
        return f"{HOST}:{self._identity.port}"

    @property
    def pid(self) -> int | None:
        """Process id of the running broker that this object started, or None."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    @property
    def broker_log(self) -> Path:
        """The file in which the broker logs."""
        return self.data_dir / "broker.log"

    def start(self) -> None:
        """Start the broker and return while it is coming up; `wait_ready` waits for it. Fetches the jars if needed.

        Raises LocalKafkaError when Java or Maven is missing or too old, a port is taken, or a broker already runs on
        this data.
        """
        if self._process is not None:
            self._process.poll()  # collects a broker that has ended
        if (running := process.recorded(self._pid_file)) is not None:
            raise LocalKafkaError(
                f"A Kafka already runs on {self.data_dir} (process {running}). Use it, or stop it (newsmill down)."
            )
        java = find_java()
        self.data_dir.mkdir(parents=True, exist_ok=True)
        who = identity(self.data_dir, *self._ports)
        for what, port in (("broker", who.port), ("controller", who.controller_port)):
            if not port_is_free(port):
                raise LocalKafkaError(
                    f"Port {port} on {HOST}, for Kafka's {what}, is taken by another program. Stop that program, or "
                    f"choose another port. (This Kafka's ports are kept in {self.data_dir}/identity.json.)"
                )
        libs = check_jars(self._libs) if self._libs else ensure_jars(self._cache)
        self._identity = who
        properties = self.data_dir / "server.properties"
        properties.write_text(server_properties(who, self._log_dir, self._overrides), encoding="utf-8")
        (self.data_dir / "log4j2.properties").write_text(log4j2_properties(self.broker_log), encoding="utf-8")
        if not (self._log_dir / "meta.properties").exists():
            self._format(java, libs, who)
        self._launch([*self._java_command(java, libs), "kafka.Kafka", str(properties)])

    def wait_ready(self, timeout: float = START_SECONDS) -> None:
        """Return when a client can list the broker. Raises LocalKafkaError if it ends, or `timeout` seconds pass."""
        until = time.monotonic() + timeout
        while not self._answers():
            if self._process is None or self._process.poll() is not None:
                code = None if self._process is None else self._process.returncode
                raise LocalKafkaError(
                    f"Kafka ended while it was starting (exit code {code}). Its last lines:\n{self._last_lines()}"
                )
            if time.monotonic() >= until:
                raise LocalKafkaError(
                    f"Kafka did not answer on {self.bootstrap} within {timeout:g} seconds. "
                    f"Its last lines:\n{self._last_lines()}"
                )
            time.sleep(_POLL_SECONDS)

    def stop(self, timeout: float = STOP_SECONDS) -> None:
        """Ask the broker to end (SIGTERM) and wait; after `timeout` seconds kill it. No effect if it doesn't run."""
        self._end(timeout)

    def kill(self) -> None:
        """End the broker at once (SIGKILL), as a crash would. No effect if it doesn't run."""
        self._end(None)

    def restart(self, timeout: float = START_SECONDS) -> None:
        """Stop the broker, start it again on the same data and address, and wait until it is ready."""
        self.stop()
        self.start()
        self.wait_ready(timeout)

    def __enter__(self) -> Self:
        try:
            self.start()
            self.wait_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def _pid_file(self) -> Path:
        return pid_file(self.data_dir)

    @property
    def _log_dir(self) -> Path:
        return self.data_dir / "log"

    def _java_command(self, java: str, libs: Path) -> list[str]:
        return [
            java,
            # Threads and memory for a handful of partitions, not for a server.
            *(f"-Xmx{self._heap}", "-XX:+UseSerialGC", "-XX:+ExitOnOutOfMemoryError", "-Djava.awt.headless=true"),
            *self._jvm_options,
            f"-Dlog4j2.configurationFile={self.data_dir / 'log4j2.properties'}",
            *("-cp", f"{libs}{os.sep}*"),
        ]

    def _format(self, java: str, libs: Path, who: Identity) -> None:
        done = subprocess.run(
            [
                *(*self._java_command(java, libs), QUICK_START, "kafka.tools.StorageTool", "format", "--standalone"),
                *("--cluster-id", who.cluster_id, "--config", str(self.data_dir / "server.properties")),
            ],
            cwd=self.data_dir,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        if done.returncode != 0:
            raise LocalKafkaError(
                f"Kafka could not prepare {self._log_dir}:\n{(done.stdout + done.stderr).strip()[-2000:]}"
            )

    def _launch(self, command: list[str]) -> None:
        if self._die_with_parent and sys.platform == "linux" and threading.current_thread() is threading.main_thread():
            # prctl(PR_SET_PDEATHSIG) between fork and exec. In Python's own preexec_fn it could deadlock with threads.
            setpriv = shutil.which("setpriv")
            if setpriv:
                # This process may die before the wish is heard: then the new one has another parent, and ends.
                only_mine = ["sh", "-c", '[ "$PPID" = "$0" ] && exec "$@"', str(os.getpid())]
                command = [setpriv, "--pdeathsig", "TERM", "--", *only_mine, *command]
        with (self.data_dir / "console.log").open("wb") as console:
            self._process = subprocess.Popen(
                command,
                cwd=self.data_dir,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                # Ctrl-C goes to the whole group of the terminal. The broker must outlive the workers' last commit.
                start_new_session=True,
            )
        process.record(self._pid_file, self._process.pid)

    def _answers(self) -> bool:
        address = self.bootstrap
        try:
            # Cheaper than a Kafka client, which would log each attempt.
            socket.create_connection((HOST, int(address.rpartition(":")[2])), timeout=1).close()
        except OSError:
            return False
        return _lists_a_broker(address)

    def _end(self, timeout: float | None) -> None:
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            if timeout is None:
                self._process.kill()
            else:
                self._process.terminate()
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None
        # Another object may have started a broker here since ours ended.
        if process.recorded(self._pid_file) is None:
            self._pid_file.unlink(missing_ok=True)

    def _last_lines(self, count: int = 15) -> str:
        lines: list[str] = []
        for path in (self.broker_log, self.data_dir / "console.log"):
            if path.exists():
                lines += path.read_text(encoding="utf-8", errors="replace").splitlines()[-count:]
        return "\n".join(lines) or "(it said nothing)"


def pid_file(data_dir: Path) -> Path:
    """Return the file in which the broker on `data_dir` is remembered."""
    return data_dir / "broker.pid"


def stop_recorded(data_dir: Path, timeout: float = STOP_SECONDS) -> Stopped:
    """Stop the broker that runs on `data_dir`, whoever started it: SIGTERM, and SIGKILL after `timeout` seconds.

    A process that only has the recorded id, and is another program by now, is left alone.
    """
    return "stopped" if process.stop(pid_file(data_dir), timeout) else "not running"


def _lists_a_broker(bootstrap: str) -> bool:
    # Imported here: `newsmill down` and the checks before a start need no Kafka client.
    from kafka import KafkaAdminClient
    from kafka.errors import KafkaError

    try:
        admin = KafkaAdminClient(bootstrap_servers=bootstrap, bootstrap_timeout_ms=2_000, request_timeout_ms=5_000)
    except KafkaError:
        return False
    try:
        return any(not broker.get("is_fenced") for broker in admin.describe_cluster()["brokers"])
    except KafkaError:
        return False
    finally:
        admin.close()
