"""Workers of the kafka engine as processes: a record that kills them, a signal to stop, a zombie of the same name."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from newsmill.engines.kafka.transaction import FencedError
from newsmill.engines.result import KILLED
from schemas import headers as h
from schemas import topics
from tests.support.kafka import PATIENCE, Place, Running, each_once
from tests.support.stages import EchoStage

pytestmark = pytest.mark.broker
MakePlace = Callable[..., Place]

ROOT = Path(__file__).resolve().parents[2]


class Process:
    """A program of the tests. `environment` is added to this process's own, settings of newsmill aside."""

    def __init__(self, log: Path, *arguments: str, **environment: str) -> None:
        self.log = log
        own = {name: value for name, value in os.environ.items() if not name.startswith("NEWSMILL_")}
        with log.open("ab") as file:
            self.popen = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=log.parent,
                env=own | {"PYTHONPATH": str(ROOT)} | environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                text=True,
            )

    def says(self, expected: str) -> None:
        """Wait for a line on standard output."""
        assert self.popen.stdout is not None
        assert self.popen.stdout.readline().strip() == expected, self.log.read_text()[-5000:]

    def tell(self, line: str) -> None:
        assert self.popen.stdin is not None
        self.popen.stdin.write(line + "\n")
        self.popen.stdin.flush()

    def until(self, condition: Callable[[], bool]) -> bool:
        """Wait until `condition` holds; False when the process has ended before."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            if self.popen.poll() is not None:
                return False
            assert time.monotonic() < deadline, self.log.read_text()[-5000:]
            time.sleep(0.1)
        return True

    def end(self) -> None:
        if self.popen.poll() is None:
            self.popen.kill()
        self.popen.communicate()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    processes: list[Process] = []

    def start(*arguments: str, **environment: str) -> Process:
        processes.append(Process(tmp_path / "log", *arguments, **environment))
        return processes[-1]

    yield start
    for process in processes:
        process.end()


def worker(start: Callable[..., Process], place: Place, **more: Any) -> Process:
    """Start `newsmill worker ingest` with the toy stage."""
    # A killed one can't say so: the group has to find out.
    chosen = {
        "bootstrap": place.settings.bootstrap,
        "namespace": place.settings.namespace,
        "state_dir": place.settings.state_dir,
        "session_timeout_s": 2,
        "metrics_port": 0,
        **more,
    }
    environment = {f"NEWSMILL_{name.upper()}": str(value) for name, value in chosen.items()}
    return start("-m", "tests.support.toy_command", "worker", "ingest", **environment)


def test_a_crash_in_native_code_is_narrowed_down_to_its_record(place: MakePlace, start: Callable[..., Process]) -> None:
    p = place()
    values = [b"v%d" % number for number in range(40)]
    p.feed(topics.RAW, [*values[:25], b"die \xff", *values[25:]])
    starts = 0
    while True:
        starts += 1
        running = worker(start, p, batch_records=10)
        if running.until(lambda: len(p.read(topics.DEAD_LETTERS)) == 1 and len(p.read(topics.ARTICLES)) == 40):
            break
        assert running.popen.returncode == -signal.SIGKILL, running.log.read_text()[-5000:]
        assert starts < 8
    running.popen.send_signal(signal.SIGTERM)
    assert running.popen.wait(PATIENCE) == 0
    # The first comes upon it in the middle of its work. Three die on its batch, one on the record alone, and one lets
    # it go; more only if what a poll returns is cut differently.
    assert starts >= 6
    each_once(p.read(topics.ARTICLES), [value.upper() for value in values])
    (dead,) = p.read(topics.DEAD_LETTERS)
    assert (dead.key, dead.value) == (b"k25", b"die \xff")
    assert h.get(dead.headers, h.DEAD_REASON) == KILLED.encode()
    assert h.get(dead.headers, h.DEAD_OFFSET) == b"25"


def test_sigterm_finishes_the_batch_and_the_next_one_goes_on(place: MakePlace, start: Callable[..., Process]) -> None:
    p = place()
    values = [b"v%d" % number for number in range(200)]
    p.feed(topics.RAW, values)
    first = worker(start, p, batch_records=5)
    assert first.until(lambda: len(p.read(topics.ARTICLES)) > 5)
    first.popen.send_signal(signal.SIGTERM)
    assert first.popen.wait(PATIENCE) == 0
    done = p.values(topics.ARTICLES)
    assert done == [value.upper() for value in values[: len(done)]]
    second = worker(start, p)
    # The first one has left the group, so nobody waits for its session to end.
    assert second.until(lambda: len(p.read(topics.ARTICLES)) == 200)
    each_once(p.read(topics.ARTICLES), [value.upper() for value in values])


ZOMBIE = """
import sys
from kafka import KafkaProducer
from kafka.errors import KafkaError

bootstrap, transactional_id, topic = sys.argv[1:]

def producer():
    made = KafkaProducer(bootstrap_servers=[bootstrap], transactional_id=transactional_id, transaction_timeout_ms=2000)
    made.init_transactions()
    made.begin_transaction()
    made.send(topic, key=b"zombie", value=b"zombie")
    made.flush()
    return made

mine = producer()
print("a transaction is open", flush=True)
sys.stdin.readline()
# kafka-python asks for a new epoch when the broker refuses the old one.
refused = mine.send(topic, key=b"zombie", value=b"zombie")
mine.flush()
try:
    mine.commit_transaction()
    print("committed", flush=True)
except KafkaError:
    print("refused" if refused.failed() else "sent", flush=True)
sys.stdin.readline()
# It announces itself anew, as one that was stopped in its start would.
mine = producer()
print("a transaction is open", flush=True)
sys.stdin.readline()
mine.commit_transaction()
print("committed", flush=True)
"""


def test_a_zombie_harms_nothing_and_whom_it_shuts_out_recovers(place: MakePlace, start: Callable[..., Process]) -> None:
    p = place()
    settings = dataclasses.replace(p.settings, batch_records=5)
    name = f"{settings.namespace}newsmill.ingest.{settings.instance}"
    zombie = start("-c", ZOMBIE, settings.bootstrap, name, p.physical(topics.ARTICLES))
    zombie.says("a transaction is open")
    zombie.popen.send_signal(signal.SIGSTOP)
    p.feed(topics.RAW, [b"a%d" % number for number in range(10)])
    # Its transaction is past its timeout: the broker ends it, and with it the wait of those who read.
    assert p.read(topics.ARTICLES) == []

    successor = Running(EchoStage(), settings)
    p.wait_for(topics.ARTICLES, 10)
    zombie.popen.send_signal(signal.SIGCONT)
    zombie.tell("write on, and commit")
    zombie.says("refused")
    p.feed(topics.RAW, [b"b%d" % number for number in range(10)])
    p.wait_for(topics.ARTICLES, 20)
    assert successor.error is None, "one that asks for a new epoch with an old one is shut out itself"

    zombie.tell("announce yourself anew")
    zombie.says("a transaction is open")
    zombie.popen.send_signal(signal.SIGSTOP)
    p.feed(topics.RAW, [b"c%d" % number for number in range(10)])
    error = successor.ended()
    assert isinstance(error, FencedError), error
    assert "NEWSMILL_INSTANCE" in str(error)

    again = Running(EchoStage(), settings)
    expected = [b"%s%d" % (letter, number) for letter in (b"A", b"B", b"C") for number in range(10)]
    each_once(p.wait_for(topics.ARTICLES, 30), expected)
    zombie.popen.send_signal(signal.SIGCONT)
    zombie.tell("commit")
    assert not zombie.until(lambda: False), "it can't commit, and ends"
    assert zombie.popen.returncode != 0
    p.feed(topics.RAW, [b"d"])
    each_once(p.wait_for(topics.ARTICLES, 31), [*expected, b"D"])
    again.stop()
