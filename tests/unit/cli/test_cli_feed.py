"""`newsmill feed` as a user meets it, with a broker of a few lists."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from kafka.errors import KafkaTimeoutError

from newsmill.cli import feed, group
from newsmill.feed import readers
from tests.support.producer import FakeBroker

TOPIC = "news.raw"

Use = Callable[[FakeBroker], FakeBroker]


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("NEWSMILL_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(feed, "_look_at", lambda settings, topic: "cluster-1")


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Use:
    def set_broker(broker: FakeBroker) -> FakeBroker:
        monkeypatch.setattr(feed, "_producer", lambda settings: broker.make())
        return broker

    return set_broker


def invoke(*arguments: str, stdin: bytes = b"") -> Result:
    return CliRunner().invoke(group, ["feed", *arguments], input=stdin)


def ndjson(name: str, count: int) -> None:
    Path(name).write_bytes(b"".join(b'{"n": %d}\n' % n for n in range(count)))


def test_all_is_sent_and_summed_up(use: Use) -> None:
    ndjson("a.ndjson", 1200)
    broker = use(FakeBroker())
    result = invoke("a.ndjson")
    assert (result.exit_code, result.stdout) == (0, "")
    assert f"newsmill: sent 1,200 documents to {TOPIC} in " in result.stderr
    assert result.stderr.endswith("; 0 rejected\n")
    assert len(broker.confirmed) == 1200
    assert broker.most_in_flight == feed.WINDOW_DOCUMENTS
    use(FakeBroker())
    assert invoke("a.ndjson", "-q").stderr == ""


def test_standard_input_is_sent(use: Use) -> None:
    broker = use(FakeBroker())
    result = invoke("-", stdin=b'{"n": 1}\n{"n": 2}\n')
    assert result.exit_code == 0, result.output
    assert broker.confirmed == [b'{"n": 1}', b'{"n": 2}']


def test_standard_input_can_not_be_resumed(use: Use) -> None:
    ndjson("a.ndjson", 1)
    broker = use(FakeBroker())
    result = invoke("a.ndjson", "-", "--resume", "r")
    assert result.exit_code == 2
    assert result.stderr.startswith("newsmill: --resume: - is a stream, which can't be read again. Save it to a file")
    assert broker.taken == []
    assert not Path("r").exists()


def test_the_first_rejections_are_named_and_all_are_counted(use: Use, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "MAX_RECORD_BYTES", 50)
    Path("a.ndjson").write_bytes(b'{"n": 1}\n' + (b'"%s"\n' % (b"x" * 100)) * 15)
    Path("b.txt.gz").write_bytes(b"no gzip")
    use(FakeBroker())
    result = invoke("a.ndjson", "b.txt.gz", "--resume", "r")
    assert result.exit_code == 1
    named = [line for line in result.stderr.splitlines() if ": too_large: " in line]
    assert named == [f"newsmill: a.ndjson:{line}: too_large: 103 bytes" for line in range(2, 12)]
    assert "more are rejected; they are counted and no longer named" in result.stderr
    assert "newsmill: sent 1 documents" in result.stderr
    assert result.stderr.endswith("; 16 rejected: 15 too_large, 1 unreadable\n")


def test_a_second_feed_goes_on_behind_the_first(use: Use) -> None:
    ndjson("a.ndjson", 3)
    use(FakeBroker())
    assert invoke("a.ndjson", "--resume", "r").exit_code == 0
    header, position = map(json.loads, Path("r").read_bytes().splitlines())
    assert header == {"newsmill_resume": 1, "topic": TOPIC, "cluster": "cluster-1"}
    assert (position[0], position[5]) == (os.path.abspath("a.ndjson"), 3)
    ndjson("a.ndjson", 5)
    broker = use(FakeBroker())
    assert invoke("a.ndjson", "--resume", "r").exit_code == 0
    assert broker.confirmed == [b'{"n": 3}', b'{"n": 4}']


def test_a_file_that_has_changed_is_told_with_the_way_out(use: Use) -> None:
    ndjson("a.ndjson", 3)
    use(FakeBroker())
    invoke("a.ndjson", "--resume", "r")
    Path("a.ndjson").write_bytes(b'{"other": 1}\n' * 9)
    before = Path("r").read_bytes()
    broker = use(FakeBroker())
    result = invoke("a.ndjson", "--resume", "r")
    assert result.exit_code == 2
    assert result.stderr == (
        "newsmill: a.ndjson: is not the file any more of which 3 lines or items were read. To feed it from its "
        "beginning, name another --resume file\n"
    )
    assert broker.taken == []
    assert Path("r").read_bytes() == before


@pytest.mark.parametrize(
    ("options", "where"),
    [
        (["--resume", "r"], "up to a.ndjson:600 it is confirmed and saved in r; run the same command again to go on"),
        ([], "up to a.ndjson:600 it is confirmed; without --resume the next feed begins again"),
    ],
)
def test_a_broker_that_goes_away_is_told_in_a_line_and_the_position_is_kept(
    use: Use, options: list[str], where: str
) -> None:
    ndjson("a.ndjson", 1200)
    use(FakeBroker(outcome=lambda value: KafkaTimeoutError("expired") if value == b'{"n": 600}' else None))
    result = invoke("a.ndjson", *options)
    assert result.exit_code == 1
    assert result.stderr == (
        "newsmill: a.ndjson:601: not confirmed by the broker (KafkaTimeoutError: expired). "
        f"Is NEWSMILL_BOOTSTRAP right, and are the brokers up? So far: {where}\n"
    )
    if options:
        broker = use(FakeBroker())
        assert invoke("a.ndjson", *options).exit_code == 0
        assert broker.confirmed[0] == b'{"n": 600}'
        assert len(broker.confirmed) == 600


def test_off_a_terminal_there_is_a_line_now_and_then(use: Use, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("newsmill.cli.progress._LINE_EVERY_S", 0.0)
    ndjson("a.ndjson", 1000)
    use(FakeBroker())
    lines = [line for line in invoke("a.ndjson").stderr.splitlines() if "of the input" in line]
    assert len(lines) == 2
    assert lines[0].startswith("newsmill: 500 documents, ")
    assert lines[1].startswith("newsmill: 1,000 documents, ")
    assert lines[1].endswith("(100 % of the input)")
