"""Replay: records that pass again, apart from the live ones, and the processes that replay."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard

from deploy.grafana.source.panels import board, graph, number


def build() -> dashboard.Dashboard:
    """Return the dashboard."""
    return (
        board("newsmill-replay", "Newsmill: replay", "What passes again, and whether it is felt by the live news.")
        .with_panel(
            number(
                "Replayed a second",
                "Replayed records that all stages finish, a second.",
                "sum(rate(newsmill_replayed_records_total[1m])) or vector(0)",
                unit="ops",
                span=6,
            )
        )
        .with_panel(
            number(
                "Live articles out",
                "Live articles that leave the pipeline, a second.",
                'sum(rate(newsmill_records_total{stage="classify"}[1m]))',
                unit="ops",
                span=6,
            )
        )
        .with_panel(
            number(
                "Live lag",
                "Records that wait in front of all stages.",
                "sum(newsmill_lag_records)",
                unit="short",
                warn=5_000,
                bad=50_000,
                span=6,
            )
        )
        .with_panel(
            number(
                "Live freshness",
                "Share of live articles of the last five minutes that came out within 5 seconds.",
                "1 - pipeline:newsmill_stale:ratio_rate5m",
                unit="percentunit",
                warn=0.99,
                bad=0.9,
                low_is_bad=True,
                span=6,
            )
        )
        .with_panel(
            graph(
                "Replayed by outcome",
                "What became of replayed records, by stage.",
                (
                    "sum by (stage, outcome) (rate(newsmill_replayed_records_total[1m]))",
                    "{{stage}} {{outcome}}",
                ),
                unit="ops",
                span=12,
                stacked=True,
            )
        )
        .with_panel(
            graph(
                "Live beside it",
                "Live records that each stage finishes, a second.",
                ("stage:newsmill_records:rate1m", "{{stage}}"),
                unit="ops",
                span=12,
            )
        )
        .with_row(dashboard.Row("Processes that replay"))
        .with_panel(
            graph(
                "Written by topic",
                "Records that each run writes, a second.",
                ("sum by (run, topic) (rate(newsmill_replay_written_records_total[1m]))", "{{run}} {{topic}}"),
                unit="ops",
                span=12,
                stacked=True,
            )
        )
        .with_panel(
            graph(
                "Ahead",
                "Offsets that are left up to the frozen end of each run's range.",
                ("sum by (run) (newsmill_replay_ahead_offsets)", "{{run}}"),
                unit="short",
                span=12,
            )
        )
        .with_panel(
            graph(
                "Held back for live traffic",
                "Records a second that each run may write; nothing is shown where nothing limits it.",
                ("max by (run) (newsmill_replay_limit_records_per_second) < 1e9", "{{run}}"),
                unit="ops",
                span=12,
            )
        )
        .with_panel(
            graph(
                "Live lag as the runs see it",
                "Records that live workers are behind. Above NEWSMILL_REPLAY_MAX_LIVE_LAG runs go slower.",
                ("max by (run) (newsmill_replay_live_lag_records)", "{{run}}"),
                unit="short",
                span=12,
            )
        )
    )
