"""Logs and snapshots that older versions have written, and what this one does with them."""

from __future__ import annotations

import base64
import importlib.util
import json
import os
from pathlib import Path

import pytest

from schemas import headers, topics
from workers.dedup import DedupStage
from workers.dedup.fingerprint import FINGERPRINT_VERSION
from workers.stage import Record, StateVersionError

KEPT = Path(__file__).with_name("upgrade")
CURRENT = KEPT / f"{DedupStage.version}.json"


def _history():
    spec = importlib.util.spec_from_file_location("upgrade_articles", Path(__file__).with_name("upgrade_articles.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.history


history = _history()


def written(version: str):
    kept = json.loads((KEPT / f"{version}.json").read_text("utf-8"))
    log = [
        Record(topics.DEDUP_LOG, 0, n, b"", value.encode(), ((headers.INPUT_OFFSET, str(n).encode()),))
        for n, value in enumerate(kept["log"])
    ]
    return log, base64.b64decode(kept["snapshot"])


def test_write_upgrade_of_this_version(box):
    bench = box.Bench()
    bench.feed(*history(box))
    log = [record.value.decode() for record in bench.log]
    if os.environ.get("NEWSMILL_WRITE_GOLDEN") and not CURRENT.exists():
        snapshot = base64.b64encode(bench.stage.snapshot(0)).decode()
        rows = {"version": bench.stage.version, "log": log, "snapshot": snapshot}
        CURRENT.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", "utf-8")
    kept, snapshot = written(DedupStage.version)
    assert [record.value.decode() for record in kept] == log
    assert bench.stage.snapshot(0) == snapshot


def test_what_this_version_wrote_is_folded_and_loaded():
    log, snapshot = written(DedupStage.version)
    folded, loaded = DedupStage(), DedupStage()
    folded.restore(0, log)
    loaded.load_snapshot(0, snapshot)
    assert folded.snapshot(0) == loaded.snapshot(0) == snapshot


def older() -> list[str]:
    return sorted(path.stem for path in KEPT.glob("*.json") if path != CURRENT)


OTHER_FORM = "1.0.0"
"""The version that wrote fingerprints of another form."""


def test_the_versions_before_are_kept():
    assert older()[-1] == "2.0.0"
    assert OTHER_FORM in older()


@pytest.mark.parametrize("version", older())
def test_an_older_snapshot_is_refused(version):
    stage = DedupStage()
    with pytest.raises(StateVersionError, match="snapshot"):
        stage.load_snapshot(0, written(version)[1])
    assert stage.state_size()[0] == 0


def test_an_older_form_of_the_log_is_refused():
    stage = DedupStage()
    with pytest.raises(StateVersionError, match=f"kmv1.*{FINGERPRINT_VERSION}"):
        stage.restore(0, written(OTHER_FORM)[0])
    assert stage.state_size()[0] == 0


@pytest.mark.parametrize("version", [version for version in older() if version != OTHER_FORM])
def test_an_older_log_of_the_same_form_is_folded_as_it_is(box, version):
    log, _ = written(version)
    bench = box.Bench()
    bench.stage.restore(0, log)
    again = bench.stage.process([bench.record(article) for article in history(box)])
    decided = [json.loads(record.value) for record in log]
    assert [outcome.log for outcome in again] == [None] * len(log)
    assert [outcome.kind for outcome in again] == [entry["verdict"] for entry in decided]
    bench.stage.rollback()
    copy = box.article("flood", url="https://new.example/1", minutes=70, source="new.example")
    (near,) = bench.feed(copy)
    assert near.kind == "near_copy"


@pytest.mark.parametrize("version", [OTHER_FORM])
@pytest.mark.parametrize("lost", [0, 3, 99])
def test_an_older_log_is_rebuilt_from_what_is_kept_of_the_input(box, version, lost):
    """`lost`: so many of the first articles are no longer kept."""
    log, _ = written(version)
    articles = history(box)
    bench = box.Bench()
    records = [bench.record(article) for article in articles]
    asked = []

    def retained(offset: int) -> Record | None:
        asked.append(offset)
        return records[offset] if offset >= lost else None

    stage = DedupStage()
    anew, gone = stage.rebuild(0, log, retained)
    assert anew + gone == len(asked) == 5  # all but the exact copy and the recrawl
    assert asked == sorted(asked)
    assert gone == len([offset for offset in asked if offset < lost])
    # What was decided stays decided, word for word, and is not decided again.
    again = stage.process(records)
    assert [outcome.log for outcome in again] == [None] * len(records)
    decided = [json.loads(record.value) for record in log]
    assert [outcome.kind for outcome in again] == [entry["verdict"] for entry in decided]
    matches = [json.loads(message.value).get("match") for outcome in again for message in outcome.messages]
    assert matches == [entry.get("match") for entry in decided]
    # Recrawls are known without the text; copies of what is kept are found.
    stage.rollback()
    text = box.stories["flood"]["paragraphs"]
    bench.stage = stage
    copy = box.article("flood", url="https://new.example/1", minutes=70, paragraphs=text[:3], source="new.example")
    recrawl, near = bench.feed(box.article("museum", url="https://post.example/5", minutes=60), copy)
    assert recrawl.kind == "recrawl"
    assert near.kind == ("near_copy" if lost <= 5 else "unique")


def test_rebuilding_the_log_of_this_version_needs_no_input():
    log, snapshot = written(DedupStage.version)

    def nothing(offset: int) -> None:
        raise AssertionError(f"asked for {offset}")

    stage = DedupStage()
    assert stage.rebuild(0, log, nothing) == (0, 0)
    assert stage.snapshot(0) == snapshot
