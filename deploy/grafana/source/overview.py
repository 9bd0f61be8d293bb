"""Overview: is it well, and if not, where to look."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard

from deploy.grafana.source.panels import board, graph, listing, number


def build() -> dashboard.Dashboard:
    """Return the dashboard."""
    return (
        board(
            "newsmill-overview", "Newsmill: overview", "Is it well? If not: which stage, which partition, since when?"
        )
        .with_row(dashboard.Row("Is it well?"))
        .with_panel(
            number(
                "Articles out",
                "Articles that leave the pipeline classified, a second.",
                'sum(rate(newsmill_records_total{stage="classify"}[1m]))',
                unit="ops",
            )
        )
        .with_panel(
            number(
                "Fresh",
                "Share of the last hour's articles that came out within 5 seconds of being brought in; goal: 99 %.",
                "1 - pipeline:newsmill_stale:ratio_rate1h",
                unit="percentunit",
                warn=0.99,
                bad=0.9,
                low_is_bad=True,
            )
        )
        .with_panel(
            number(
                "Waiting",
                "Records that wait in front of all stages.",
                "sum(newsmill_lag_records)",
                unit="short",
                warn=5_000,
                bad=50_000,
            )
        )
        .with_panel(
            number(
                "Stuck partitions",
                "Partitions whose committed offset has not moved for 5 minutes while records wait, and those that an "
                "open transaction holds back.",
                "count((newsmill_lag_records > 0 and changes(newsmill_committed_offset[5m]) == 0) "
                "or (newsmill_unstable_records > 0 and newsmill_unstable_seconds > 30)) or vector(0)",
                unit="short",
                bad=1,
            )
        )
        .with_panel(
            number(
                "Refused",
                "Share of news.raw that went to dead letters in the last ten minutes.",
                'stage:newsmill_dead_letters:ratio_rate10m{stage="ingest"}',
                unit="percentunit",
                warn=0.05,
                bad=0.25,
            )
        )
        .with_panel(
            number(
                "Workers not ready",
                "Workers that are up and say on /readyz or /healthz that they can't work, and scrapes that fail.",
                'count(newsmill_ready == 0 or newsmill_healthy == 0 or up{job="newsmill"} == 0) or vector(0)',
                unit="short",
                warn=1,
            )
        )
        .with_row(dashboard.Row("The flow"))
        .with_panel(
            graph(
                "Throughput by stage",
                "Records that each stage has finished, a second. In a quiet pipeline all lines lie together; one below "
                "the others falls behind.",
                ("stage:newsmill_records:rate1m", "{{stage}}"),
                unit="ops",
                span=12,
            )
        )
        .with_panel(
            graph(
                "Lag by stage",
                "Records that wait in front of each stage.",
                ("stage:newsmill_lag_records:sum", "{{stage}}"),
                unit="short",
                span=12,
            )
        )
        .with_panel(
            graph(
                "Age when done",
                "From being brought in to being durable behind each stage: median and 99th percentile.",
                (
                    "histogram_quantile(0.5, sum by (stage, le) (rate(newsmill_end_to_end_age_seconds_bucket[5m])))",
                    "{{stage}} p50",
                ),
                (
                    "histogram_quantile(0.99, sum by (stage, le) (rate(newsmill_end_to_end_age_seconds_bucket[5m])))",
                    "{{stage}} p99",
                ),
                unit="s",
            )
        )
        .with_panel(
            graph(
                "Late articles",
                "Share of articles that took more than 5 seconds; 1 % is the budget. Alerts look at two windows each.",
                ("pipeline:newsmill_stale:ratio_rate5m", "5 minutes"),
                ("pipeline:newsmill_stale:ratio_rate1h", "1 hour"),
                ("pipeline:newsmill_stale:ratio_rate6h", "6 hours"),
                unit="percentunit",
            )
        )
        .with_panel(
            graph(
                "Dead letters",
                "Records refused, a second, by stage and reason.",
                ("sum by (stage, reason) (rate(newsmill_dead_letters_total[5m])) > 0", "{{stage}} {{reason}}"),
                unit="ops",
                stacked=True,
            )
        )
        .with_row(dashboard.Row("Who runs"))
        .with_panel(
            listing(
                "Versions",
                "Each worker, its version and that of its stage with weights and data.",
                ("newsmill_build_info", "workers"),
                span=12,
            )
        )
        .with_panel(
            listing(
                "Alerts that fire",
                "What Prometheus warns of now. Each alert's annotation names the runbook.",
                ('ALERTS{alertname=~"Newsmill.*",alertstate="firing"}', "firing"),
                span=12,
            )
        )
    )
