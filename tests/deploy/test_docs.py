"""What the documents name exists: settings, metrics, commands, files."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
from prometheus_client import Counter, Histogram

from newsmill.cli import COMMANDS
from newsmill.metrics import GatewayMetrics, Metrics, ReplayMetrics
from newsmill.settings import PREFIX, Settings
from newsmill.sourcegauges import SourceGauges

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
VARIABLES = {PREFIX + field.name.upper() for field in dataclasses.fields(Settings)}


def _names_of_metrics() -> set[str]:
    names = set()
    catalogues = (Metrics(), GatewayMetrics(), ReplayMetrics())
    for metric in [metric for one in catalogues for metric in vars(one).values()]:
        if isinstance(metric, SourceGauges):
            names |= {family.name for family in metric.describe()}
        if hasattr(metric, "_name"):
            names.add(metric._name + ("_total" if isinstance(metric, Counter) else ""))
            if isinstance(metric, Histogram):
                names |= {f"{metric._name}_{part}" for part in ("bucket", "sum", "count")}
    return names


@pytest.fixture(params=DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def document(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def test_every_setting_that_a_document_names_exists(document: Path) -> None:
    for name in re.findall(r"\bNEWSMILL_[A-Z_]+(?![A-Z_]*\*)", document.read_text()):
        assert name in VARIABLES or any(v.startswith(name) for v in VARIABLES if name.endswith("_")), name


def test_every_metric_that_a_document_names_exists(document: Path) -> None:
    known = _names_of_metrics()
    for name in re.findall(r"\bnewsmill_[a-z_]+", document.read_text()):
        assert name in known, name


def test_every_command_that_a_document_names_exists(document: Path) -> None:
    known = {command.name for command in COMMANDS}
    for name in re.findall(r"(?:`|bin/)newsmill ([a-z]+)", document.read_text()):
        assert name in known, name


def test_every_link_leads_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", document.read_text()):
        if not target.startswith(("http://", "https://")):
            assert (document.parent / target).exists(), target


def test_every_link_to_a_heading_meets_one(document: Path) -> None:
    for path, anchor in re.findall(r"\]\(([^)#]*)#([^)]+)\)", document.read_text()):
        if path.startswith("http"):
            continue
        target = document.parent / path if path else document
        headings = re.findall(r"^#+ (.+)$", target.read_text(), re.MULTILINE)
        assert anchor in {re.sub(r"[^a-z0-9 -]", "", h.lower()).replace(" ", "-") for h in headings}, anchor
