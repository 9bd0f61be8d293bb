"""Gateway: what comes in over HTTP, and who is turned away."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard

from deploy.grafana.source.panels import board, graph, number

_ARTICLES = 'path="/v1/articles"'


def _share(status: str) -> str:
    return (
        f'sum(rate(newsmill_gateway_requests_total{{{_ARTICLES},status=~"{status}"}}[5m])) '
        f"/ (sum(rate(newsmill_gateway_requests_total{{{_ARTICLES}}}[5m])) > 0)"
    )


def _quantiles(metric: str, what: str) -> tuple[tuple[str, str], ...]:
    return tuple(
        (f"histogram_quantile({q}, sum by (le) (rate({metric}_bucket[5m])))", f"{what} {name}")
        for q, name in ((0.5, "p50"), (0.99, "p99"))
    )


def build() -> dashboard.Dashboard:
    """Return the dashboard."""
    return (
        board("newsmill-gateway", "Newsmill: gateway", "What comes in over HTTP, and who is turned away and why?")
        .with_row(dashboard.Row("Is it open?"))
        .with_panel(
            number(
                "Documents in",
                "Documents a second that Kafka has acknowledged.",
                'sum(rate(newsmill_gateway_documents_total{outcome="accepted"}[1m])) or vector(0)',
                unit="ops",
                span=6,
            )
        )
        .with_panel(
            number(
                "Turned away",
                "Share of requests answered with 5xx: Kafka is away, or too much waits for it. Senders send again.",
                _share("5.."),
                unit="percentunit",
                warn=0.001,
                bad=0.05,
                span=6,
            )
        )
        .with_panel(
            number(
                "Throttled",
                "Share of requests answered with 429: a sender sends faster than its name may.",
                _share("429"),
                unit="percentunit",
                warn=0.2,
                span=6,
            )
        )
        .with_panel(
            number(
                "Gateways not ready",
                "Gateways that say on /readyz that they can't take documents.",
                'count(newsmill_ready{stage="gateway"} == 0) or vector(0)',
                unit="short",
                bad=1,
                span=6,
            )
        )
        .with_row(dashboard.Row("Senders"))
        .with_panel(
            graph(
                "Documents by sender",
                "Documents a second that each sender has got in.",
                ('sum by (sender) (rate(newsmill_gateway_documents_total{outcome="accepted"}[1m]))', "{{sender}}"),
                unit="ops",
                span=12,
                stacked=True,
            )
        )
        .with_panel(
            graph(
                "Not taken",
                "Documents a second that were rejected, with the reason, or not confirmed in time.",
                (
                    'sum by (sender, outcome) (rate(newsmill_gateway_documents_total{outcome!="accepted"}[5m])) > 0',
                    "{{sender}} {{outcome}}",
                ),
                unit="ops",
                span=12,
                stacked=True,
            )
        )
        .with_panel(
            graph(
                "Answers",
                "Requests with documents, a second, by HTTP status. 202: all taken, 207: some, 422: none, 429: too "
                "fast, 503: later.",
                (f"sum by (status) (rate(newsmill_gateway_requests_total{{{_ARTICLES}}}[1m]))", "{{status}}"),
                unit="ops",
                span=12,
                stacked=True,
            )
        )
        .with_panel(
            graph(
                "Time to answer",
                "Until a request is answered, and how much of that is waiting for Kafka's acknowledgement.",
                *_quantiles("newsmill_gateway_request_seconds", "answer"),
                *_quantiles("newsmill_gateway_acknowledgement_seconds", "Kafka"),
                unit="s",
                span=12,
            )
        )
        .with_row(dashboard.Row("Limits"))
        .with_panel(
            graph(
                "Documents that wait for Kafka",
                "At NEWSMILL_GATEWAY_IN_FLIGHT_DOCUMENTS further ones are turned away.",
                ("newsmill_gateway_in_flight_documents", "{{instance}}"),
                unit="short",
            )
        )
        .with_panel(
            graph(
                "Bytes held",
                "At NEWSMILL_GATEWAY_IN_FLIGHT_BYTES further requests are turned away.",
                ("newsmill_gateway_in_flight_bytes", "{{instance}}"),
                unit="bytes",
            )
        )
        .with_panel(
            graph(
                "Received",
                "Bytes of bodies a second, decompressed, by sender.",
                ("sum by (sender) (rate(newsmill_gateway_received_bytes_total[1m]))", "{{sender}}"),
                unit="Bps",
                stacked=True,
            )
        )
    )
