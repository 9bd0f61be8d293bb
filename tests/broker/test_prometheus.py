"""Workers on a real Kafka, scraped by a real Prometheus: every expression of dashboards and rules finds its data."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from newsmill.settings import Settings
from schemas import headers as h
from schemas import topics
from tests.support import prometheus
from tests.support.gateway_process import GatewayProcess
from tests.support.kafka import Place
from workers.pipeline import STAGES

pytestmark = pytest.mark.broker

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
ROUNDS = 6
PATIENCE = 90.0

SELECTOR = re.compile(r"(?:pipeline:|stage:|newsmill_|process_|up\b)[a-z0-9_:]*(?:\{[^}]*\})?")

RIGHTLY_EMPTY = {
    # expression or selector -> why nothing is there when all is well
    'ALERTS{alertname=~"Newsmill.*",alertstate="firing"}': "nothing is wrong, so nothing fires",
    "offset 1d": "there is no yesterday in a test",
    "newsmill_replayed_records_total": "nothing is replayed",
    "newsmill_notes_total": "stages note what is odd, and the samples may hold nothing of it",
    "absent(up": "the workers are there",
    "newsmill_replay_": "nothing is replayed",
    "newsmill_source_broken": "no source is broken",
    "newsmill_source_usual_day_documents": "sources have no yesterday in a test",
}


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def _start(name: str, settings: Settings, port: int, log: Path) -> subprocess.Popen[bytes]:
    stage, _, instance = name.partition("-")
    own = {name: value for name, value in os.environ.items() if not name.startswith("NEWSMILL_")}
    chosen = {
        "bootstrap": settings.bootstrap,
        "namespace": settings.namespace,
        "state_dir": settings.state_dir,
        "metrics_port": str(port),
        "instance": instance or "1",
    }
    with log.open("wb") as out:
        return subprocess.Popen(
            [sys.executable, "-m", "newsmill", "worker", stage],
            cwd=ROOT,
            env=own | {f"NEWSMILL_{name.upper()}": value for name, value in chosen.items()},
            stdout=out,
            stderr=out,
        )


def _documents(number: int) -> list[bytes]:
    return [line for line in (ROOT / "samples" / "broken.ndjson").read_bytes().splitlines() if line] + [
        json.dumps(
            {
                "url": f"https://outlet{source}.example/{number}/{story}",
                "title": f"Port Alder votes on its harbour, part {number}",
                "text": f"Port Alder's council voted {number} times on berth {story} of the harbour on Monday. " * 6,
            }
        ).encode()
        for source in range(3)
        for story in range(4)
    ]


def _feed(where: Place, documents: list[bytes]) -> int:
    producer = where.producer()
    now = str(int(time.time() * 1000)).encode()
    for number, document in enumerate(documents):
        key = b"outlet%d.example" % (number % 3)
        producer.send(where.physical(topics.RAW), key=key, value=document, headers=[(h.INGESTED_AT, now)])
    producer.flush()
    producer.close()
    return len(documents)


def _post(url: str, number: int) -> int:
    """Send a document that the gateway takes and one that it rejects; return how many it has taken."""
    text = f"The lighthouse of Port Alder was lit {number} times on Sunday, said its keeper. " * 6
    documents = [{"url": f"https://lights.example/{number}", "title": "Lighthouse lit", "text": text}, {"text": 7}]
    request = urllib.request.Request(
        f"{url}/v1/articles", json.dumps(documents).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        taken: int = json.load(answer)["accepted"]
    assert taken == 1
    return taken


@pytest.fixture(scope="module")
def programs() -> None:
    try:
        prometheus.find("prometheus")
    except prometheus.NoPrometheus as error:
        pytest.skip(str(error))


@pytest.fixture
def scraped(
    programs: None, place: Callable[..., Place], tmp_path: Path
) -> Iterator[tuple[prometheus.Prometheus, Place]]:
    """Workers that have worked, two of them dedup, one the other's standby, and Prometheus, which has scraped them each
    second and evaluated all rules."""
    where = place(raw=2)
    ports = {name: _free_port() for name in (*STAGES, "gateway", "dedup-2")}
    gateway = GatewayProcess(where.settings, tmp_path / "gateway.log", NEWSMILL_METRICS_PORT=str(ports["gateway"]))
    gateway.start()
    workers = [
        _start(name, where.settings, port, tmp_path / f"{name}.log")
        for name, port in ports.items()
        if name != "gateway"
    ]
    config = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(DEPLOY / "prometheus" / pattern) for pattern in config["rule_files"]]
    config["scrape_configs"] = [
        {"job_name": "newsmill", "static_configs": [{"targets": [f"127.0.0.1:{port}" for port in ports.values()]}]}
    ]
    file = tmp_path / "prometheus.yml"
    file.write_text(yaml.safe_dump(config))
    try:
        with prometheus.running(file, tmp_path / "prometheus") as server:
            gateway.wait_ready()
            fed = 0
            for number in range(ROUNDS):
                fed += _feed(where, _documents(number)) + _post(gateway.url, number)
                _wait_for(server, f'sum(newsmill_records_total{{stage="ingest"}}) == {fed}', tmp_path)
                time.sleep(1)
            ended = 'newsmill_records_total{stage="dedup",outcome!="unique",outcome!="revision"}'
            ended += ' or newsmill_records_total{outcome="dead_letter"} or newsmill_records_total{stage="classify"}'
            _wait_for(server, f"sum({ended}) == {fed}", tmp_path)
            # Positions are measured every few seconds.
            _wait_for(server, "count(newsmill_lag_records == 0) == count(newsmill_lag_records)", tmp_path)
            time.sleep(3)
            yield server, where
    finally:
        gateway.terminate()
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.wait(30)


def _wait_for(server: prometheus.Prometheus, condition: str, logs: Path) -> None:
    until = time.monotonic() + PATIENCE
    while not server.query(condition):
        if time.monotonic() > until:
            said = "\n".join(f"{log.name}: {log.read_text()[-2000:]}" for log in sorted(logs.glob("*.log")))
            pytest.fail(f"not so after {PATIENCE:g} s: {condition}; {server.query('newsmill_records_total')}\n{said}")
        time.sleep(0.3)


def _panels() -> Iterator[tuple[str, str]]:
    for file in sorted((DEPLOY / "grafana" / "dashboards").glob("*.json")):
        for panel in json.loads(file.read_text())["panels"]:
            for target in panel.get("targets", ()):
                expression = re.sub(r"\$(stage|instance|source)", ".*", target["expr"])
                yield f"{file.stem}: {panel['title']}", expression


def _rules() -> Iterator[dict[str, Any]]:
    for file in sorted((DEPLOY / "prometheus" / "rules").glob("*.yml")):
        for group in yaml.safe_load(file.read_text())["groups"]:
            yield from group["rules"]


def _expected_empty(expression: str) -> bool:
    return any(part in expression for part in RIGHTLY_EMPTY)


def test_every_expression_of_every_dashboard_and_rule_finds_its_data(
    scraped: tuple[prometheus.Prometheus, Place],
) -> None:
    server, _ = scraped
    empty = [
        f"{where}: {expression}"
        for where, expression in _panels()
        if not server.query(expression) and not _expected_empty(expression)
    ]
    for rule in _rules():
        if "record" in rule:
            if not server.query(rule["record"]):
                empty.append(f"{rule['record']}: {rule['expr']}")
            continue
        # An alert finds nothing when all is well. What it looks at must be there.
        empty += [
            f"{rule['alert']}: {selector}"
            for selector in SELECTOR.findall(rule["expr"])
            if not server.query(selector) and not _expected_empty(selector)
        ]
    assert not empty, "\n".join(empty)

    # Nothing fires while all is well, and no rule failed to be evaluated.
    firing = {alert["labels"]["alertname"] for alert in server.get("alerts")["alerts"] if alert["state"] == "firing"}
    # A reason that was never seen before is new, in a pipeline that has just begun; and how fresh articles are depends
    # on the machine that the test runs on.
    assert firing <= {"NewsmillNewDeadLetterReason", "NewsmillFreshnessBurnsFast", "NewsmillFreshnessBurnsSlowly"}
    groups = server.get("rules")["groups"]
    assert not [rule["name"] for group in groups for rule in group["rules"] if rule["health"] != "ok"]

    # Each input is counted once: what ingest counted is what was fed, and each stage passed on what the next one got.
    def total(expression: str) -> int:
        return int(float(server.query(f"sum({expression})")[0]["value"][1]))

    assert total('newsmill_records_total{stage="dedup"}') == total('newsmill_records_total{outcome="article"}')
    assert total('newsmill_records_total{stage="entities"}') == total(
        'newsmill_records_total{stage="dedup",outcome=~"unique|revision"}'
    )
    assert total('newsmill_source_records_total{stage="ingest"}') == total('newsmill_records_total{stage="ingest"}')
