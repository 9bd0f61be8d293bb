"""The commands, as a person types them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from newsmill.replay import diff
from schemas import headers as h
from schemas import topics
from tests.support.kafka import Place
from tests.support.replays import REPOSITORY, article, have_run, write

pytestmark = pytest.mark.broker


def newsmill(where: Place, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NEWSMILL_")}
    environment |= {"NEWSMILL_BOOTSTRAP": where.settings.bootstrap, "NEWSMILL_NAMESPACE": where.settings.namespace}
    return subprocess.run(
        [sys.executable, "-m", "newsmill", *arguments],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def dead(where: Place, reason: bytes, stage: bytes = b"ingest") -> h.Headers:
    raw = where.physical(topics.RAW).encode()
    return ((h.DEAD_TOPIC, raw), (h.DEAD_PARTITION, b"0"), (h.DEAD_REASON, reason), (h.DEAD_STAGE, stage))


def test_redrive(place: Callable[..., Place]) -> None:
    where = place()
    where.feed(topics.DEAD_LETTERS, [b"a", b"b"], headers=dead(where, b"bad_json"))
    where.feed(topics.DEAD_LETTERS, [b"c"], headers=dead(where, b"too_large"))
    tried = newsmill(where, "redrive", "--reason", "bad_json", "--dry-run", "--rate", "1/s")
    assert tried.returncode == 0, tried.stderr
    assert "bad_json" in tried.stdout
    assert "too_large" not in tried.stdout
    assert "2 records" in tried.stdout
    assert "about 2 s" in tried.stdout
    assert where.read(topics.RAW) == []

    done = newsmill(where, "redrive", "--reason", "bad_json", "--run", "fix-1")
    assert done.returncode == 0, done.stderr
    assert "fix-1 is finished: 2 put back; 1 of another reason" in done.stderr
    assert where.values(topics.RAW) == [b"a", b"b"]
    again = newsmill(where, "redrive", "--from", "last 1h")
    assert "1 put back; 2 put back by an earlier redrive" in again.stderr
    wrong = newsmill(where, "redrive", "--offset", "x")
    assert (wrong.returncode, "--offset" in wrong.stderr) == (2, True)

    listed = [json.loads(line) for line in newsmill(where, "replay", "list", "--json").stdout.splitlines()]
    assert [(one["operation"], one["status"], one["counts"]["redriven"]) for one in listed] == [
        ("redrive", "finished", 2),
        ("redrive", "finished", 1),
    ]
    shown = newsmill(where, "replay", "show", "fix-1").stdout.splitlines()
    assert [line.split("; ")[0].rpartition(": ")[2] for line in shown] == ["started", "checkpoint", "finished"]
    assert "reason bad_json" in shown[0]
    assert newsmill(where, "replay", "show", "nothing").returncode == 2
    assert "has ended" in newsmill(where, "replay", "pause", "fix-1").stderr


def test_in_place(place: Callable[..., Place]) -> None:
    where = place()
    where.feed(topics.RAW, [b'{"url": "https://a.example/%d"}' % n for n in range(4)])
    options = ("--from", "last 1h", "--url", "*/[12]")
    tried = newsmill(where, "replay", "--in-place", *options, "--dry-run")
    assert "2 records" in tried.stdout, tried.stderr
    done = newsmill(where, "replay", "--in-place", *options)
    assert done.returncode == 0, done.stderr
    assert "2 sent again; 2 left out by the filters" in done.stderr
    marked = [r.value for r in where.read(topics.RAW) if h.get(r.headers, h.REPLAY) is not None]
    assert marked == [b'{"url": "https://a.example/1"}', b'{"url": "https://a.example/2"}']


def test_promote_and_drop(place: Callable[..., Place]) -> None:
    where = place()
    write(where, topics.CLASSIFIED, ("a", "news.raw/0/0", article("a", "t")))
    have_run(where, [("a", "news.raw/0/0", article("a", "t", model="new"))])
    tried = newsmill(where, "replay", "promote", "r1", "--dry-run")
    assert "1 news.classified: changed" in tried.stdout, tried.stderr
    done = newsmill(where, "replay", "promote", "r1")
    assert "r1 is finished: 1 published" in done.stderr
    again = newsmill(where, "replay", "promote", "r1")
    assert "finished before: 1 published" in again.stderr
    assert len(where.read(topics.CLASSIFIED)) == 2
    assert list(diff.changes(where.settings, "r1")) == []
    dropped = newsmill(where, "replay", "drop", "r1", "--yes")
    assert "1 topics removed" in dropped.stdout, dropped.stderr
    (row, *_) = newsmill(where, "replay", "list", "--json").stdout.splitlines()
    assert json.loads(row)["status"] == "dropped"
