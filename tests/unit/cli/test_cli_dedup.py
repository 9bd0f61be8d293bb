"""`newsmill dedup explain`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from newsmill.cli import group

STORIES = json.loads((Path(__file__).parents[1] / "dedup" / "stories.json").read_text("utf-8"))


def document(path: Path, story: str, paragraphs: slice = slice(None)) -> Path:
    text = "\n\n".join(STORIES[story]["paragraphs"][paragraphs])
    row = {
        "url": f"https://courier.example/{path.name}",
        "source": "courier.example",
        "title": STORIES[story]["headline"],
        "text": text,
        "fetched_at": "2026-03-02T08:00:00Z",
    }
    path.write_text(json.dumps(row), "utf-8")
    return path


def explained(*files: Path, **settings: str) -> str:
    environment = {"NEWSMILL_SHARED": None, **settings}
    result = CliRunner().invoke(group, ["dedup", "explain", *map(str, files)], env=environment)
    assert result.exit_code == 0, result.output
    return result.output


def test_a_trimmed_copy(tmp_path: Path) -> None:
    said = explained(document(tmp_path / "a", "bridge"), document(tmp_path / "b", "bridge", slice(2)))
    assert "verdict: near_copy by near_copy.contained" in said
    assert "they are copies" in said


def test_two_stories(tmp_path: Path) -> None:
    said = explained(document(tmp_path / "a", "bridge"), document(tmp_path / "b", "museum"))
    assert "verdict: unique" in said
    assert "not even compared" in said or "too few words" in said


def test_a_revision_says_what_changed(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    said = explained(document(tmp_path / "old" / "a", "bridge"), document(tmp_path / "a", "bridge", slice(1, None)))
    assert "verdict: revision" in said
    assert "0 paragraphs new, 1 gone" in said


def test_settings_count(tmp_path: Path) -> None:
    files = document(tmp_path / "a", "bridge"), document(tmp_path / "b", "bridge", slice(2))
    said = explained(*files, NEWSMILL_DEDUP_SIMILARITY="0.9")
    assert "verdict: unique" in said
    assert "too few words" in said


@pytest.mark.parametrize("content", [b"", b"{"])
def test_what_is_no_document(tmp_path: Path, content: bytes) -> None:
    bad = tmp_path / "bad"
    bad.write_bytes(content)
    result = CliRunner().invoke(group, ["dedup", "explain", str(bad), str(bad)], env={"NEWSMILL_SHARED": None})
    assert result.exit_code != 0
    assert "is no document" in result.stderr
