"""What a replay shows of itself, and that nothing of it is mixed with what is live."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import yaml

from newsmill.metrics import GatewayMetrics, Metrics, ReplayMetrics
from newsmill.replay.pace import Pace

DEPLOY = Path(__file__).resolve().parents[3] / "deploy"


def names(metrics: Any) -> set[str]:
    return {family.name for family in metrics.registry.collect()}


def live_expressions() -> list[str]:
    """All that alerts and dashboards ask, apart from the one about replays."""
    found = []
    for file in (DEPLOY / "prometheus" / "rules").glob("*.yml"):
        groups = yaml.safe_load(file.read_text())["groups"]
        found += [rule["expr"] for group in groups for rule in group["rules"]]
    for file in (DEPLOY / "grafana" / "dashboards").glob("*.json"):
        if file.name != "replay.json":
            found += re.findall(r'"expr": "((?:[^"\\]|\\.)*)"', file.read_text())
    return found


def test_live_rules_and_dashboards_ask_for_nothing_of_a_replay() -> None:
    expressions = live_expressions()
    assert len(expressions) > 50
    assert not [one for one in expressions if "newsmill_replay_" in one]
    # Nor do they ask for all that begins with something.
    assert not [one for one in expressions if "__name__" in one]
    assert all(name.startswith("newsmill_replay_") for name in names(ReplayMetrics()))
    assert not [name for one in (Metrics(), GatewayMetrics()) for name in names(one) if "newsmill_replay_" in name]


def test_the_dashboard_of_replays_shows_them() -> None:
    text = json.dumps(json.loads((DEPLOY / "grafana" / "dashboards" / "replay.json").read_text()))
    assert set(re.findall(r"newsmill_replay_\w+?(?=_total|\W)", text)) <= names(ReplayMetrics())


def test_what_is_durable_is_counted() -> None:
    metrics = ReplayMetrics("r1")
    metrics.wrote({"news.raw": 5}, {"news.unique": 3}, {"records": 15}, 20, 7.0)
    metrics.wrote({"news.raw": 5}, {"news.unique": 1}, {"records": 20}, 15, 8.0)

    def value(name: str, **labels: str) -> float | None:
        return metrics.registry.get_sample_value(f"newsmill_replay_{name}", {"run": "r1", **labels})

    assert value("read_offsets_total", topic="news.raw") == 10
    assert value("written_records_total", topic="news.unique") == 4
    assert value("records", kind="records") == 20
    assert value("ahead_offsets") == 15
    assert value("last_success_timestamp_seconds") == 8.0
    lag: list[int | None] = [None]
    pace = Pace(rate=10.0)
    metrics.watch(lambda: pace.limit, lambda: pace.backing_off, lambda: lag[0], lambda: True)
    assert (value("limit_records_per_second"), value("backing_off"), value("paused")) == (10.0, 0, 1)
    assert math.isnan(value("live_lag_records") or 0)
    lag[0] = 12
    pace.limit = 5.0
    assert (value("live_lag_records"), value("backing_off")) == (12, 1)
