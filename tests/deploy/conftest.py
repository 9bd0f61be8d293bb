"""The deployment files, read once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml


@pytest.fixture(scope="session")
def repository() -> Path:
    return Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def compose(repository: Path) -> dict[str, Any]:
    """docker-compose.yml with its anchors and merge keys resolved."""
    content = yaml.safe_load((repository / "docker-compose.yml").read_text(encoding="utf-8"))
    assert isinstance(content, dict)
    return content


@pytest.fixture(scope="session")
def ours(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The services that run newsmill's own image."""
    found = {name: service for name, service in compose["services"].items() if "build" in service}
    assert set(found) >= {"topics", "ingest", "dedup", "entities", "classify"}
    return found


@pytest.fixture(scope="session")
def instructions(repository: Path) -> list[tuple[str, str]]:
    """The Dockerfile as pairs of instruction and argument, continued lines joined, comments dropped."""
    lines = (repository / "deploy" / "Dockerfile").read_text(encoding="utf-8").splitlines()
    text = "\n".join(line for line in lines if not line.startswith("#")).replace("\\\n", " ")
    pairs = [line.split(maxsplit=1) for line in text.splitlines() if line.strip()]
    return [(name, argument) for name, argument in pairs]


@pytest.fixture(scope="session")
def image_environment(instructions: list[tuple[str, str]]) -> dict[str, str]:
    """The variables that the final image sets."""
    pairs = [pair for name, argument in instructions if name == "ENV" for pair in argument.split()]
    return dict(pair.split("=", 1) for pair in pairs)
