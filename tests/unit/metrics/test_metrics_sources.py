"""Sources in the metrics: shown by name within a bound."""

from __future__ import annotations

from newsmill.metrics import Metrics
from newsmill.sources import WAITING_A_PLACE, Sources, shown_sources


def test_the_first_ones_are_shown_and_the_rest_are_other() -> None:
    sources = Sources(2)
    assert [sources.name(key) for key in (b"a", b"b", b"c", b"a")] == ["a", "b", "other", "a"]


def test_a_source_that_grows_takes_the_place_of_the_smallest() -> None:
    dropped: list[str] = []
    sources = Sources(2, dropped.append)
    for key, documents in ((b"a", 10), (b"b", 3)):
        sources.name(key, documents)
    assert [sources.name(b"c") for _ in range(6)] == ["other"] * 5 + ["c"]
    assert dropped == ["b"]
    assert sources.name(b"b") == "other"


def test_a_flood_of_names_changes_nothing_and_is_bounded() -> None:
    sources = Sources(3)
    for key in (b"a", b"b", b"c"):
        sources.name(key, 2)
    assert {sources.name(f"x{n}".encode()) for n in range(1000)} == {"other"}
    assert len(sources._waiting) == 3 * WAITING_A_PLACE
    assert sources.name(b"a") == "a"


def test_no_key_and_no_limit_are_other() -> None:
    assert Sources(5).name(None) == "other"
    assert Sources(5).name(b"") == "other"
    assert Sources(0).name(b"a") == "other"


def test_a_name_is_text_of_bounded_length() -> None:
    assert Sources(5).name(b"\xff" + b"a" * 500) == "\ufffd" + "a" * 99


def test_the_series_of_a_source_that_is_no_longer_shown_go() -> None:
    metrics = Metrics()
    sources = shown_sources(1, metrics, "ingest")
    for key, documents in ((b"a", 1), (b"b", 5)):
        name = sources.name(key, documents)
        metrics.sources.labels("ingest", name, "article").inc(documents)
        metrics.sources.labels("ingest", name, "dead_letter").inc()
    shown = {sample.labels["source"] for family in metrics.sources.collect() for sample in family.samples}
    assert shown == {"b"}
