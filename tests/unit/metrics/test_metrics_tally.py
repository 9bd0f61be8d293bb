"""What is counted of a batch, and when."""

from __future__ import annotations

from newsmill.engines.runner import Runner
from newsmill.health import Health
from newsmill.metrics import AGE_SECONDS, Metrics, observe_all
from newsmill.sources import Sources
from schemas import headers as h
from schemas import topics
from tests.support.stages import EchoStage
from workers.stage import Record


def _value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, {"stage": "ingest", **labels})


def _runner(metrics: Metrics, *, source: str = topics.RAW) -> Runner:
    stage = EchoStage()
    stage.source = source
    return Runner(stage, metrics, sources=Sources(5), clock=lambda: 10.0)


def test_everything_that_can_happen_is_there_with_zero_from_the_start() -> None:
    metrics = Metrics()
    _runner(metrics)
    assert _value(metrics, "newsmill_records_total", outcome="dead_letter") == 0
    assert _value(metrics, "newsmill_dead_letters_total", reason="stage_raised") == 0
    assert _value(metrics, "newsmill_exceptions_total") == 0


def test_a_batch_is_counted_by_source_and_by_how_long_it_waited_once_it_is_durable() -> None:
    metrics = Metrics()
    runner = _runner(metrics)
    records = [Record(topics.RAW, 0, n, b"alder", b"x", (), 7_500) for n in range(3)]
    result = runner.run(records)
    assert _value(metrics, "newsmill_queueing_seconds_count") == 0
    runner.commit(result)
    sources = [s for family in metrics.sources.collect() for s in family.samples if s.name.endswith("_total")]
    assert [(s.labels["source"], s.value) for s in sources] == [("alder", 3.0)]
    assert _value(metrics, "newsmill_queueing_seconds_count") == 3
    assert _value(metrics, "newsmill_queueing_seconds_sum") == 7.5


def test_sources_are_those_of_news_raw_alone() -> None:
    metrics = Metrics()
    runner = _runner(metrics, source=topics.ARTICLES)
    runner.commit(runner.run([Record(topics.ARTICLES, 0, 0, b"some article's id", b"x", (), 7_500)]))
    assert not [s for family in metrics.sources.collect() for s in family.samples]


def test_a_replayed_record_is_in_none_of_the_live_figures() -> None:
    metrics = Metrics()
    runner = _runner(metrics)
    runner.commit(runner.run([Record(topics.RAW, 0, 0, b"alder", b"x", ((h.REPLAY, b"r1"),), 7_500)]))
    assert _value(metrics, "newsmill_queueing_seconds_count") == 0
    assert not [s for family in metrics.sources.collect() for s in family.samples]
    live = [s.value for family in metrics.records.collect() for s in family.samples if s.name.endswith("_total")]
    replayed = [s.value for family in metrics.replayed.collect() for s in family.samples if s.name.endswith("_total")]
    assert sum(live) == 0
    assert sum(replayed) == 1


def test_health_and_the_process_are_shown() -> None:
    metrics, now = Metrics(), [0.0]
    health = Health(stall_s=5, clock=lambda: now[0])
    metrics.watch("ingest", health)
    assert (_value(metrics, "newsmill_healthy"), _value(metrics, "newsmill_ready")) == (1, 0)
    health.ready()
    assert _value(metrics, "newsmill_ready") == 1
    health.waiting(True)
    now[0] = 6.0
    assert (_value(metrics, "newsmill_healthy"), _value(metrics, "newsmill_ready")) == (0, 0)
    assert metrics.registry.get_sample_value("process_start_time_seconds")


def test_observing_many_at_once_is_observing_each() -> None:
    values = [0.0, 0.05, 0.0500001, 3.0, 86_400.0, 1e9, *AGE_SECONDS]
    one, all_ = Metrics(), Metrics()
    for value in values:
        one.age.labels("ingest").observe(value)
    observe_all(all_.age.labels("ingest"), values)
    observe_all(all_.age.labels("ingest"), [])

    def samples(metrics: Metrics) -> list[tuple[str, str | None, float]]:
        found = [sample for family in metrics.age.collect() for sample in family.samples]
        return [(s.name, s.labels.get("le"), s.value) for s in found if not s.name.endswith("_created")]

    assert samples(all_) == samples(one)
