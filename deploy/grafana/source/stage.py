"""Stage: one stage in depth. Where does its time go, and which of its partitions stands?"""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard

from deploy.grafana.source.panels import board, graph, listing, number, variable

_STAGE = 'stage=~"$stage",instance=~"$instance"'


def _quantiles(metric: str) -> tuple[tuple[str, str], ...]:
    return tuple(
        (
            f"histogram_quantile({q}, sum by (stage, le) (rate({metric}_bucket{{{_STAGE}}}[5m])))",
            f"{{{{stage}}}} {name}",
        )
        for q, name in ((0.5, "p50"), (0.99, "p99"))
    )


def build() -> dashboard.Dashboard:
    """Return the dashboard."""
    return (
        board("newsmill-stage", "Newsmill: one stage", "Where does the time of a stage go, and which partition stands?")
        .with_variable(variable("stage", "label_values(newsmill_build_info, stage)", "the stage", many=False))
        .with_variable(
            variable("instance", 'label_values(newsmill_build_info{stage=~"$stage"}, instance)', "its workers")
        )
        .with_row(dashboard.Row("Work"))
        .with_panel(
            graph(
                "Outcomes",
                "What became of its input, records a second. Each input is counted once, when it is durable.",
                (f"sum by (outcome) (rate(newsmill_records_total{{{_STAGE}}}[1m]))", "{{outcome}}"),
                unit="ops",
                stacked=True,
            )
        )
        .with_panel(
            graph(
                "Where the time goes",
                "Share of each worker's time in the stage's own work and in committing; the rest is waiting for "
                "input. Near 100 % it is at its limit.",
                (
                    f"sum by (instance) (rate(newsmill_batch_processing_seconds_sum{{{_STAGE}}}[5m]))",
                    "{{instance}} working",
                ),
                (
                    f"sum by (instance) (rate(newsmill_batch_commit_seconds_sum{{{_STAGE}}}[5m]))",
                    "{{instance}} committing",
                ),
                unit="percentunit",
                stacked=True,
            )
        )
        .with_panel(
            graph(
                "Waiting in the topic",
                "From a record's arrival in the stage's topic to the begin of its batch.",
                *_quantiles("newsmill_queueing_seconds"),
                unit="s",
            )
        )
        .with_panel(
            graph(
                "Work on a batch",
                "Time that the stage takes for a batch.",
                *_quantiles("newsmill_batch_processing_seconds"),
                unit="s",
            )
        )
        .with_panel(
            graph(
                "Commit of a batch",
                "Time until outputs and offsets are durable: the broker's disks and replicas.",
                *_quantiles("newsmill_batch_commit_seconds"),
                unit="s",
            )
        )
        .with_panel(
            graph(
                "Batch size",
                "Records in a batch. Always at NEWSMILL_BATCH_RECORDS: it can't keep up. Always 1: it waits for input.",
                *_quantiles("newsmill_batch_records"),
                unit="short",
            )
        )
        .with_row(dashboard.Row("Partitions"))
        .with_panel(
            graph(
                "Lag by partition",
                "Records that wait, by partition. A gap means that it is not known.",
                (f"sum by (partition) (newsmill_lag_records{{{_STAGE}}})", "{{partition}}"),
                unit="short",
            )
        )
        .with_panel(
            graph(
                "Lag in seconds by partition",
                "Age of the last record processed while more wait.",
                (f"max by (partition) (newsmill_lag_seconds{{{_STAGE}}})", "{{partition}}"),
                unit="s",
            )
        )
        .with_panel(
            graph(
                "Progress by partition",
                "Committed offsets, records a second. A flat line at 0 while its lag grows is a stuck partition.",
                (f"sum by (partition) (deriv(newsmill_committed_offset{{{_STAGE}}}[2m]))", "{{partition}}"),
                unit="ops",
            )
        )
        .with_panel(
            graph(
                "Held back by open transactions",
                "Records behind a transaction that is not settled; readers can't see them yet.",
                (f"sum by (partition) (newsmill_unstable_records{{{_STAGE}}})", "{{partition}}"),
                unit="short",
            )
        )
        .with_panel(
            graph(
                "Rebalances, aborts, exceptions",
                "In ten minutes. Rebalances without end: see the runbook.",
                (f"sum(increase(newsmill_rebalances_total{{{_STAGE}}}[10m]))", "rebalances"),
                (f"sum(increase(newsmill_transaction_aborts_total{{{_STAGE}}}[10m]))", "batches rolled back"),
                (f"sum(increase(newsmill_exceptions_total{{{_STAGE}}}[10m]))", "records on which it raised"),
                unit="short",
            )
        )
        .with_panel(
            listing(
                "Offsets",
                "Committed and end offsets, by partition.",
                (f"sum by (partition) (newsmill_committed_offset{{{_STAGE}}})", "committed"),
                (f"sum by (partition) (newsmill_end_offset{{{_STAGE}}})", "end"),
            )
        )
        .with_row(dashboard.Row("Process"))
        .with_panel(
            graph(
                "CPU",
                "Cores that each worker uses.",
                (
                    'rate(process_cpu_seconds_total{job="newsmill"}[1m]) and on (instance) '
                    f"newsmill_ready{{{_STAGE}}}",
                    "{{instance}}",
                ),
                unit="short",
                span=6,
            )
        )
        .with_panel(
            graph(
                "Memory",
                "Resident memory of each worker.",
                (
                    f'process_resident_memory_bytes{{job="newsmill"}} and on (instance) newsmill_ready{{{_STAGE}}}',
                    "{{instance}}",
                ),
                unit="bytes",
                span=6,
            )
        )
        .with_panel(
            graph(
                "Starts",
                "Starts of each worker in the last 15 minutes.",
                (
                    'changes(process_start_time_seconds{job="newsmill"}[15m]) and on (instance) '
                    f"newsmill_ready{{{_STAGE}}}",
                    "{{instance}}",
                ),
                unit="short",
                span=6,
            )
        )
        .with_panel(
            number(
                "Time to load",
                "Time that the last start took to load the stage with its models.",
                f"max(newsmill_load_seconds{{{_STAGE}}})",
                unit="s",
                span=6,
            )
        )
        .with_row(dashboard.Row("Standby"))
        .with_panel(
            graph(
                "A standby is behind by",
                "Log records that the nearest worker that follows a partition has yet to read: what is left to do when "
                "it takes over. A gap means that it is not known; no line that nobody follows.",
                (f"min by (partition) (newsmill_standby_lag_records{{{_STAGE}}})", "{{partition}}"),
                unit="short",
            )
        )
        .with_panel(
            graph(
                "Followed by standbys",
                "Log records a second that workers fold for partitions of others.",
                (f"sum(rate(newsmill_standby_records_total{{{_STAGE}}}[1m]))", "folded"),
                unit="ops",
            )
        )
    )
