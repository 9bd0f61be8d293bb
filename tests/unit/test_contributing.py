"""The steps of "Add a worker" in CONTRIBUTING.md work as they are written."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^ *```python\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)


def _blocks() -> list[tuple[str, str, str]]:
    """Return (file, where, code) of each block of the section."""
    section = (ROOT / "CONTRIBUTING.md").read_text().partition("## Add a worker")[2].partition("\n## ")[0]
    found = []
    for block in BLOCK.findall(section):
        first, _, code = textwrap.dedent(block).partition("\n")
        file, _, where = first.removeprefix("# ").partition(": ")
        found.append((file, where, code))
    return found


def _apply(root: Path, file: str, where: str, code: str) -> None:
    path = root / file
    if where == "new":
        path.parent.mkdir(parents=True)
        path.write_text(code)
        return
    text = path.read_text()
    if where == "at the end":
        path.write_text(f"{text}\n\n{code}")
        return
    verb, marker = where.split(" ", 1)[0], where.split(" ", 1)[1].removeprefix("of ")[1:-1]
    lines = text.splitlines(keepends=True)
    at = [number for number, line in enumerate(lines) if line.startswith(marker)]
    assert len(at) == 1, f"{file} has {len(at)} lines that begin with {marker!r}"
    lines[at[0] : at[0] + 1] = [code] if verb == "instead" else [lines[at[0]], code]
    path.write_text("".join(lines))


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project to which the steps have been done."""
    root = tmp_path_factory.mktemp("project")
    for package in ("schemas", "workers", "newsmill", "samples"):
        shutil.copytree(ROOT / package, root / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", root)
    for file, where, code in _blocks():
        _apply(root, file, where, code)
    return root


def _run(root: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(root)}
    return subprocess.run(
        [sys.executable, *command], cwd=root, env=environment, capture_output=True, text=True, timeout=300, check=False
    )


def test_the_page_has_all_the_blocks() -> None:
    assert len(_blocks()) == 8


def test_the_new_stage_runs_at_the_end_of_the_pipeline(changed: Path) -> None:
    done = _run(changed, "-m", "newsmill", "run", "samples", "--out", "out.ndjson", "--quiet")
    assert done.returncode == 0, done.stderr
    articles = [json.loads(line) for line in (changed / "out.ndjson").read_text().splitlines()]
    assert articles
    assert all(article["minutes"] >= 1 and article["processing"]["reading"] == "1.0.0" for article in articles)
    assert all("subjects" in article for article in articles)


def test_the_worker_is_there(changed: Path) -> None:
    done = _run(changed, "-m", "newsmill", "worker", "--help")
    assert "reading" in done.stdout, done.stderr


def test_the_changed_code_is_in_good_style(changed: Path) -> None:
    done = _run(changed, "-m", "ruff", "check", "schemas", "workers/reading", "workers/pipeline.py")
    assert done.returncode == 0, done.stdout
