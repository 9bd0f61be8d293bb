"""The Grafana dashboards: what is committed is what the code makes, and each panel says what it shows."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

from deploy.grafana.source.__main__ import FOLDER, rendered

ROOT = Path(__file__).parents[2]
BOARDS: dict[str, dict[str, Any]] = {file.name: json.loads(file.read_text()) for file in sorted(FOLDER.glob("*.json"))}
PANELS = [
    pytest.param(panel, id=f"{name}-{panel['title']}")
    for name, board in BOARDS.items()
    for panel in board["panels"]
    if panel["type"] != "row"
]


def test_the_files_are_what_the_code_makes() -> None:
    assert {file.name: file.read_text() for file in FOLDER.glob("*.json")} == rendered(), "make dashboards"


def test_the_dashboards_can_be_told_apart_and_lead_to_one_another() -> None:
    assert len({board["uid"] for board in BOARDS.values()}) == len(BOARDS)
    for board in BOARDS.values():
        assert board["links"][0]["type"] == "dashboards"
        assert set(board["links"][0]["tags"]) <= set(board["tags"])
        numbers = [panel["id"] for panel in board["panels"]]
        assert len(set(numbers)) == len(numbers)


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_says_what_it_shows_in_which_unit_and_from_where(panel: dict[str, Any]) -> None:
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["datasource"]["uid"] == "prometheus"
    assert all(target["expr"] for target in panel["targets"])


def _names(expression: str) -> set[str]:
    return {re.sub(r"_(bucket|count|sum)$", "", name) for name in re.findall(r"newsmill_[a-z_]+|\bup\b", expression)}


def _alerts() -> list[Any]:
    file = ROOT / "deploy" / "prometheus" / "rules" / "alerts.yml"
    rules = [rule for group in yaml.safe_load(file.read_text())["groups"] for rule in group["rules"]]
    return [pytest.param(rule, id=rule["alert"]) for rule in rules]


@pytest.mark.parametrize("rule", _alerts())
def test_an_alert_leads_to_a_panel_that_shows_what_it_is_about(rule: dict[str, Any]) -> None:
    link = urlsplit(rule["annotations"]["dashboard"])
    arguments = parse_qs(link.query)
    board = next(board for board in BOARDS.values() if link.path == f"/d/{board['uid']}")
    panel = next(panel for panel in board["panels"] if str(panel["id"]) == arguments["viewPanel"][0])
    shown = set().union(*(_names(target["expr"]) for target in panel["targets"]))
    asked = _names(rule["expr"])
    assert shown & asked or ("process_start_time_seconds" in rule["expr"] and panel["title"] == "Starts")
    variables = {f"var-{variable['name']}" for variable in board["templating"].get("list", [])}
    assert set(arguments) - {"viewPanel"} <= variables


def test_grafana_finds_the_dashboards_where_compose_puts_them() -> None:
    provider = yaml.safe_load((ROOT / "deploy/grafana/provisioning/dashboards/newsmill.yml").read_text())["providers"][
        0
    ]
    mounts = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["grafana"]["volumes"]
    assert f"./deploy/grafana/dashboards:{provider['options']['path']}:ro" in mounts
