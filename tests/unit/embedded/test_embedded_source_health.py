"""`newsmill run` tells which sources break: in a file of their own, and at the end of its summary."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from newsmill.cli import group

START = datetime(2026, 10, 5, 6, tzinfo=UTC)


def document(number: int, source: str = "ellery.example", **fields: Any) -> dict[str, Any]:
    at = (START + number * timedelta(hours=3)).isoformat()
    paragraphs = (
        f"The ferry of ward {number * 37 + n} was held at the pier, for its {number + n} crates of pears had not been "
        "paid for by the cannery on the hill."
        for n in range(6)
    )
    plain = {
        "url": f"https://{source}/{number}",
        "title": f"Pears held in ward {number}",
        "text": "\n\n".join(paragraphs),
        "published_at": at,
        "authors": ["Ada Green"],
        "fetched_at": at,
    }
    return plain | fields


CHANGED = {"text": "Cookies make this page work."}


def invoke(files: Path, *options: str | Path) -> Result:
    arguments = ["run", files, "--until", "ingest", "--ingested-at", "2026-11-01T00:00:00Z", *options]
    return CliRunner().invoke(group, [str(argument) for argument in arguments])


def told(path: Path) -> list[tuple[str, str]]:
    rows = [json.loads(line) for line in path.read_bytes().splitlines()]
    assert {row["source"] for row in rows} <= {"ellery.example"}
    return [(row["status"], row["problem"]) for row in rows]


@pytest.fixture
def changed(tmp_path: Path) -> Path:
    """A source whose pages have a new layout from the fiftieth on."""
    rows = [document(n, **(CHANGED if n >= 50 else {})) for n in range(70)]
    path = tmp_path / "in.ndjson"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def test_a_source_that_breaks_is_in_the_file_and_in_the_summary(changed: Path, tmp_path: Path) -> None:
    result = invoke(changed, "-o", tmp_path / "out", "--source-health", tmp_path / "health.ndjson")
    assert result.exit_code == 0, result.output
    assert told(tmp_path / "health.ndjson") == [("broken", "short_bodies")]
    assert result.stderr.splitlines()[-2:] == [
        "    sources that broke (docs/operations.md#a-source-breaks):",
        "        ellery.example: short bodies since 2026-10-13T03:00:00Z",
    ]
    assert "broke" not in invoke(changed, "-o", tmp_path / "out", "-q").stderr


def test_the_file_does_not_depend_on_how_the_input_is_cut(changed: Path, tmp_path: Path) -> None:
    for number, options in enumerate((("--batch", "1"), ("--jobs", "2"))):
        invoke(changed, "-o", tmp_path / "out", "--source-health", tmp_path / str(number), "-q", *options)
    assert (tmp_path / "0").read_bytes() == (tmp_path / "1").read_bytes() != b""


def test_a_run_with_state_knows_the_source_of_before_and_tells_its_recovery(changed: Path, tmp_path: Path) -> None:
    health = tmp_path / "health.ndjson"
    options = ("--state", tmp_path / "state", "-o", tmp_path / "out", "--source-health", health)
    assert invoke(changed, *options).exit_code == 0
    assert "0 documents" in invoke(changed, *options).stderr
    assert told(health) == [("broken", "short_bodies")]
    with changed.open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(document(n)) + "\n" for n in range(70, 90))
    result = invoke(changed, *options)
    assert told(health) == [("broken", "short_bodies"), ("recovered", "short_bodies")]
    assert "broke" not in result.stderr


def test_without_trouble_the_file_is_empty_and_nothing_is_said(tmp_path: Path) -> None:
    (tmp_path / "in.ndjson").write_text(json.dumps(document(1)), "utf-8")
    result = invoke(tmp_path / "in.ndjson", "-o", tmp_path / "out", "--source-health", tmp_path / "health")
    assert (tmp_path / "health").read_bytes() == b""
    assert "broke" not in result.stderr
    result = invoke(tmp_path / "in.ndjson", "-o", tmp_path / "out", "--source-health", tmp_path / "out")
    assert (result.exit_code, "must be different files" in result.stderr) == (2, True)


def test_a_refused_document_is_shown_as_it_is_called(tmp_path: Path) -> None:
    (tmp_path / "a[1].json").write_text('{"text": ["a", 1]}', "utf-8")
    assert "a[1].json" in invoke(tmp_path / "a[1].json", "-o", tmp_path / "out").stderr
