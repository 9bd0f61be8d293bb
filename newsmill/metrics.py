"""The catalogue of metrics. Every metric of newsmill is declared here, in base units and with bounded labels.

An input record is counted exactly once, after its batch is durable: over all outcomes, `newsmill_records_total` is the
number of inputs.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter as Counts
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from newsmill.health import Health
from newsmill.sourcegauges import SourceGauges

SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
AGE_SECONDS: Final = (0.05, 0.1, 0.25, 0.5, 1, 2, 5, 15, 60, 300, 1800, 7200, 86400)
BATCH_RECORDS: Final = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000)


def observe_all(histogram: Histogram, values: Sequence[float]) -> None:
    """Observe each of `values`, as `histogram.observe` would, at a fifth of the CPU: a batch has hundreds.

    It uses what prometheus-client keeps to itself; a test compares the two.
    """
    if not values:
        return
    bounds = histogram._upper_bounds
    counts = Counts(bisect_left(bounds, value) for value in values)
    for index, count in counts.items():
        histogram._buckets[index].inc(count)
    histogram._sum.inc(sum(values))


class Metrics:
    """The metrics of one worker. All carry the label `stage`; labels beyond that are named below.

    A registry of its own, not the global one: tests and the embedded engine run many in one process.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        r = self.registry

        # What became of the input. outcome: a kind that the stage declares, or `dead_letter`.
        self.records = Counter(
            "newsmill_records", "Input records, once each, by what became of them.", ["stage", "outcome"], registry=r
        )
        self.replayed = Counter(
            "newsmill_replayed_records",
            "Input records that carry a replay mark; not in newsmill_records_total.",
            ["stage", "outcome"],
            registry=r,
        )
        self.dead_letters = Counter(
            "newsmill_dead_letters", "Records sent to news.dead-letters.", ["stage", "reason"], registry=r
        )
        self.emitted = Counter(
            "newsmill_emitted_records",
            "Records written, by topic; replayed ones are left out.",
            ["stage", "topic"],
            registry=r,
        )
        self.sources = Counter(
            "newsmill_source_records",
            "Documents by source and by what became of them; the largest sources by name, the rest as `other`.",
            ["stage", "source", "outcome"],
            registry=r,
        )
        self.source_states = SourceGauges(r)
        self.notes = Counter(
            "newsmill_notes", "Things that a stage thinks worth counting.", ["stage", "note"], registry=r
        )

        # Where the time goes.
        self.processing = Histogram(
            "newsmill_batch_processing_seconds",
            "Time the stage takes for a batch.",
            ["stage"],
            buckets=SECONDS,
            registry=r,
        )
        self.queueing = Histogram(
            "newsmill_queueing_seconds",
            "From a record's arrival in the stage's topic to the begin of its batch.",
            ["stage"],
            buckets=AGE_SECONDS,
            registry=r,
        )
        self.committing = Histogram(
            "newsmill_batch_commit_seconds",
            "Time until a batch's outputs and offsets are durable.",
            ["stage"],
            buckets=SECONDS,
            registry=r,
        )
        self.batch = Histogram(
            "newsmill_batch_records", "Records in a batch.", ["stage"], buckets=BATCH_RECORDS, registry=r
        )
        self.age = Histogram(
            "newsmill_end_to_end_age_seconds",
            "From being brought in to being durable behind this stage.",
            ["stage"],
            buckets=AGE_SECONDS,
            registry=r,
        )

        # Where it stands, by partition of the stage's input. Unknown is NaN; a partition given up disappears.
        self.lag = Gauge(
            "newsmill_lag_records",
            "Records that wait: last stable offset minus position.",
            ["stage", "partition"],
            registry=r,
        )
        self.lag_seconds = Gauge(
            "newsmill_lag_seconds",
            "Age of the last record processed while more wait; 0 when none wait.",
            ["stage", "partition"],
            registry=r,
        )
        self.committed = Gauge(
            "newsmill_committed_offset", "Committed offset of the group.", ["stage", "partition"], registry=r
        )
        self.end = Gauge("newsmill_end_offset", "Last stable offset of the input.", ["stage", "partition"], registry=r)
        self.unstable = Gauge(
            "newsmill_unstable_records",
            "High watermark minus last stable offset: input behind an open transaction.",
            ["stage", "partition"],
            registry=r,
        )
        self.unstable_seconds = Gauge(
            "newsmill_unstable_seconds",
            "For how long the last stable offset has not moved while it is behind the high watermark.",
            ["stage", "partition"],
            registry=r,
        )

        # Is it alive?
        self.healthy = Gauge("newsmill_healthy", "1 while /healthz answers 200, else 0.", ["stage"], registry=r)
        self.ready = Gauge("newsmill_ready", "1 while /readyz answers 200, else 0.", ["stage"], registry=r)
        self.last_success = Gauge(
            "newsmill_last_success_timestamp_seconds", "When a batch last became durable.", ["stage"], registry=r
        )
        self.rebalances = Counter(
            "newsmill_rebalances", "Changes of the partitions of this worker.", ["stage"], registry=r
        )
        self.aborts = Counter(
            "newsmill_transaction_aborts", "Batches that were rolled back and tried again.", ["stage"], registry=r
        )
        self.exceptions = Counter(
            "newsmill_exceptions",
            "Records on which the stage raised: bugs, dead-lettered with their traceback.",
            ["stage"],
            registry=r,
        )

        # State.
        self.state_entries = Gauge("newsmill_state_entries", "Entries that the stage holds.", ["stage"], registry=r)
        self.state_bytes = Gauge("newsmill_state_bytes", "Bytes that they take.", ["stage"], registry=r)
        self.state_limit = Gauge(
            "newsmill_state_limit_entries",
            "Entries that the stage may hold in all its partitions; above that the oldest go early.",
            ["stage"],
            registry=r,
        )
        self.restore_seconds = Gauge(
            "newsmill_restore_seconds", "Time the last restore of state took.", ["stage"], registry=r
        )

        self.standby_lag = Gauge(
            "newsmill_standby_lag_records",
            "Log records not read yet of a partition whose state is kept warm here for another worker's; markers of "
            "transactions count, NaN is not known.",
            ["stage", "partition"],
            registry=r,
        )
        self.standby_records = Counter(
            "newsmill_standby_records", "Log records folded for partitions of other workers.", ["stage"], registry=r
        )

        self.load_seconds = Gauge(
            "newsmill_load_seconds", "Time it took to load the stage with its models.", ["stage"], registry=r
        )
        self.build = Gauge(
            "newsmill_build_info",
            "Always 1; the labels tell the versions.",
            ["stage", "version", "stage_version", "engine"],
            registry=r,
        )

    def watch(self, stage: str, health: Health) -> None:
        """Show what `health` says of the worker that runs `stage`, and what its process takes (CPU, memory, files)."""
        self.healthy.labels(stage).set_function(lambda: not health.problem())
        self.ready.labels(stage).set_function(lambda: not (health.problem() or health.not_ready()))
        ProcessCollector(registry=self.registry)

    def announce(self, stage: str, stage_version: str, engine: str) -> None:
        """Set the build info of the worker that runs `stage`."""
        self.build.labels(stage, version("newsmill"), stage_version, engine).set(1)


class GatewayMetrics:
    """The metrics of a gateway. `sender` is a name from `NEWSMILL_GATEWAY_TOKENS`, or `anybody`."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        r = self.registry
        self.requests = Counter(
            "newsmill_gateway_requests",
            "Requests answered, by path (those that are not served: `other`) and status.",
            ["path", "status"],
            registry=r,
        )
        self.documents = Counter(
            "newsmill_gateway_documents",
            "Documents by sender and outcome: `accepted` (Kafka has acknowledged), `unconfirmed` (it has not, the "
            "sender sends again), else why it was rejected.",
            ["sender", "outcome"],
            registry=r,
        )
        self.received = Counter(
            "newsmill_gateway_received_bytes", "Bodies of documents, decompressed.", ["sender"], registry=r
        )
        self.seconds = Histogram(
            "newsmill_gateway_request_seconds",
            "Time until a request with documents is answered.",
            buckets=SECONDS,
            registry=r,
        )
        self.confirming = Histogram(
            "newsmill_gateway_acknowledgement_seconds",
            "Of this, the time until Kafka has acknowledged all of them.",
            buckets=SECONDS,
            registry=r,
        )
        self.in_flight_documents = Gauge(
            "newsmill_gateway_in_flight_documents", "Documents that wait for Kafka's acknowledgement.", registry=r
        )
        self.in_flight_bytes = Gauge("newsmill_gateway_in_flight_bytes", "Bytes of bodies held.", registry=r)
        self.healthy = Gauge("newsmill_healthy", "1 while /healthz answers 200, else 0.", ["stage"], registry=r)
        self.ready = Gauge("newsmill_ready", "1 while /readyz answers 200, else 0.", ["stage"], registry=r)
        self.build = Gauge(
            "newsmill_gateway_build_info", "Always 1; the label tells the version.", ["version"], registry=r
        )
        self.build.labels(version("newsmill")).set(1)

    def watch(self, health: Health) -> None:
        """Show what `health` says of the gateway, and what its process takes (CPU, memory, files)."""
        self.healthy.labels("gateway").set_function(lambda: not health.problem())
        self.ready.labels("gateway").set_function(lambda: not (health.problem() or health.not_ready()))
        ProcessCollector(registry=self.registry)


class ReplayMetrics:
    """The metrics of a process that replays, redrives or promotes.

    All carry the label `run`; none has the name of a live worker's metric. Names of topics are without a namespace.

    Args:
        run: name of the run.
    """

    def __init__(self, run: str = "", registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self._run = run
        r = self.registry
        self.read = Counter(
            "newsmill_replay_read_offsets",
            "Offsets of what is replayed that this process has put behind it, by topic: records, those left out, and "
            "markers of transactions.",
            ["run", "topic"],
            registry=r,
        )
        self.written = Counter(
            "newsmill_replay_written_records",
            "Records that this process has written, by topic.",
            ["run", "topic"],
            registry=r,
        )
        self.records = Gauge(
            "newsmill_replay_records",
            "Records since the run began, over all its processes, by what became of them.",
            ["run", "kind"],
            registry=r,
        )
        self.ahead = Gauge(
            "newsmill_replay_ahead_offsets", "Offsets up to the frozen end of the range.", ["run"], registry=r
        )
        self.limit = Gauge(
            "newsmill_replay_limit_records_per_second",
            "Records a second that it may write at the moment; +Inf where nothing limits it.",
            ["run"],
            registry=r,
        )
        self.backing_off = Gauge(
            "newsmill_replay_backing_off", "1 while live workers make it slower than it was told.", ["run"], registry=r
        )
        self.live_lag = Gauge(
            "newsmill_replay_live_lag_records",
            "By how many records it sees live workers behind; NaN where that can't be told.",
            ["run"],
            registry=r,
        )
        self.paused = Gauge("newsmill_replay_paused", "1 while it is paused.", ["run"], registry=r)
        self.last_success = Gauge(
            "newsmill_replay_last_success_timestamp_seconds", "When it last wrote a checkpoint.", ["run"], registry=r
        )

    def wrote(
        self,
        read: Mapping[str, int],
        written: Mapping[str, int],
        records: Mapping[str, int],
        ahead: int,
        now: float,
    ) -> None:
        """A batch is durable.

        Args:
            read: offsets by topic. written: records by topic. records: of the whole run, by kind. ahead: offsets.
            now: seconds since the Unix epoch.
        """
        for topic, count in read.items():
            self.read.labels(self._run, topic).inc(count)
        for topic, count in written.items():
            self.written.labels(self._run, topic).inc(count)
        for kind, count in records.items():
            self.records.labels(self._run, kind).set(count)
        self.ahead.labels(self._run).set(ahead)
        self.last_success.labels(self._run).set(now)

    def watch(
        self,
        limit: Callable[[], float],
        backing_off: Callable[[], bool],
        live_lag: Callable[[], int | None],
        paused: Callable[[], bool],
    ) -> None:
        """Show what these return whenever somebody asks."""
        self.limit.labels(self._run).set_function(limit)
        self.backing_off.labels(self._run).set_function(lambda: float(backing_off()))
        self.live_lag.labels(self._run).set_function(lambda: math.nan if (lag := live_lag()) is None else lag)
        self.paused.labels(self._run).set_function(lambda: float(paused()))
