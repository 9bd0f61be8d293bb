"""`newsmill status`: rates out of counters, and what counts as a problem."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from prometheus_client import generate_latest
from rich.console import Console

from newsmill.cli.status import screen, to_json
from newsmill.console.readers import status_view
from newsmill.engines.runner import Runner
from newsmill.health import Health
from newsmill.metrics import GatewayMetrics, Metrics
from newsmill.sources import Sources
from newsmill.status import GatewayLine, Picture, StageLine, problems, scrapes
from newsmill.status.groups import Group, PartitionLine
from newsmill.status.picture import History
from newsmill.status.scrapes import GatewayScrape, Scrape
from tests.support.stages import CountingStage
from workers.stage import SourceState

URL = "http://127.0.0.1:9401"
WORKER = Scrape(
    URL, 100.0, "ingest", "kafka", "1.0.0", ready=True, healthy=True, records={"article": 10.0}, started=0.0
)
GROUP = Group("Stable", ("ingest-0",), (PartitionLine(0, 90, 100, "ingest-0"),), (1.0, 0.5))


def picture(group: Group | None = GROUP, *workers: Scrape, at: float = 100.0) -> Picture:
    return Picture(at, (StageLine("ingest", group, workers or (WORKER,), (1.0, None, None)),), (0, 3))


def texts(*pictures: Picture) -> list[str]:
    """What is wrong in the last of `pictures`, seen against the one before it."""
    *before, now = pictures
    return [problem.text for problem in problems(now, *before)]


def test_nothing_is_wrong_with_a_worker_that_works() -> None:
    assert texts(picture()) == []


def test_input_without_workers_is_a_problem_and_a_quiet_stage_without_workers_is_not() -> None:
    assert texts(picture(replace(GROUP, members=()))) == ["no worker runs, and input waits"]
    quiet = (PartitionLine(0, 100, 100, None), PartitionLine(1, None, 0, None))
    assert texts(picture(replace(GROUP, members=(), partitions=quiet))) == []
    never_read = (PartitionLine(0, None, 5, None),)
    assert texts(picture(replace(GROUP, members=(), partitions=never_read))) == ["no worker runs, and input waits"]


def test_a_partition_that_nobody_has_is_a_problem_once_the_group_is_stable() -> None:
    orphan = replace(GROUP, partitions=(*GROUP.partitions, PartitionLine(1, 5, 5, None)))
    assert texts(picture(orphan)) == ["nobody has partition 1"]
    assert texts(picture(replace(orphan, state="PreparingRebalance"))) == []


@pytest.mark.parametrize(
    ("worker", "text"),
    [
        (replace(WORKER, ready=False), "/readyz fails"),
        (replace(WORKER, healthy=False, ready=False), "/healthz fails"),
        (replace(WORKER, lag_seconds=301.0), "301 s behind"),
    ],
)
def test_what_a_worker_says_of_itself_is_believed(worker: Scrape, text: str) -> None:
    (found,) = texts(picture(GROUP, worker))
    assert text in found


def test_a_partition_is_stuck_when_it_stands_while_its_input_grows() -> None:
    def at(committed: int | None, end: int, when: float) -> Picture:
        return picture(replace(GROUP, partitions=(PartitionLine(0, committed, end, "ingest-0"),)), at=when)

    assert texts(at(90, 100, 100), at(90, 120, 130)) == ["partition 0 has not moved for 30 s while its input grows"]
    assert texts(at(90, 100, 100), at(95, 120, 130)) == []
    assert texts(at(90, 100, 100), at(90, 100, 130)) == []
    assert texts(at(100, 100, 100), at(100, 120, 130)) == [], "it had nothing to do before"
    assert len(texts(at(None, 100, 100), at(None, 120, 130))) == 1


def test_a_missing_topic_and_a_silent_worker_are_problems() -> None:
    assert texts(picture(None)) == ["its topic does not exist: `newsmill topics create`"]
    silent = replace(picture(), silent={URL: "refused"})
    assert texts(silent) == [f"{URL} does not answer: refused"]


def test_every_problem_names_a_heading_of_the_runbook() -> None:
    page = (Path(__file__).parents[3] / "docs" / "operations.md").read_text()
    anchors = {
        re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-")
        for heading in re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    }
    code = (Path(__file__).parents[3] / "newsmill" / "status" / "problems.py").read_text()
    named = re.findall(r'"([a-z]+(?:-[a-z]+)+|set-up)"\)', code)
    assert len(named) >= 6
    assert set(named) <= anchors


def test_rates_are_of_the_span_asked_for_and_survive_a_restart() -> None:
    history = History()
    for at in range(0, 121, 10):
        history.add(replace(WORKER, at=float(at), records={"article": at * 2.0, "dead_letter": at * 1.0}))
    assert history.rate([URL], 0) == 3.0
    assert history.rate([URL], 60) == 3.0
    assert history.rate([URL], 900) is None, "not watched for that long"
    assert history.rate(["http://other"], 60) is None
    history.add(replace(WORKER, at=130.0, started=125.0, records={"article": 10.0}))
    assert history.rate([URL], 0) == 2.0, "ten records in the five seconds since it started again"


def test_a_workers_metrics_are_read_as_they_are_served() -> None:
    metrics, health = Metrics(), Health(60)
    metrics.announce("dedup", "1.0.0+abc", "kafka")
    metrics.watch("dedup", health)
    health.ready()
    metrics.records.labels("dedup", "unique").inc(7)
    metrics.dead_letters.labels("dedup", "bad_article").inc(2)
    metrics.lag_seconds.labels("dedup", 0).set(3.5)
    for seconds in (0.2, 0.2, 7):
        metrics.age.labels("dedup").observe(seconds)
    found = scrapes.parse(generate_latest(metrics.registry).decode(), URL, 5.0)
    assert isinstance(found, Scrape)
    assert (found.stage, found.engine, found.version) == ("dedup", "kafka", "1.0.0+abc")
    assert (found.ready, found.healthy) == (True, True)
    assert (found.records, found.dead_letters) == ({"unique": 7.0}, {"bad_article": 2.0})
    assert (found.lag_seconds, found.age_p99) == (3.5, 15.0)


def test_sources_that_are_broken_are_named_and_are_no_fault_of_the_pipeline() -> None:
    """What a worker serves, read and shown; eleven small sources beside a large one."""

    class Watching(CountingStage):
        def source_states(self) -> list[SourceState]:
            small = [SourceState(f"s{n:02}", ("silent",), 0, 0, 0.0, 0.0, 0, n) for n in range(10)]
            return [SourceState("ellery", ("short_bodies", "no_dates"), 90, 3_000, 1.0, 0.0, 40, 40), *small]

    metrics = Metrics()
    metrics.announce("dedup", "1.0.0", "kafka")
    Runner(Watching(), metrics, sources=Sources(20))
    scrape = scrapes.parse(generate_latest(metrics.registry).decode(), URL, 5.0)
    assert isinstance(scrape, Scrape)
    assert scrape.broken_sources["ellery"] == ("no_dates", "short_bodies")
    now = picture(GROUP, replace(WORKER, broken_sources=scrape.broken_sources))
    assert problems(now) == []
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(screen(now, ()))
    lines = [line.strip() for line in console.export_text().splitlines()]
    assert "ellery is broken: no dates, short bodies  docs/operations.md#a-source-breaks" in lines
    assert lines[-2:] == ["and 1 more", "all is well"]
    assert orjson.loads(to_json(now, ()))["stages"][0]["workers"][0]["broken_sources"]["s03"] == ["silent"]


def test_a_source_that_two_workers_know_is_named_once_with_all_that_is_wrong() -> None:
    one = replace(WORKER, broken_sources={"ellery": ("no_dates",), "alder": ("silent",)})
    two = replace(WORKER, broken_sources={"ellery": ("no_authors", "no_dates")})
    assert picture(GROUP, one, two).broken_sources == [("alder", ("silent",)), ("ellery", ("no_authors", "no_dates"))]
    assert picture().broken_sources == []


def test_the_console_shows_broken_sources_up_to_a_bound() -> None:
    broken = {f"s{n:02}" + "x" * 200: ("no_dates", "silent") for n in range(25)}
    shown = status_view(picture(GROUP, replace(WORKER, broken_sources=broken)), ())
    assert len(shown["sources"]) == 20
    assert shown["sources_hidden"] == 5
    assert shown["sources"][0] == {"name": "s00" + "x" * 76 + "…", "problems": ("no_dates", "silent")}
    assert shown["problems"] == []
    assert (status_view(picture(), ())["sources"], status_view(picture(), ())["sources_hidden"]) == ([], 0)


def gateway_metrics() -> tuple[GatewayMetrics, Health]:
    metrics, health = GatewayMetrics(), Health(60)
    metrics.watch(health)
    health.ready()
    metrics.documents.labels("wire", "accepted").inc(7)
    metrics.documents.labels("gazette", "accepted").inc(2)
    metrics.documents.labels("gazette", "no_content").inc(1)
    metrics.requests.labels("/v1/articles", 202).inc(4)
    metrics.requests.labels("/v1/articles", 503).inc(3)
    metrics.requests.labels("/readyz", 503).inc(50)
    metrics.seconds.observe(0.02)
    return metrics, health


def test_a_gateways_metrics_are_read_as_they_are_served() -> None:
    metrics, health = gateway_metrics()
    found = scrapes.parse(generate_latest(metrics.registry).decode(), URL, 5.0)
    assert isinstance(found, GatewayScrape)
    assert found.documents == {"accepted": 9.0, "no_content": 1.0}
    assert (found.ready, found.healthy, found.refused, found.seconds_p99) == (True, True, 3.0, 0.025)
    health.ready("Kafka does not answer")
    again = scrapes.parse(generate_latest(metrics.registry).decode(), URL, 5.0)
    assert not again.ready


def test_a_gateway_that_refuses_is_a_problem_and_one_that_throttles_is_not() -> None:
    history = History()
    scrape = GatewayScrape(URL, 10.0, "1", ready=True, healthy=True, requests={"202": 5.0, "429": 0.0}, started=0.0)
    history.add(scrape)
    history.add(replace(scrape, at=20.0, documents={"accepted": 50.0}, requests={"202": 9.0, "429": 90.0}))
    calm = GatewayLine(scrape, (history.rate([f"{URL} accepted"], 0),), (history.rate([f"{URL} refused"], 0),))
    assert (calm.accepted, calm.refused) == ((5.0,), (0.0,))
    assert texts(replace(picture(), gateways=(calm,))) == []
    history.add(replace(scrape, at=30.0, documents={"accepted": 50.0}, requests={"202": 9.0, "503": 20.0}))
    busy = replace(calm, refused=(history.rate([f"{URL} refused"], 0),))
    assert texts(replace(picture(), gateways=(busy,))) == [
        f"{URL} refuses 2.0 requests a second for no fault of theirs"
    ]
    away = replace(calm, scrape=replace(scrape, ready=False))
    assert texts(replace(picture(), gateways=(away,))) == [f"{URL}/readyz fails and says why"]


def test_the_screen_shows_a_gateway() -> None:
    scrape = GatewayScrape(URL, 10.0, "1", ready=True, healthy=True, in_flight=12.0)
    now = replace(picture(), gateways=(GatewayLine(scrape, (5.5, None, None), (2.5, None, None)),))
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(screen(now, problems(now)))
    (line,) = [line for line in console.export_text().splitlines() if line.strip().startswith("127.0.0.1:9401 ")]
    assert line.split() == ["127.0.0.1:9401", "yes", "5.5", "-", "-", "2.5", "12", "-"]
    assert orjson.loads(to_json(now, ()))["gateways"][0]["scrape"]["in_flight"] == 12.0


def test_what_is_no_worker_is_told_apart() -> None:
    with pytest.raises(KeyError):
        scrapes.parse("# nothing\nother_metric 1\n", URL, 0.0)
    with pytest.raises(scrapes.NoWorker):
        scrapes.read("http://127.0.0.1:1", 0.0)


def test_the_screen_and_the_json_tell_the_same() -> None:
    bad = picture(replace(GROUP, members=()))
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(screen(bad, problems(bad)))
    shown = console.export_text()
    assert "no worker runs, and input waits" in shown
    assert "docs/operations.md#a-worker-does-not-answer" in shown
    data = orjson.loads(to_json(bad, problems(bad)))
    assert data["healthy"] is False
    assert data["stages"][0]["group"]["partitions"][0]["committed"] == 90
    assert data["stages"][0]["workers"][0]["lag_seconds"] is None


def test_a_standby_is_shown_beside_the_partition_that_it_follows() -> None:
    metrics = Metrics()
    metrics.announce("dedup", "1.0.0", "kafka")
    metrics.standby_lag.labels("dedup", 0).set(1234)
    waits = scrapes.parse(generate_latest(metrics.registry).decode(), URL, 5.0)
    assert isinstance(waits, Scrape)
    assert waits.standby == {"0": 1234.0}

    def shown(*workers: Scrape) -> str:
        console = Console(file=io.StringIO(), width=100, force_terminal=False)
        now = picture(GROUP, *workers)
        console.print(screen(now, problems(now)))
        return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]

    assert "1,234 behind" in shown(WORKER, replace(waits, stage="ingest", ready=True, healthy=True))
    nearer = replace(waits, standby={"0": 7.0}, ready=True, healthy=True)
    assert "7 behind" in shown(WORKER, waits, nearer)
    assert "behind" not in shown(WORKER).replace("behind", "", 1), "the column of the stages alone"
    unknown = replace(waits, standby={"0": float("nan")})
    assert " ? " in shown(WORKER, unknown)
    assert orjson.loads(to_json(picture(GROUP, nearer), ()))["stages"][0]["workers"][0]["standby"] == {"0": 7.0}
