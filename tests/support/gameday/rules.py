"""The project's rules and panels with their time running faster, so that a game day does not take a working day.

At speed 10 a rule's `for: 2m` is 12 s and its `[5m]` is 30 s; limits in rules that are lengths of time (a lag of 300
seconds) shrink alike. What an alert took, times the speed, is what it would take in production at most: starts of
processes, sessions and elections take as long as ever.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[3]
PROMETHEUS = ROOT / "deploy" / "prometheus"

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_DURATION = re.compile(r"(?<=\[)(\d+)([smhdw])(?=\])|(?<=offset )(\d+)([smhdw])")
_LIMIT = re.compile(r"((?:lag|unstable)_seconds(?::max)?|time\(\) - [a-z_]+) > ([0-9.]+)")


def seconds(duration: str) -> float:
    """Return a duration in Prometheus' words (`2m`) in seconds.

    >>> seconds("2m")
    120.0
    """
    return float(duration[:-1]) * _UNITS[duration[-1]]


def _shorter(number: float, speed: float) -> str:
    return f"{max(1, round(number * 1000 / speed))}ms"


def expression(text: str, speed: float) -> str:
    """Return an expression of PromQL with its windows, offsets and limits of time divided by `speed`.

    >>> expression("rate(x_total[5m] offset 1d) > 2 and x_lag_seconds > 300", 10)
    'rate(x_total[30000ms] offset 8640000ms) > 2 and x_lag_seconds > 30'
    """

    def duration(found: re.Match[str]) -> str:
        number, unit = found[1] or found[3], found[2] or found[4]
        return _shorter(float(number) * _UNITS[unit], speed)

    return _LIMIT.sub(lambda found: f"{found[1]} > {float(found[2]) / speed:g}", _DURATION.sub(duration, text))


def faster(speed: float, folder: Path) -> list[Path]:
    """Write the project's rules, `speed` times as fast, into `folder`; return the files."""
    written = []
    for file in sorted((PROMETHEUS / "rules").glob("*.yml")):
        found = yaml.safe_load(file.read_text())
        for rule in (rule for group in found["groups"] for rule in group["rules"]):
            rule["expr"] = expression(rule["expr"], speed)
            if "for" in rule:
                rule["for"] = _shorter(seconds(rule["for"]), speed)
        written.append(folder / f"rules-{file.name}")
        written[-1].write_text(yaml.safe_dump(found, width=1_000))
    return written


def configuration(targets: dict[str, int], rule_files: Sequence[Path], speed: float) -> str:
    """Return prometheus.yml as the project has it, `speed` times as fast, for workers on this machine.

    Args:
        targets: port by name of the target.
        rule_files: what `faster` gave.
    """
    config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    for name in ("scrape_interval", "evaluation_interval", "scrape_timeout"):
        # Under a second Prometheus takes more than what it watches.
        config["global"][name] = f"{max(1.0, seconds(config['global'].get(name, '1m')) / speed):.0f}s"
    config["rule_files"] = [str(file) for file in rule_files]
    static = [{"targets": [f"127.0.0.1:{port}"], "labels": {"instance": name}} for name, port in targets.items()]
    config["scrape_configs"] = [{"job_name": "newsmill", "static_configs": static}]
    return yaml.safe_dump(config)
