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


def test_what_differs_is_named(tmp_path: Path) -> None:
    """A template with other facts: names, numbers, days, and the word beside which a number is another one."""

    def report(name: str, source: str, day: str, town: str, level: str) -> Path:
        lines = [
            f"The river at {town} stood at {level} centimetres on {day}, the water board said in its daily report.",
            "Shipping between the two locks goes on as usual, with one lane in the narrow bend below the old mill.",
            f"The board expects about {level} centimetres in the evening too, and asks anglers to keep off the weirs.",
        ]
        row = {"url": f"https://{source}.example/{name}", "source": source, "title": "River level", "text": lines}
        path = tmp_path / name
        path.write_text(json.dumps(row | {"text": "\n\n".join(lines)}), "utf-8")
        return path

    said = explained(
        report("a", "courier", "Monday", "Lindmouth", "1,240"), report("b", "herald", "Friday", "Kelder", "980")
    )
    assert "names: 0 in both; in the first alone: Lindmouth, Monday; in the second alone: Friday, Kelder" in said
    assert "numbers: 0 in both; in the first alone: 1240; in the second alone: 980" in said
    assert "centimetres (1240; 980)" in said


def test_links_and_sources_are_told(tmp_path: Path) -> None:
    whole, half = document(tmp_path / "a", "bridge"), document(tmp_path / "b", "bridge", slice(1))
    said = explained(whole, half)
    assert "linked: with " in said
    assert "the story is a part of the first text: from 4% to " in said
    assert "independent sources of the cluster: 1" in said
    assert "linked: no; the second begins the cluster " in explained(whole, document(tmp_path / "c", "museum"))


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


def test_documents_of_a_file_are_named_by_their_line(tmp_path: Path) -> None:
    rows = [document(tmp_path / name, story) for name, story in (("a", "bridge"), ("b", "museum"))]
    many = tmp_path / "many.ndjson"
    many.write_text("".join(row.read_text("utf-8") + "\n" for row in rows), "utf-8")
    assert "verdict: unique" in explained(Path(f"{many}:1"), Path(f"{many}:2"))
    assert "verdict: unique" not in explained(rows[0], Path(f"{many}:1"))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("many.ndjson", "holds 2 documents: say which, {path}:1 to {path}:2"),
        ("many.ndjson:3", "holds no document 3"),
        ("nothing.ndjson", "no such file"),
        (".", "is a directory"),
    ],
)
def test_what_names_no_single_document(tmp_path: Path, name: str, said: str) -> None:
    row = document(tmp_path / "a", "bridge").read_text("utf-8")
    (tmp_path / "many.ndjson").write_text(f"{row}\n{row}\n", "utf-8")
    path = str(tmp_path / name)
    result = CliRunner().invoke(group, ["dedup", "explain", path, path], env={"NEWSMILL_SHARED": None})
    assert result.exit_code == 2
    assert said.format(path=path) in result.stderr
