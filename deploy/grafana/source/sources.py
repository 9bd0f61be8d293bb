"""Sources: who delivers how much, and whose documents are refused."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard

from deploy.grafana.source.panels import board, graph, listing, number, variable

_SOURCE = 'source=~"$source"'


def build() -> dashboard.Dashboard:
    """Return the dashboard."""
    return (
        board("newsmill-sources", "Newsmill: sources", "Who delivers how much? A broken scraper, or a quiet night?")
        .with_variable(variable("source", "label_values(newsmill_source_records_total, source)", "outlets"))
        .with_row(dashboard.Row("All"))
        .with_panel(
            number(
                "Documents an hour",
                "Documents brought in during the last hour.",
                "sum(increase(newsmill_source_records_total[1h]))",
                unit="short",
                span=6,
            )
        )
        .with_panel(
            number(
                "Sources that deliver",
                "Sources with a document in the last hour (those shown by name).",
                "count(sum by (source) (increase(newsmill_source_records_total[1h])) > 0) or vector(0)",
                unit="short",
                span=6,
            )
        )
        .with_panel(
            number(
                "Against yesterday",
                "Volume of the last hour against that hour of yesterday. Low with few silent sources: a quiet hour. "
                "With many: something of ours.",
                "sum(increase(newsmill_source_records_total[1h])) "
                "/ sum(increase(newsmill_source_records_total[1h] offset 1d))",
                unit="percentunit",
                warn=0.5,
                bad=0.1,
                low_is_bad=True,
                span=6,
            )
        )
        .with_panel(
            number(
                "Silent sources",
                "Sources that wrote at this hour yesterday and have not for two hours.",
                "count(sum by (source) (increase(newsmill_source_records_total[2h])) == 0 and on (source) "
                "sum by (source) (increase(newsmill_source_records_total[2h] offset 1d)) > 10) or vector(0)",
                unit="short",
                warn=1,
                span=6,
            )
        )
        .with_row(dashboard.Row("By source"))
        .with_panel(
            graph(
                "Volume",
                "Documents a minute, the twenty largest of those chosen.",
                (
                    f"topk(20, 60 * sum by (source) (rate(newsmill_source_records_total{{{_SOURCE}}}[10m])))",
                    "{{source}}",
                ),
                unit="short",
                span=12,
                stacked=True,
            )
        )
        .with_panel(
            graph(
                "Refused",
                "Share of each source's documents that went to dead letters.",
                (
                    f'sum by (source) (rate(newsmill_source_records_total{{{_SOURCE},outcome="dead_letter"}}[30m])) '
                    f"/ (sum by (source) (rate(newsmill_source_records_total{{{_SOURCE}}}[30m])) > 0)",
                    "{{source}}",
                ),
                unit="percentunit",
                span=12,
            )
        )
        .with_panel(
            listing(
                "The last day",
                "Documents of the last 24 hours by source, and how many of them were refused.",
                (f"topk(100, sum by (source) (increase(newsmill_source_records_total{{{_SOURCE}}}[1d])))", "documents"),
                (
                    f'sum by (source) (increase(newsmill_source_records_total{{{_SOURCE},outcome="dead_letter"}}[1d]))',
                    "refused",
                ),
                span=24,
            )
        )
        .with_row(dashboard.Row("How they do, against their own last two weeks"))
        .with_panel(
            listing(
                "Broken",
                "Sources that are broken, and by what: bodies gone or a quarter as long, dates or authors gone, most "
                "of it refused, or silent while the others deliver. A quiet day is none of these.",
                (f"max by (source, problem) (newsmill_source_broken{{{_SOURCE}}})", "broken"),
                span=8,
            )
        )
        .with_panel(
            graph(
                "Length of bodies",
                "Mean length of a source's latest 20 bodies, as a share of its usual one; those farthest down.",
                (
                    f"bottomk(20, max by (source) (newsmill_source_body_chars{{{_SOURCE}}}) "
                    f"/ (max by (source) (newsmill_source_usual_body_chars{{{_SOURCE}}}) > 0))",
                    "{{source}}",
                ),
                unit="percentunit",
                span=8,
            )
        )
        .with_panel(
            graph(
                "Volume of a day",
                "A source's documents of the last 24 hours of event time, as a share of a usual day; those farthest "
                "down. Low and not broken: a quiet day.",
                (
                    f"bottomk(20, max by (source) (newsmill_source_day_documents{{{_SOURCE}}}) "
                    f"/ (max by (source) (newsmill_source_usual_day_documents{{{_SOURCE}}}) > 0))",
                    "{{source}}",
                ),
                unit="percentunit",
                span=8,
            )
        )
        .with_panel(
            graph(
                "Without a date",
                "Share of a source's latest 20 articles without a date.",
                (
                    f'topk(20, max by (source) (newsmill_source_missing_ratio{{{_SOURCE},field="date"}}))',
                    "{{source}}",
                ),
                unit="percentunit",
                span=12,
            )
        )
        .with_panel(
            graph(
                "Without an author",
                "Share of a source's latest 20 articles without an author.",
                (
                    f'topk(20, max by (source) (newsmill_source_missing_ratio{{{_SOURCE},field="author"}}))',
                    "{{source}}",
                ),
                unit="percentunit",
                span=12,
            )
        )
    )
