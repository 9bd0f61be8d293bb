"""The exact bytes that dedup writes for a few articles, committed with the version that wrote them.

When output is meant to change: give DedupStage a new version, then write the file anew with

    NEWSMILL_WRITE_GOLDEN=1 python -m pytest tests/unit/dedup/test_dedup_golden.py
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

GOLDEN = Path(__file__).with_name("golden.json")


def written(box) -> tuple[str, list[dict[str, object]]]:
    text, flood = box.stories["bridge"]["paragraphs"], box.stories["flood"]["paragraphs"]
    bench = box.Bench(forward_copies=True)
    emits = bench.feed(
        box.article(),
        box.article(url="https://herald.example/9", minutes=10, source="herald.example"),
        box.article(url="https://post.example/3", minutes=20, headline="Bridge shuts", paragraphs=text[:4]),
        box.article(minutes=30, paragraphs=[*text, "The vote on the levy was put off."]),
        box.article(minutes=40),
        box.article("flood", url="https://post.example/4", minutes=50, paragraphs=flood[1:]),
        box.article("flood", url="https://post.example/5", minutes=45),
    )
    (replayed,) = bench.stage.process([bench.record(box.article("museum"), offset=99, replay=True)])
    rows = [
        {
            "kind": emit.kind,
            "messages": [[m.topic, m.key.decode(), m.value.decode()] for m in (*emit.messages, emit.log) if m],
        }
        for emit in (*emits, replayed)
    ]
    return bench.stage.version, rows


def test_output_changes_with_the_version_alone(box):
    version, rows = written(box)
    assert [row["kind"] for row in rows] == [
        "unique", "exact_copy", "near_copy", "revision", "recrawl", "unique", "near_copy", "not_checked"
    ]  # fmt: skip
    golden = json.loads(GOLDEN.read_text("utf-8")) if GOLDEN.exists() else {"version": "", "rows": None}
    if os.environ.get("NEWSMILL_WRITE_GOLDEN") and golden["version"] != version:
        GOLDEN.write_text(json.dumps({"version": version, "rows": rows}, indent=1, ensure_ascii=False) + "\n", "utf-8")
        pytest.skip(f"wrote {GOLDEN.name} for version {version}")
    assert golden["version"] == version, "a new version: write the golden file anew"
    assert golden["rows"] == rows, "output changed: dedup needs a new version"
