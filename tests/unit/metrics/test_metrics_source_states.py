"""How sources do, in the metrics: as the stage says when it is asked, by name within a bound."""

from __future__ import annotations

from prometheus_client import generate_latest

from newsmill.engines.runner import Runner
from newsmill.metrics import Metrics
from newsmill.sourcegauges import MOST_SHOWN, SourceGauges
from newsmill.sources import Sources
from tests.support.stages import CountingStage
from workers.stage import SourceState


def state(source: str, documents: int = 40, *broken: str) -> SourceState:
    return SourceState(source, broken, 900, 3_000, 0.25, 1.0, 12, documents)


class WatchingStage(CountingStage):
    def __init__(self, *states: SourceState) -> None:
        super().__init__()
        self.states = states

    def source_states(self) -> tuple[SourceState, ...]:
        return self.states


def samples(metrics: Metrics, name: str) -> dict[tuple[str, ...], float]:
    return {
        tuple(value for label, value in sample.labels.items() if label != "stage"): sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name == name
    }


def shown(*states: SourceState, limit: int = 3) -> Metrics:
    metrics = Metrics()
    Runner(WatchingStage(*states), metrics, sources=Sources(limit))
    return metrics


def test_it_shows_what_the_stage_says_when_it_is_asked() -> None:
    metrics = Metrics()
    stage = WatchingStage(state("ellery"))
    Runner(stage, metrics, sources=Sources(3))
    assert samples(metrics, "newsmill_source_body_chars") == {("ellery",): 900}
    assert samples(metrics, "newsmill_source_usual_body_chars") == {("ellery",): 3_000}
    assert samples(metrics, "newsmill_source_missing_ratio") == {("ellery", "date"): 0.25, ("ellery", "author"): 1.0}
    assert samples(metrics, "newsmill_source_day_documents") == {("ellery",): 12}
    assert samples(metrics, "newsmill_source_usual_day_documents") == {("ellery",): 40}
    assert samples(metrics, "newsmill_source_broken") == {}
    stage.states = (state("ellery", 40, "no_dates", "short_bodies"),)
    assert samples(metrics, "newsmill_source_broken") == {("ellery", "no_dates"): 1, ("ellery", "short_bodies"): 1}
    assert b'newsmill_source_broken{problem="no_dates",source="ellery",stage="dedup"} 1.0' in generate_latest(
        metrics.registry
    )


def test_the_largest_are_shown_and_of_the_broken_ones_as_many() -> None:
    states = [state(f"s{n}", n, *(["refused"] * (n < 6))) for n in range(10)]
    metrics = shown(*states)
    assert set(samples(metrics, "newsmill_source_body_chars")) == {("s9",), ("s8",), ("s7",)}
    assert samples(metrics, "newsmill_source_broken") == {
        ("s5", "refused"): 1,
        ("s4", "refused"): 1,
        ("s3", "refused"): 1,
        ("other", "refused"): 3,
    }


def test_names_are_bounded_and_no_series_is_there_twice() -> None:
    long = "x" * 150
    metrics = shown(state(long + "a", 9, "silent"), state(long + "b", 5, "silent"), state("other", 3, "refused"))
    assert samples(metrics, "newsmill_source_broken") == {("x" * 100, "silent"): 1}
    text = generate_latest(metrics.registry).decode()
    lines = [line.rpartition(" ")[0] for line in text.splitlines() if line.startswith("newsmill_source_")]
    assert len(lines) == len(set(lines)) == 7


def test_no_sources_are_shown_where_the_settings_show_none() -> None:
    assert samples(shown(state("ellery", 40), limit=0), "newsmill_source_body_chars") == {}


def test_the_bound_holds_whatever_the_settings_say() -> None:
    metrics = shown(*(state(f"s{n}", n) for n in range(300)), limit=5_000)
    assert len(samples(metrics, "newsmill_source_body_chars")) == MOST_SHOWN
    assert isinstance(metrics.source_states, SourceGauges)
