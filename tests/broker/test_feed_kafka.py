"""`newsmill feed` as a program against a real Kafka: killed, stopped, and with a broker that goes away."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kafka.admin import ConfigResource

from newsmill import clients
from newsmill import topics as cluster
from newsmill.feed.sender import WINDOW_DOCUMENTS
from newsmill.local import LocalKafka
from newsmill.local.kafka import QUICK_START
from schemas import headers as h
from schemas import topics
from schemas.keys import source_key
from tests.support.kafka import Place

pytestmark = pytest.mark.broker

ROOT = Path(__file__).resolve().parents[2]
LINES = 30_000


def environment(place: Place, **more: str) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("NEWSMILL_")}
    return {
        **clean,
        "PYTHONPATH": str(ROOT),
        "NEWSMILL_BOOTSTRAP": place.settings.bootstrap,
        "NEWSMILL_NAMESPACE": place.settings.namespace,
        **more,
    }


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "newsmill", "feed", *arguments]


def run(place: Place, *arguments: str, stdin: bytes = b"", **more: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        command(*arguments), env=environment(place, **more), input=stdin, capture_output=True, timeout=120, check=False
    )


@contextlib.contextmanager
def started(place: Place, *arguments: str, **more: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command(*arguments), env=environment(place, **more), stderr=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stderr is not None
        process.stderr.close()


def confirmed(resume: Path) -> int:
    """How many lines of the one file that is fed are confirmed, as the resume file says."""
    try:
        positions = resume.read_bytes().split(b"\n")[1:-1]
    except FileNotFoundError:
        return 0
    return json.loads(positions[-1])[5] if positions else 0


def wait_until(confirmed_more_than: int, resume: Path, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while confirmed(resume) <= confirmed_more_than:
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        assert time.monotonic() < deadline
        time.sleep(0.002)


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    path = tmp_path / "scraped.ndjson"
    with path.open("wb") as file:
        for n in range(LINES):
            file.write(b'{"source": "Outlet %d", "text": "Report %d %s"}\n' % (n % 50, n, b"of the harbour " * 30))
    return path


def copies(place: Place) -> Counter[str]:
    """origin -> how often it is on news.raw."""
    return Counter((h.get(r.headers, h.ORIGIN) or b"").decode() for r in place.read(topics.RAW))


def test_documents_arrive_as_they_are(place: Callable[..., Place], tmp_path: Path) -> None:
    here = place(raw=4)
    values = [b'{"source": "The  Daily", "text": "a"}', b'{"url": "https://www.ellery.example/b"}', b"not JSON"]
    path = tmp_path / "a.ndjson"
    path.write_bytes(b"\n".join(values) + b"\n" + b'"%s"\n' % (b"x" * 9_000_000))
    done = run(here, str(path), "-", stdin=b'{"text": "piped"}\n')
    assert done.returncode == 1
    assert f"newsmill: {path}:4: too_large: ".encode() in done.stderr
    assert b"newsmill: sent 4 documents to " in done.stderr
    assert b"1 rejected: 1 too_large" in done.stderr
    records = {(h.get(r.headers, h.ORIGIN) or b"").decode(): r for r in here.read(topics.RAW)}
    expected = {f"{path}:{n}": value for n, value in enumerate(values, 1)} | {"<stdin>:1": b'{"text": "piped"}'}
    assert {origin: record.value for origin, record in records.items()} == expected
    keys = {r.value: r.key for r in records.values()}
    assert [keys[v] for v in values] == [b"the daily", b"ellery.example", source_key(None, None)]
    assert all((h.get(r.headers, h.INGESTED_AT) or b"").isdigit() for r in records.values())


def test_killed_over_and_over_every_line_arrives_and_few_arrive_twice(
    place: Callable[..., Place], lines: Path, tmp_path: Path
) -> None:
    here, resume = place(raw=4), tmp_path / "resume.json"
    arguments = (str(lines), "--resume", str(resume))
    kills = 0
    for more in (0, 2_300, 4_100, 700):
        before = confirmed(resume)
        with started(here, *arguments) as process:
            wait_until(before + more, resume, process)
            process.send_signal(signal.SIGKILL)
            assert process.wait() == -signal.SIGKILL
            kills += 1
        assert before < confirmed(resume) < LINES
    done = run(here, *arguments)
    assert done.returncode == 0, done.stderr
    found = copies(here)
    assert set(found) == {f"{lines}:{n}" for n in range(1, LINES + 1)}
    assert sum(found.values()) - LINES <= kills * WINDOW_DOCUMENTS
    assert confirmed(resume) == LINES
    assert b"sent 0 documents" in run(here, *arguments).stderr


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_confirms_what_is_in_flight_and_nothing_is_sent_twice(
    place: Callable[..., Place], lines: Path, tmp_path: Path, number: signal.Signals, status: int
) -> None:
    here, resume = place(raw=4), tmp_path / "resume.json"
    arguments = (str(lines), "--resume", str(resume))
    with started(here, *arguments) as process:
        wait_until(0, resume, process)
        process.send_signal(number)
        assert process.wait(60) == status
        assert process.stderr is not None
        errors = process.stderr.read().decode()
    at = confirmed(resume)
    assert 0 < at < LINES
    assert f"newsmill: stopped by {number.name}; up to {lines}:{at} it is confirmed and saved in {resume}" in errors
    assert len(copies(here)) == at
    assert run(here, *arguments).returncode == 0
    assert copies(here) == Counter(f"{lines}:{n}" for n in range(1, LINES + 1))


def test_a_signal_ends_waiting_on_a_silent_pipe(place: Callable[..., Place]) -> None:
    here = place()
    process = subprocess.Popen(
        command("-"), env=environment(here), stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stderr is not None
    process.stdin.write('{"text": "one"}\n')
    process.stdin.flush()
    here.wait_for(topics.RAW, 1)  # it is sent at once, without waiting for more
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 143
    errors = process.stderr.read()
    assert "stopped by SIGTERM; up to <stdin>:1 it is confirmed" in errors
    assert "Traceback" not in errors
    process.stdin.close()
    process.stderr.close()


def test_a_document_too_large_for_the_topic_is_rejected_alone(place: Callable[..., Place], tmp_path: Path) -> None:
    here = place()
    with cluster.admin_client(clients.connection(here.settings)) as admin:
        admin.alter_configs([ConfigResource("topic", here.physical(topics.RAW), {"max.message.bytes": "10000"})])
    path = tmp_path / "a.ndjson"
    noise = os.urandom(20_000).hex().encode()  # so that compression can't help
    path.write_bytes(b"".join(b'{"n": %d}\n' % n for n in range(50)) + b'"%s"\n' % noise + b'{"n": 50}\n')
    done = run(here, str(path), "--resume", str(tmp_path / "r"))
    assert done.returncode == 1
    assert f"newsmill: {path}:51: too_large_for_broker: 40,002 bytes".encode() in done.stderr
    assert b"newsmill: sent 51 documents" in done.stderr
    assert sorted(here.values(topics.RAW)) == sorted(b'{"n": %d}' % n for n in range(51))
    assert confirmed(tmp_path / "r") == 52


def test_a_missing_topic_is_told(place: Callable[..., Place], tmp_path: Path) -> None:
    here = place()
    (tmp_path / "a.ndjson").write_text("{}\n")
    done = run(here, str(tmp_path / "a.ndjson"), NEWSMILL_NAMESPACE="nowhere.")
    assert done.returncode == 2
    assert done.stderr.decode() == (
        f"newsmill: there is no topic nowhere.news.raw on {here.settings.bootstrap}; "
        "`newsmill topics create` makes it\n"
    )


def test_a_broker_that_is_not_there_is_told(place: Callable[..., Place], tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    (tmp_path / "a.ndjson").write_text("{}\n")
    done = run(place(), str(tmp_path / "a.ndjson"), NEWSMILL_BOOTSTRAP=address, NEWSMILL_COMMIT_TIMEOUT_S="2")
    assert done.returncode == 1
    (line,) = done.stderr.decode().splitlines()
    assert line.startswith("newsmill: Kafka can't do that now: ")
    assert "Is NEWSMILL_BOOTSTRAP right" in line


def test_a_broker_that_goes_away_ends_the_feed_and_it_goes_on_when_the_broker_is_back(
    kafka_ready: None, lines: Path, tmp_path: Path
) -> None:
    soon = {"broker.session.timeout.ms": "2000", "broker.heartbeat.interval.ms": "500"}
    broker = LocalKafka(tmp_path / "data", overrides=soon, jvm_options=[QUICK_START])
    resume = tmp_path / "resume.json"
    arguments = (str(lines), "--resume", str(resume))
    try:
        broker.start()
        broker.wait_ready()
        here = Place(broker.bootstrap, "away", tmp_path / "state", raw=2)
        with started(here, *arguments, NEWSMILL_COMMIT_TIMEOUT_S="4") as process:
            wait_until(0, resume, process)
            broker.kill()
            assert process.wait(60) == 1
            assert process.stderr is not None
            errors = process.stderr.read().decode()
        at = confirmed(resume)
        assert 0 < at < LINES
        *_, line = errors.splitlines()  # on a slow machine, progress is told before it
        assert line.startswith(f"newsmill: {lines}:{at + 1}: not confirmed by the broker (")
        assert f"up to {lines}:{at} it is confirmed and saved in {resume}; run the same command again" in line
        broker.start()
        broker.wait_ready()
        done = run(here, *arguments)
        assert done.returncode == 0, done.stderr
        found = copies(here)
        assert set(found) == {f"{lines}:{n}" for n in range(1, LINES + 1)}
        assert sum(found.values()) - LINES <= WINDOW_DOCUMENTS
    finally:
        broker.kill()
