"""The workers' side: what each one's /metrics says."""

from __future__ import annotations

import http.client
import math
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from prometheus_client.parser import text_string_to_metric_families

from newsmill.settings import GATEWAY_METRICS_PORT, METRICS_PORTS, PORT_STEP

TIMEOUT_SECONDS: Final = 2.0
MAX_BYTES: Final = 32 * 1024 * 1024
ARTICLES: Final = "/v1/articles"
"""Where a gateway takes documents."""
MOST_WORKERS: Final = 32
"""Workers of a stage that are looked for on this machine."""


@dataclass(frozen=True, slots=True)
class Scrape:
    """What one worker says of itself. `at` is when it was asked, seconds since the Unix epoch."""

    url: str
    at: float
    stage: str
    engine: str
    version: str
    ready: bool
    healthy: bool
    records: dict[str, float] = field(default_factory=dict)
    """Records by outcome, since the worker started."""
    replayed: float = 0.0
    dead_letters: dict[str, float] = field(default_factory=dict)
    lag_seconds: float = math.nan
    age_p99: float = math.nan
    """End-to-end age that 99 % of its records stayed below, seconds, over the worker's life."""
    started: float = math.nan
    state_entries: float = 0.0
    broken_sources: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Sources that are broken, with what is wrong with each."""
    standby: dict[str, float] = field(default_factory=dict)
    """Log records not read yet, by partition whose state it keeps warm for another worker; NaN is not known."""


@dataclass(frozen=True, slots=True)
class GatewayScrape:
    """What one gateway says of itself. `at` is when it was asked, seconds since the Unix epoch."""

    url: str
    at: float
    version: str
    ready: bool
    healthy: bool
    documents: dict[str, float] = field(default_factory=dict)
    """Documents by outcome, since it started."""
    requests: dict[str, float] = field(default_factory=dict)
    """Requests with documents by HTTP status, since it started."""
    seconds_p99: float = math.nan
    """Time in which 99 % of the requests with documents were answered, over its life."""
    in_flight: float = 0.0
    """Documents that wait for Kafka now."""
    started: float = math.nan

    @property
    def refused(self) -> float:
        """Requests turned away for no fault of theirs: answered with 5xx."""
        return sum(count for status, count in self.requests.items() if status.startswith("5"))


class NoWorker(Exception):
    """Nothing that answers like a worker or a gateway is at an address."""


def read(url: str, at: float) -> Scrape | GatewayScrape:
    """Return what the worker or gateway at `url` (`http://host:port`) says. Raises NoWorker."""
    try:
        with urllib.request.urlopen(f"{url}/metrics", timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310  (http or https: the option has been checked)
            text = answer.read(MAX_BYTES).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise NoWorker(str(getattr(error, "reason", error))) from error
    try:
        return parse(text, url, at)
    except (ValueError, KeyError) as error:
        raise NoWorker(f"what it answers are no metrics of a worker: {error!r}") from error


def parse(text: str, url: str, at: float) -> Scrape | GatewayScrape:
    """Return what `text` (Prometheus' text format) says.

    Raises ValueError or KeyError when it is neither a worker's nor a gateway's.
    """
    values: dict[str, list[tuple[dict[str, str], float]]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            values.setdefault(sample.name, []).append((sample.labels, sample.value))
    return _gateway(values, url, at) if "newsmill_gateway_build_info" in values else _worker(values, url, at)


_Values = Mapping[str, Sequence[tuple[dict[str, str], float]]]


def _worker(values: _Values, url: str, at: float) -> Scrape:
    ((build, _),) = values["newsmill_build_info"]

    def one(name: str, default: float = math.nan) -> float:
        return sum(value for _, value in values[name]) if values.get(name) else default

    def by(name: str, label: str) -> dict[str, float]:
        return {labels[label]: value for labels, value in values.get(name, ()) if value}

    lags = [value for _, value in values.get("newsmill_lag_seconds", ())]
    return Scrape(
        url=url,
        at=at,
        stage=build["stage"],
        engine=build["engine"],
        version=build["stage_version"],
        ready=one("newsmill_ready", 0) > 0,
        healthy=one("newsmill_healthy", 0) > 0,
        records=by("newsmill_records_total", "outcome"),
        replayed=one("newsmill_replayed_records_total", 0),
        dead_letters=by("newsmill_dead_letters_total", "reason"),
        lag_seconds=max(lags, default=math.nan),
        age_p99=_quantile(values.get("newsmill_end_to_end_age_seconds_bucket", ()), 0.99),
        started=one("process_start_time_seconds"),
        state_entries=one("newsmill_state_entries", 0),
        broken_sources=_broken(values.get("newsmill_source_broken", ())),
        standby={labels["partition"]: value for labels, value in values.get("newsmill_standby_lag_records", ())},
    )


def _broken(samples: Sequence[tuple[dict[str, str], float]]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for labels, _ in samples:
        found[labels["source"]] = (*found.get(labels["source"], ()), labels["problem"])
    return found


def _gateway(values: _Values, url: str, at: float) -> GatewayScrape:
    ((build, _),) = values["newsmill_gateway_build_info"]

    def one(name: str) -> float:
        return sum(value for _, value in values.get(name, ()))

    documents: dict[str, float] = {}
    for labels, value in values.get("newsmill_gateway_documents_total", ()):
        documents[labels["outcome"]] = documents.get(labels["outcome"], 0.0) + value
    requests = {
        labels["status"]: value
        for labels, value in values.get("newsmill_gateway_requests_total", ())
        if labels["path"] == ARTICLES
    }
    return GatewayScrape(
        url=url,
        at=at,
        version=build["version"],
        ready=one("newsmill_ready") > 0,
        healthy=one("newsmill_healthy") > 0,
        documents=documents,
        requests=requests,
        seconds_p99=_quantile(values.get("newsmill_gateway_request_seconds_bucket", ()), 0.99),
        in_flight=one("newsmill_gateway_in_flight_documents"),
        started=one("process_start_time_seconds"),
    )


def _quantile(buckets: Sequence[tuple[dict[str, str], float]], share: float) -> float:
    """Return the upper bound of the bucket in which the quantile lies; NaN where nothing was observed."""
    ordered = sorted((float(labels["le"]), count) for labels, count in buckets)
    if not ordered or not ordered[-1][1]:
        return math.nan
    return next(bound for bound, count in ordered if count >= share * ordered[-1][1])


def local_addresses(host: str) -> Iterator[list[str]]:
    """Yield, by stage and for the gateway, the addresses at which `newsmill up` would have them, nearest slot first."""
    for port in (*METRICS_PORTS.values(), GATEWAY_METRICS_PORT):
        yield [f"http://{host}:{port + PORT_STEP * slot}" for slot in range(MOST_WORKERS)]
