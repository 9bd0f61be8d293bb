"""A worker is killed under load: the alert fires, its panel shows it, and it ends when the worker is back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from newsmill.local import LocalKafka
from tests.support.gameday.day import Day
from tests.support.gameday.deeds import KILL
from tests.support.gameday.play import play
from tests.support.gameday.rules import expression
from tests.support.kafka import Place

pytestmark = pytest.mark.broker


def test_a_killed_worker_is_told_of_until_it_is_back(
    prometheus_ready: None, kafka: LocalKafka, place: Callable[..., Place], tmp_path: Path
) -> None:
    settings = place(raw=2).settings
    day = Day(settings, kafka, tmp_path, speed=30, rate=5, count=500, seed=1)
    with day.running():
        scene = play(day, KILL, named=KILL.expected)
    assert not scene.missing
    (found,) = scene.fired
    assert found.labels["instance"] == "entities-0"
    assert found.until is not None
    assert scene.shown["NewsmillScrapeFails"] == "Workers not ready: 0 -> 1"


def test_time_in_rules_runs_faster_and_nothing_else_changes() -> None:
    text = 'sum(rate(a_total{le="5.0"}[5m] offset 1d)) > 0.5 and newsmill_unstable_seconds > 30 and b > 300'
    faster = (
        'sum(rate(a_total{le="5.0"}[30000ms] offset 8640000ms)) > 0.5 and newsmill_unstable_seconds > 3 and b > 300'
    )
    assert expression(text, 10) == faster
