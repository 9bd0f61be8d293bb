"""What newsmill says of its own build."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from newsmill import compiled
from newsmill.cli import group


@pytest.fixture
def build(tmp_path: Path) -> Path:
    """A folder with one module, and the note that it was compiled."""
    source = tmp_path / "workers" / "ingest" / "text.py"
    source.parent.mkdir(parents=True)
    source.write_text("made = 1\n")
    sources = {"workers.ingest.text": hashlib.sha256(source.read_bytes()).hexdigest()}
    about = tmp_path / "newsmill" / "compiled.json"
    about.parent.mkdir()
    about.write_text(json.dumps({"mypyc": "2.4.1", "sources": sources}))
    return tmp_path


@pytest.fixture(autouse=True)
def _no_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "_checkout", list)


def test_sources_are_pure_python(tmp_path: Path) -> None:
    assert compiled.describe(tmp_path) == "pure Python"
    assert compiled.changed(tmp_path) == []


def test_a_compiled_build_says_what_is_compiled(build: Path) -> None:
    assert compiled.describe(build) == "compiled: 1 modules, mypyc 2.4.1"
    assert compiled.changed(build) == []


def test_a_source_that_was_changed_is_named(build: Path) -> None:
    (build / "workers" / "ingest" / "text.py").write_text("made = 2\n")
    assert compiled.changed(build) == ["workers.ingest.text"]


def test_a_source_that_is_gone_is_named(build: Path) -> None:
    (build / "workers" / "ingest" / "text.py").unlink()
    assert compiled.changed(build) == ["workers.ingest.text"]


def test_the_checkout_that_it_was_made_of_counts_too(
    build: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkout = tmp_path_factory.mktemp("checkout") / "workers" / "ingest" / "text.py"
    checkout.parent.mkdir(parents=True)
    monkeypatch.setattr(compiled, "_checkout", lambda: [checkout.parents[2]])
    checkout.write_text("made = 1\n")
    assert compiled.changed(build) == []
    checkout.write_text("made = 3\n")
    assert compiled.changed(build) == ["workers.ingest.text"]


def test_the_command_says_which_build_it_is() -> None:
    done = CliRunner().invoke(group, ["--version"])
    assert done.exit_code == 0
    assert f"({compiled.describe()})" in done.output


@pytest.mark.parametrize("argument", ["settings", "--version"])
def test_the_command_warns_of_changed_sources(argument: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "changed", lambda: ["workers.ingest.text"])
    done = CliRunner().invoke(group, [argument])
    assert done.exit_code == 0
    assert "compiled of other sources than there are now (workers.ingest.text)" in done.stderr
    assert "other sources" not in done.stdout
