"""Dedup and content: how much is copied, and what the news is about."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard

from deploy.grafana.source.panels import board, graph, number

_DEDUP = 'stage="dedup"'


def build() -> dashboard.Dashboard:
    """Return the dashboard."""
    return (
        board("newsmill-content", "Newsmill: dedup and content", "How much is copied, and what comes out?")
        .with_row(dashboard.Row("Dedup"))
        .with_panel(
            number(
                "Copies",
                "Share of the last hour's articles that were a copy or a recrawl.",
                'sum(increase(newsmill_records_total{stage="dedup",outcome=~".*copy|recrawl"}[1h])) '
                '/ sum(increase(newsmill_records_total{stage="dedup"}[1h]))',
                unit="percentunit",
                span=6,
            )
        )
        .with_panel(
            number(
                "Articles in memory",
                "Articles that dedup compares with.",
                f"sum(newsmill_state_entries{{{_DEDUP}}})",
                unit="short",
                span=6,
            )
        )
        .with_panel(
            number(
                "Bytes an article",
                "Memory that dedup takes for each.",
                f"sum(newsmill_state_bytes{{{_DEDUP}}}) / (sum(newsmill_state_entries{{{_DEDUP}}}) > 0)",
                unit="bytes",
                warn=1_500,
                bad=3_000,
                span=6,
            )
        )
        .with_panel(
            number(
                "State of its bound",
                "Entries against NEWSMILL_DEDUP_MAX_ENTRIES: beyond it the oldest go before the window ends.",
                f"max(newsmill_state_entries{{{_DEDUP}}} / newsmill_state_limit_entries{{{_DEDUP}}})",
                unit="percentunit",
                warn=0.8,
                bad=0.9,
                span=6,
            )
        )
        .with_panel(
            graph(
                "Verdicts",
                "What dedup decided, articles a second.",
                (f"sum by (outcome) (rate(newsmill_records_total{{{_DEDUP}}}[5m]))", "{{outcome}}"),
                unit="ops",
                span=12,
                stacked=True,
            )
        )
        .with_panel(
            graph(
                "State",
                "Articles in memory, and the time that the last restore of state took.",
                (f"sum by (instance) (newsmill_state_entries{{{_DEDUP}}})", "{{instance}} articles"),
                ("sum by (instance) (newsmill_restore_seconds)", "{{instance}} seconds to restore"),
                unit="short",
                span=12,
            )
        )
        .with_row(dashboard.Row("Content"))
        .with_panel(
            graph(
                "Entities",
                "What became of the articles in the stage entities, a second.",
                ('sum by (outcome) (rate(newsmill_records_total{stage="entities"}[5m]))', "{{outcome}}"),
                unit="ops",
                stacked=True,
            )
        )
        .with_panel(
            graph(
                "Subjects",
                "Classified, unclassified, and languages that the model does not know, a second.",
                ('sum by (outcome) (rate(newsmill_records_total{stage="classify"}[5m]))', "{{outcome}}"),
                unit="ops",
                stacked=True,
            )
        )
        .with_panel(
            graph(
                "Notes",
                "What stages thought worth counting, a second: see the stage's `notes`.",
                ("sum by (stage, note) (rate(newsmill_notes_total[5m]))", "{{stage}} {{note}}"),
                unit="ops",
            )
        )
    )
