"""What the committed dashboards show at a moment."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from tests.support.gameday.rules import ROOT, expression
from tests.support.prometheus import Prometheus

Series = dict[str, float]
"""Value by legend."""


@dataclass(frozen=True, slots=True)
class Panel:
    """A panel: board (its uid), number, title, unit, queries with their legends, and thresholds (from, colour)."""

    board: str
    number: int
    title: str
    unit: str
    queries: tuple[tuple[str, str], ...]
    steps: tuple[tuple[float, str], ...]

    def colour(self, value: float) -> str:
        """Return the colour that `value` has; empty for a panel that has none."""
        found = [colour for start, colour in self.steps if not math.isnan(value) and value >= start]
        return found[-1] if found else ""


@cache
def panels() -> tuple[Panel, ...]:
    """Return all panels of all dashboards."""
    return tuple(_all())


def _all() -> Iterator[Panel]:
    for file in sorted((ROOT / "deploy" / "grafana" / "dashboards").glob("*.json")):
        board = json.loads(file.read_text())
        for panel in board["panels"]:
            if panel["type"] == "row":
                continue
            defaults = panel["fieldConfig"]["defaults"]
            steps = defaults.get("thresholds", {}).get("steps", ()) if panel["type"] == "stat" else ()
            yield Panel(
                board["uid"],
                panel["id"],
                panel["title"],
                defaults["unit"],
                tuple((target["expr"], target.get("legendFormat", "")) for target in panel["targets"]),
                tuple((-math.inf if step.get("value") is None else step["value"], step["color"]) for step in steps),
            )


def show(server: Prometheus, panel: Panel, at: float, speed: float, variables: dict[str, str]) -> Series:
    """Return what `panel` showed `at` seconds since the Unix epoch. Variables that are not given mean all."""
    found: Series = {}
    for text, legend in panel.queries:
        filled = re.sub(r"\$(\w+)", lambda name: variables.get(name[1], ".*"), text)
        for sample in server.query(expression(filled, speed), at):
            found[_named(legend, sample["metric"])] = float(sample["value"][1])
    return found


def _named(legend: str, labels: dict[str, str]) -> str:
    if not legend:
        return ", ".join(value for name, value in sorted(labels.items()) if name != "__name__")
    return re.sub(r"\{\{(\w+)\}\}", lambda found: labels.get(found[1], ""), legend)


def biggest_change(before: Series, after: Series) -> tuple[str, float, float]:
    """Return (legend, value before, value after) of the series that changed most; NaN where there was none."""
    legends = sorted(before.keys() | after.keys())
    if not legends:
        return "", math.nan, math.nan
    pairs = [(legend, before.get(legend, math.nan), after.get(legend, math.nan)) for legend in legends]
    return max(pairs, key=lambda pair: _distance(pair[1], pair[2]))


def _distance(one: float, other: float) -> float:
    if math.isnan(one) and math.isnan(other):
        return 0.0
    if math.isnan(one) or math.isnan(other):
        return 1.0 + abs(one if math.isnan(other) else other)
    return abs(one - other)


def figure(value: float, unit: str) -> str:
    """Return a value for a person.

    >>> figure(0.125, "percentunit"), figure(12.0, "s"), figure(float("nan"), "short")
    ('12 %', '12 s', '-')
    """
    if math.isnan(value):
        return "-"
    if unit == "percentunit":
        return f"{value:.0%}".replace("%", " %")
    number = f"{value:,.0f}" if abs(value) >= 10 or value == int(value) else f"{value:.1f}"
    return number + {"s": " s", "ops": "/s", "bytes": " B"}.get(unit, "")


def turned(
    server: Prometheus, before: float, after: float, speed: float, board: str = "newsmill-overview"
) -> Sequence[str]:
    """Return in words which figures of a board changed colour between two moments."""
    found = []
    for panel in panels():
        if panel.board != board or not panel.steps:
            continue
        _, then, now = biggest_change(show(server, panel, before, speed, {}), show(server, panel, after, speed, {}))
        if panel.colour(then) != panel.colour(now):
            values = f"{figure(then, panel.unit)} -> {figure(now, panel.unit)}"
            found.append(f"{panel.title} {values} ({panel.colour(now) or 'no data'})")
    return found


def linked(alert: dict[str, Any]) -> tuple[Panel, dict[str, str]]:
    """Return the panel that an alert's annotation leads to, with the variables that it sets."""
    link = alert["annotations"]["dashboard"]
    board, number = re.search(r"/d/([a-z-]+)\?viewPanel=(\d+)", link).groups()  # type: ignore[union-attr]
    variables = dict(re.findall(r"var-(\w+)=([^&]*)", link))
    return next(p for p in panels() if p.board == board and p.number == int(number)), variables
