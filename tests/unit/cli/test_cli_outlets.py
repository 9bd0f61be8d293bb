"""`newsmill ingest outlets`, and the setting NEWSMILL_INGEST_OUTLETS in the commands that heed it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from newsmill.cli import group
from newsmill.settings import Settings, SettingsError, from_environment
from newsmill.worker import load_stage, stage_options

VARIABLE = "NEWSMILL_INGEST_OUTLETS"
TABLE = "alder.com  alder\nalder.com/us\talder-us\nThe Alder  alder\n"
BODY = "The harbour board of Port Ellery voted on Tuesday to rebuild the north pier, which a storm tore away in March."


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "outlets.tsv"
    path.write_text(TABLE, "utf-8")
    return path


def invoke(*arguments: str | Path, stdin: str = "", **environment: str) -> Result:
    return CliRunner().invoke(group, [*map(str, arguments)], input=stdin, env=environment)


def test_a_table_that_is_right_is_counted(table: Path) -> None:
    result = invoke("ingest", "outlets", table)
    assert (result.exit_code, result.stdout) == (0, f"{table}: 3 rows, 2 outlets\n")


def test_each_place_is_told_with_its_row(table: Path) -> None:
    result = invoke(
        "ingest", "outlets", table, "https://www.alder.com/us/1?utm_source=x", "-", stdin="the alder\n\nAda\n"
    )
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "https://www.alder.com/us/1?utm_source=x\talder-us\tline 2: alder.com/us",
        "the alder\talder\tline 3: The Alder",
        "Ada\tAda\tnot in the table",
    ]
    assert "3 rows" in result.stderr
    result = invoke("ingest", "outlets", table, "https://www.ellery.co.uk/1", "https://")
    assert result.stdout.splitlines() == [
        "https://www.ellery.co.uk/1\tellery.co.uk\tnot in the table",
        "https://\tunknown\tnot in the table",
    ]


def test_mistakes_are_a_line_each(tmp_path: Path) -> None:
    path = tmp_path / "outlets.tsv"
    path.write_text("co.uk\tx\nalder.com\n", "utf-8")
    result = invoke("ingest", "outlets", path, "https://alder.com/")
    assert (result.exit_code, result.stdout) == (2, "")
    first, second = result.stderr.splitlines()
    assert first.startswith(f"newsmill: {path}: line 1, column 1: co.uk is a public suffix")
    assert second.startswith(f"{path}: line 2, column 1: expected a place and an outlet")
    assert "No such file" in invoke("ingest", "outlets", tmp_path / "away").stderr
    path.write_bytes(b"\xff\xfea\x00")
    result = invoke("ingest", "outlets", path)
    assert (result.exit_code, "decode" in result.stderr) == (2, True)


def test_explain_shows_the_row(table: Path, tmp_path: Path) -> None:
    (tmp_path / "a.ndjson").write_text(json.dumps({"url": "https://alder.com/us/1", "text": BODY}), "utf-8")
    output = invoke("explain", tmp_path / "a.ndjson", **{VARIABLE: str(table)}).output
    assert output.splitlines()[1] == "alder-us (line 2 of the outlets: alder.com/us)"
    assert invoke("explain", tmp_path / "a.ndjson").output.splitlines()[1] == "alder.com"


def test_a_run_names_outlets_also_in_several_processes(table: Path, tmp_path: Path) -> None:
    rows = [{"url": f"https://alder.com/{at}/{n}", "text": f"{n} {BODY}"} for n in range(3) for at in ("us", "uk")]
    (tmp_path / "in.ndjson").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    found = []
    for jobs in ("1", "2"):
        out = tmp_path / f"out{jobs}.ndjson"
        result = invoke(
            "run", tmp_path / "in.ndjson", "-o", out, "--until", "ingest", "--jobs", jobs, "--batch", "2", "-q",
            "--ingested-at", "2026-01-31T12:00:00Z", **{VARIABLE: str(table)},
        )  # fmt: skip
        assert result.exit_code == 0, result.output
        found.append(out.read_bytes())
    assert [json.loads(line)["source"] for line in found[0].splitlines()] == ["alder-us", "alder"] * 3
    assert found[0] == found[1]


def test_the_table_reaches_the_stage_and_is_known_by_its_hash(table: Path) -> None:
    options = stage_options(from_environment({VARIABLE: str(table)}))
    assert options.ingest_outlets == TABLE
    assert stage_options(Settings()).ingest_outlets == ""
    assert str(options.plain()["ingest_outlets"]).startswith("sha256 ")
    assert stage_options(Settings()).plain()["ingest_outlets"] == ""
    assert load_stage("ingest", options).version != load_stage("ingest", stage_options(Settings())).version


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b"alder.com  alder\nco.uk  x", r"outlets.tsv: line 2, column 1: co\.uk is a public suffix"),
        (b"\xff\xfe", "outlets.tsv: .*decode"),
        (None, "outlets.tsv: .*No such file"),
    ],
)
def test_a_file_that_is_wrong_or_missing_is_one_clear_line(tmp_path: Path, content: bytes | None, part: str) -> None:
    path = tmp_path / "outlets.tsv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingsError, match=part) as caught:
        stage_options(from_environment({VARIABLE: str(path)}))
    assert str(caught.value).startswith(f"{VARIABLE}, {path}: ")
    assert "\n" not in str(caught.value)
    (tmp_path / "a.txt").write_text(BODY, "utf-8")
    for command in (("run", "-q"), ("explain",)):
        result = invoke(*command, tmp_path / "a.txt", **{VARIABLE: str(path)})
        assert (result.exit_code, VARIABLE in result.stderr) == (2, True)
