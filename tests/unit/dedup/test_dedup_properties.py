"""The state is a function of the log, and what comes out does not depend on batches, crashes or hash seeds."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from workers.dedup import DedupOptions, DedupStage
from workers.stage import Emit

OPTIONS = DedupOptions(window=timedelta(hours=5), max_entries=7)

visits = st.tuples(
    st.integers(0, 6),  # which URL
    st.sampled_from(["bridge", "strike", "flood", "museum"]),
    st.integers(0, 5),  # which version of the text
    st.integers(-90, 240),  # minutes after the latest so far
)
crashes = st.sampled_from(["none", "none", "none", "rollback", "before commit", "from snapshot", "stale snapshot"])


def articles_of(box, steps):
    clock, made = 0, []
    for url, story, version, minutes in steps:
        text = box.stories[story]["paragraphs"]
        text = [text, text[:3], text[1:], [*text, "More soon."], text[::-1], text[:1]][version]
        at = max(0, clock + minutes)
        clock = max(clock, at)
        made.append(box.article(story, f"https://o{url}.example/{story[:1]}", at, f"Take {version % 2}", text))
    return made


def undisturbed(box, articles):
    bench = box.Bench()
    bench.stage = DedupStage(OPTIONS)
    outcomes = bench.feed(*articles)
    return outcomes, bench.log, bench.stage.snapshot(0)


@settings(max_examples=100, deadline=None)
@given(st.lists(visits, min_size=1, max_size=25), st.data())
def test_batches_crashes_and_redelivery_change_nothing(box, steps, data):
    articles = articles_of(box, steps)
    expected, expected_log, expected_state = undisturbed(box, articles)
    bench = box.Bench()
    records = [bench.record(article) for article in articles]
    stage, log, saved = DedupStage(OPTIONS), [], None
    at = 0
    while at < len(records):
        back = data.draw(st.integers(0, 3), "redelivered")
        size = data.draw(st.integers(1, 6), "batch")
        crash = data.draw(crashes, "crash")
        start = max(0, at - back)
        batch = records[start : at + size]
        outcomes = stage.process(batch)
        if crash == "rollback":
            stage.rollback()
            outcomes = stage.process(batch)
        for record, outcome, wanted in zip(batch, outcomes, expected[start:], strict=False):
            assert isinstance(outcome, Emit)
            assert outcome.messages == wanted.messages
            assert (outcome.log is None) == (record.offset < at)
            if outcome.log:
                log.append(box.log_record(outcome.log, record.offset))
        at = start + len(batch)
        if crash in ("none", "rollback"):
            stage.commit()
        elif crash == "before commit":
            stage = DedupStage(OPTIONS)
            cut = data.draw(st.integers(0, len(log)), "chunk")
            stage.restore(0, log[:cut])
            stage.restore(0, log[cut:])
        else:
            if crash == "from snapshot" or saved is None:
                stage.commit()
                saved = stage.snapshot(0)
            stage = DedupStage(OPTIONS)
            stage.load_snapshot(0, saved)
            stage.restore(0, log)
    assert log == expected_log
    assert stage.snapshot(0) == expected_state


@settings(max_examples=60, deadline=None)
@given(st.lists(visits, min_size=1, max_size=20))
def test_the_fold_of_the_log_is_the_live_state(box, steps):
    _, log, state = undisturbed(box, articles_of(box, steps))
    folded = DedupStage(OPTIONS)
    folded.restore(0, log)
    assert folded.snapshot(0) == state
    loaded = DedupStage(OPTIONS)
    loaded.load_snapshot(0, state)
    assert loaded.snapshot(0) == state


@settings(max_examples=40, deadline=None)
@given(st.lists(visits, min_size=2, max_size=12), st.randoms(use_true_random=False))
def test_stories_do_not_meddle_with_each_other(box, steps, chance):
    """Another order between stories (each story's own order kept) leaves every verdict and cluster as it was."""
    steps = [(url, story, version, 1) for url, story, version, _ in steps]
    articles = articles_of(box, steps)
    order = list(range(len(articles)))
    chance.shuffle(order)
    by_story: dict[str, list[int]] = {}
    for n in range(len(articles)):
        by_story.setdefault(steps[n][1], []).append(n)
    queues = {story: iter(places) for story, places in by_story.items()}
    shuffled = [next(queues[steps[n][1]]) for n in order]

    def decisions(sequence):
        bench = box.Bench()
        emits = bench.feed(*(articles[n] for n in sequence))
        return {n: emit.messages for n, emit in zip(sequence, emits, strict=True)}

    assert decisions(range(len(articles))) == decisions(shuffled)


SCRIPT = """
import hashlib, json, sys
from datetime import UTC, datetime
from schemas.codec import encode
from schemas.keys import digest
from schemas.messages import Article
from workers.dedup import DedupStage
from workers.stage import Record
stories = json.load(open(sys.argv[1], encoding="utf-8"))
stage, total = DedupStage(), hashlib.sha256()
for n, (name, story) in enumerate([*stories.items()] * 2):
    body = "\\n\\n".join(story["paragraphs"][: 9 if n < 4 else 3])
    article = Article(id=digest(f"{n}"), source="s", headline=story["headline"], body=body, language="en",
                      language_confidence=1.0, word_count=9, content_hash=digest(body),
                      ingested_at=datetime(2026, 1, 1, tzinfo=UTC), processing={"ingest": "1", "a": "2"})
    (emit,) = stage.process([Record("news.articles", 0, n, b"", encode(article))])
    for message in (*emit.messages, emit.log):
        total.update(message.key + message.value)
stage.commit()
total.update(stage.snapshot(0))
print(total.hexdigest())
"""


def test_hash_seed_and_threads_change_nothing():
    here = Path(__file__).resolve()
    printed = set()
    for seed, threads in (("0", "1"), ("1", "2"), ("4711", "2")):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "OMP_NUM_THREADS": threads}
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, str(here.with_name("stories.json"))],
            cwd=here.parents[3],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        printed.add(done.stdout.strip())
    assert len(printed) == 1
    assert len(printed.pop()) == hashlib.sha256().digest_size * 2
