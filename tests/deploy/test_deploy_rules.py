"""Prometheus' rules: they load, each alert fires and keeps quiet as its cases say, and each leads to a runbook."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support import prometheus

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy" / "prometheus" / "rules"
CASES = Path(__file__).parent / "rules" / "alerts.test.yml"


@pytest.fixture(scope="module")
def promtool() -> Path:
    """Prometheus' own checker."""
    try:
        return prometheus.find("promtool")
    except prometheus.NoPrometheus as error:
        pytest.skip(str(error))


def _rules() -> list[dict[str, Any]]:
    groups = [group for file in sorted(RULES.glob("*.yml")) for group in yaml.safe_load(file.read_text())["groups"]]
    return [rule for group in groups for rule in group["rules"]]


ALERTS = {rule["alert"]: rule for rule in _rules() if "alert" in rule}


def _run(*command: object) -> None:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_takes_the_configuration_with_its_rules(promtool: Path) -> None:
    _run(promtool, "check", "config", ROOT / "deploy" / "prometheus" / "prometheus.yml")


def test_every_alert_does_as_its_cases_say(promtool: Path) -> None:
    _run(promtool, "test", "rules", CASES)


@pytest.mark.parametrize("alert", ALERTS)
def test_it_has_a_case_in_which_it_fires(alert: str) -> None:
    checks = [check for case in yaml.safe_load(CASES.read_text())["tests"] for check in case["alert_rule_test"]]
    assert any(check["alertname"] == alert and check["exp_alerts"] for check in checks)


@pytest.mark.parametrize("alert", ALERTS)
def test_it_says_how_urgent_it_is_and_what_to_do(alert: str) -> None:
    rule = ALERTS[alert]
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert rule["annotations"]["summary"]
    file, _, anchor = rule["annotations"]["runbook"].partition("#")
    headings = re.findall(r"^#+ (.+)$", (ROOT / file).read_text(), re.MULTILINE)
    assert anchor in {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_metric_in_a_rule_is_in_the_catalogue() -> None:
    from newsmill.metricsdoc import page

    known = set(re.findall(r"`(newsmill_[a-z_]+)`", page()))
    named = {name for rule in _rules() for name in re.findall(r"(?<![:a-z_])newsmill_[a-z_]+", rule["expr"])}
    assert {re.sub(r"_(bucket|count|sum)$", "", name) for name in named} <= known
