"""`newsmill run` and `newsmill settings`: options, messages, exit statuses, signals. With toy stages."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from newsmill.cli import COMMANDS, group
from tests.support import toy_command
from workers import pipeline


@pytest.fixture(autouse=True)
def _toys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "load", toy_command.load)
    for name in list(os.environ):
        if name.startswith("NEWSMILL_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def invoke(*arguments: str, stdin: bytes = b"") -> Result:
    return CliRunner().invoke(group, arguments, input=stdin)


def lines(path: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in Path(path).read_bytes().splitlines()]


def ndjson(count: int, start: int = 0) -> bytes:
    return b"".join(b'{"n": %d}\n' % i for i in range(start, start + count))


def test_standard_input_to_standard_output() -> None:
    result = invoke("run", "--until", "dedup", stdin=b'{"a": 1}\nbad\n{"a": 1}\n')
    assert result.exit_code == 0, result.output
    assert [json.loads(line)["count"] for line in result.stdout.splitlines()] == [0, 1]
    assert "newsmill: 3 documents" in result.stderr
    assert "ingest:    2 article, 1 refused: bad_value" in result.stderr
    assert "<stdin>:2: bad_value: it starts with bad" in result.stderr


def test_files_to_files() -> None:
    Path("in.ndjson").write_bytes(ndjson(3) + b"bad\n")
    result = invoke("run", "in.ndjson", "--until", "dedup", "-o", "out/a.ndjson", "--dead-letters", "dead.ndjson", "-q")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")
    assert [line["value"] for line in lines("out/a.ndjson")] == ['{"N": 0}', '{"N": 1}', '{"N": 2}']
    assert [line["origin"] for line in lines("dead.ndjson")] == ["in.ndjson:4"]


def test_until_stops_after_a_stage_and_writes_its_records() -> None:
    assert invoke("run", "--until", "ingest", stdin=b'{"a": 1}\n').stdout == '{"A": 1}\n'


def test_the_time_can_be_given() -> None:
    for value, expected in (("2026-01-31T12:00:00Z", 1769860800000), ("1970-01-01T01:00:00+01:00", 0)):
        invoke("run", "--until", "ingest", "--dead-letters", "d", "--ingested-at", value, stdin=b"{}\nbad")
        assert lines("d")[0]["headers"]["ingested-at"] == str(expected)  # type: ignore[index]


def test_a_state_directory_remembers_files() -> None:
    Path("in.ndjson").write_bytes(ndjson(3))
    arguments = ("run", "in.ndjson", "--until", "dedup", "-o", "out.ndjson", "--state", "state")
    assert invoke(*arguments).exit_code == 0
    assert "newsmill: 0 documents" in invoke(*arguments).stderr
    with open("in.ndjson", "ab") as file:
        file.write(ndjson(2, start=2))
    assert "newsmill: 2 documents" in invoke(*arguments).stderr
    assert [line["count"] for line in lines("out.ndjson")] == [0, 0, 0, 1, 0]
    assert "newsmill: 5 documents" in invoke(*arguments, "--fresh").stderr
    assert [line["count"] for line in lines("out.ndjson")] == [0, 0, 0, 1, 0]


def test_several_processes_give_the_same_bytes() -> None:
    Path("in.ndjson").write_bytes(ndjson(150) + b"raise\n")
    common = ("run", "in.ndjson", "--until", "dedup", "--ingested-at", "2026-01-01T00:00:00Z", "-q")
    assert invoke(*common, "-o", "1", "--dead-letters", "d1").exit_code == 0
    assert invoke(*common, "-o", "2", "--dead-letters", "d2", "--jobs", "2").exit_code == 0
    assert Path("1").read_bytes() == Path("2").read_bytes()
    assert Path("d1").read_bytes() == Path("d2").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.ndjson"], "newsmill: missing.ndjson: no such file or directory"),
        (["*.xyz"], "the pattern matches nothing"),
        (["-", "--fresh"], "--fresh is about --state"),
        (["-", "-o", "x", "--dead-letters", "./x"], "must be different files"),
        (["-", "--until", "nowhere"], "Invalid value for '--until'"),
        (["-", "--jobs", "0"], "Invalid value for '--jobs'"),
        (["-", "--ingested-at", "yesterday"], "'yesterday' is not a time such as"),
        (["-", "--ingested-at", "2026-01-01T00:00:00"], "has no time zone"),
        (["-", "--state", "a-file"], "is a file"),
    ],
)
def test_what_can_not_be_done_is_told_in_a_line(arguments: list[str], message: str) -> None:
    Path("a-file").write_text("")
    result = invoke("run", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_an_unknown_setting_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEWSMILL_BATCH_RECORD", "5")
    for command in ("run", "settings"):
        result = invoke(command)
        assert result.exit_code == 2
        assert result.stderr.startswith("newsmill: NEWSMILL_BATCH_RECORD is not a setting")


def test_settings_are_shown_with_their_defaults_and_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEWSMILL_SASL_PASSWORD", "hunter2")
    monkeypatch.setenv("NEWSMILL_BATCH_RECORDS", "7")
    result = invoke("settings")
    assert result.exit_code == 0
    assert "NEWSMILL_BATCH_RECORDS=7\n    most records in a batch (one transaction) (default: 500)" in result.output
    assert "NEWSMILL_SASL_PASSWORD=********" in result.output
    assert "hunter2" not in result.output


def test_every_command_of_the_table_exists_and_explains_itself() -> None:
    listed = invoke("--help").output
    for command in COMMANDS:
        result = invoke(command.name, "--help")
        assert result.exit_code == 0, result.output
        assert f"  {command.name} " in listed
    assert invoke("--version").output.startswith("newsmill, version ")
    assert invoke("nonsense").exit_code == 2


def test_a_table_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    import click

    from newsmill.cli.report import ArticleTable
    from newsmill.engines.result import Output

    article = {
        "headline": "Dam [opens]\x1b",
        "source": "The Daily",
        "language": "en",
        "cluster_id": "c",
        "subjects": {"items": [{"name": "environment"}]},
        "entities": {"items": [{"name": "UN", "type": "ORG"}, {"name": "Ana Ruiz", "type": "PER"}]},
    }
    revision = {**article, "revision": 2}
    table = ArticleTable()
    table.write([Output("t", b"", json.dumps(a).encode(), ()) for a in (article, revision)])
    table.copies.write([Output("t", b"", b'{"cluster_id": "c"}', ())] * 3)

    result = CliRunner().invoke(click.command()(table.show))
    first, second = (line for line in result.output.splitlines() if "Dam" in line)
    for text in ("Dam [opens]", "The Daily", "en", "environment", "Ana Ruiz; UN", "3"):
        assert text in first
    assert "(revision 2)" in second
    assert "\x1b" not in result.output


# -- as a program


def program(*arguments: str, **more: str) -> list[str]:
    return [sys.executable, "-m", "tests.support.toy_command", *arguments]


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[3]), **more}


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_finishes_the_batch_and_the_next_run_goes_on(number: signal.Signals, status: int) -> None:
    Path("in.ndjson").write_bytes(ndjson(400))
    command = program("run", "in.ndjson", "--until", "dedup", "-o", "o", "--state", "s", "--batch", "4")
    with subprocess.Popen(command, env=environment(TOY_SLOW="1"), stderr=subprocess.PIPE, text=True) as process:
        while not (Path("o").exists() and Path("o").stat().st_size):
            time.sleep(0.02)
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == status
    assert "run the same command again to go on" in errors
    assert 0 < len(lines("o")) < 400
    assert subprocess.run(command, env=environment(), capture_output=True, check=False).returncode == 0
    assert [line["value"] for line in lines("o")] == [f'{{"N": {i}}}' for i in range(400)]


def test_a_signal_ends_waiting_on_a_silent_pipe() -> None:
    process = subprocess.Popen(
        program("run", "--until", "ingest"),
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b'{"a": 1}\n')
    process.stdin.flush()
    assert process.stdout.readline() == b'{"A": 1}\n'  # it did not wait for more
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 143
    _, errors = process.communicate()
    assert b"without --state the next run begins again" in errors
    assert b"Traceback" not in errors
    assert b"Fatal" not in errors


def test_a_reader_that_leaves_ends_the_run_quietly() -> None:
    Path("in.ndjson").write_bytes(ndjson(20_000))
    process = subprocess.Popen(
        program("run", "in.ndjson", "--until", "ingest"),
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr is not None
    errors = process.stderr.read()
    process.stderr.close()
    assert process.wait(timeout=60) == 1
    assert errors == b""


def test_a_killed_run_goes_on_with_the_time_it_began_with() -> None:
    Path("in.ndjson").write_bytes(ndjson(100) + b"bad\n")
    command = program(
        "run", "in.ndjson", "--until", "dedup", "-o", "o", "--dead-letters", "d", "--state", "s", "--batch", "2"
    )
    with subprocess.Popen(command, env=environment(TOY_SLOW="1"), stderr=subprocess.DEVNULL) as process:
        while not (Path("o").exists() and Path("o").stat().st_size):
            time.sleep(0.02)
        process.kill()
    began = json.loads(Path("s/checkpoint.json").read_bytes())["ingested_ms"]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "newsmill: 101 documents" in done.stderr
    assert len(lines("o")) == 100
    assert lines("d")[0]["headers"]["ingested-at"] == str(began)  # type: ignore[index]


def test_a_process_of_the_pool_that_dies_is_told() -> None:
    Path("in.ndjson").write_bytes(b"die\n" + ndjson(5))
    done = subprocess.run(
        program("run", "in.ndjson", "--until", "dedup", "--jobs", "2"),
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "newsmill: a process of --jobs died" in done.stderr
    assert "Traceback" not in done.stderr
