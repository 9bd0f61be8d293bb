"""Settings: `NEWSMILL_*` environment variables, read once into one frozen object.

Each field of `Settings` is a variable: `batch_records` is `NEWSMILL_BATCH_RECORDS`. A name that is not a field is
refused, so that a typing error can't pass unnoticed. Its `help` metadata is what `newsmill settings` prints.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from newsmill import routes
from newsmill.errors import NewsmillError

PREFIX: Final = "NEWSMILL_"
MASK: Final = "********"


class SettingsError(NewsmillError):
    """A setting is unknown or has an impossible value. The text names it and says what is allowed."""


def _setting(default: Any, help: str, *, secret: bool = False, check: Callable[[Any], str | None] | None = None) -> Any:
    return field(default=default, metadata={"help": help, "secret": secret, "check": check})


def _between(low: float, high: float) -> Callable[[Any], str | None]:
    def check(value: Any) -> str | None:
        return None if low <= value <= high else f"must be between {low} and {high}"

    return check


def _one_of(*allowed: str) -> Callable[[Any], str | None]:
    def check(value: Any) -> str | None:
        return None if value in allowed else f"must be one of: {', '.join(allowed)}"

    return check


def _table_of_languages(value: str) -> str | None:
    try:
        routes.parse(value)
    except ValueError as error:
        return str(error)
    return None


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that a process of newsmill may be told. Defaults suit one machine and a broker on loopback."""

    # -- the broker
    bootstrap: str = _setting("127.0.0.1:9092", "Kafka brokers, host:port, separated by commas")
    namespace: str = _setting("", "put before the names of topics, groups and transactions, to share a cluster")
    security_protocol: str = _setting(
        "PLAINTEXT",
        "how to talk to the brokers",
        check=_one_of("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"),
    )
    ssl_cafile: str = _setting("", "file of the certificate authorities to trust (PEM)")
    ssl_certfile: str = _setting("", "file of the client's certificate (PEM)")
    ssl_keyfile: str = _setting("", "file of the client's key (PEM)")
    ssl_password: str = _setting("", "password of the key file", secret=True)
    sasl_mechanism: str = _setting(
        "", "SASL mechanism", check=_one_of("", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "GSSAPI")
    )
    sasl_username: str = _setting("", "SASL user")
    sasl_password: str = _setting("", "SASL password", secret=True)
    compression: str = _setting("lz4", "compression of what is produced", check=_one_of("none", "lz4", "gzip"))

    # -- a worker
    instance: str = _setting("0", "name of this worker among those of its stage; stable over restarts, never shared")
    batch_records: int = _setting(500, "most records in a batch (one transaction)", check=_between(1, 10_000))
    batch_bytes: int = _setting(4 * 1024 * 1024, "most bytes of input in a batch", check=_between(1_024, 64 * 1024**2))
    linger_ms: int = _setting(10, "how long to wait for a batch to fill, milliseconds", check=_between(0, 10_000))
    commit_timeout_s: float = _setting(
        30.0, "longest that writing and committing a batch may take, seconds", check=_between(1, 300)
    )
    transaction_timeout_s: float = _setting(
        15.0, "the broker ends a dead worker's transaction after this, seconds", check=_between(1, 900)
    )
    session_timeout_s: float = _setting(
        10.0, "the broker gives a silent worker's partitions away after this, seconds", check=_between(1, 300)
    )
    max_batch_s: float = _setting(
        300.0, "longest that a batch may take before the group gives up on the worker, seconds", check=_between(5, 3600)
    )
    standby_partitions: int = _setting(
        -1,
        "partitions of other workers whose state this one keeps warm (each takes a state's memory); 0: none, -1: one "
        "where a stage's log has one partition",
        check=_between(-1, 256),
    )
    prepare_processes: int = _setting(
        0, "processes that prepare records (HTML extraction) beside the worker; 0: none", check=_between(0, 256)
    )
    dead_letter_limit: int = _setting(
        100,
        "most exceptions among the last 1,000 records of a partition before the worker stops",
        check=_between(1, 1000),
    )
    stall_s: float = _setting(
        60.0,
        "input that waits this long while nothing moves makes a worker unhealthy, seconds",
        check=_between(1, 3600),
    )

    # -- stages
    ingest_keep_removed: bool = _setting(False, "keep what ingest removes, and why, in the articles: for audits")
    ingest_max_entries: int = _setting(
        600_000,
        "most lines and articles that ingest remembers of the sources of a partition",
        check=_between(1_000, 50_000_000),
    )
    ingest_outlets: str = _setting("", "file of a team's outlets: where a document comes from, and its outlet")
    dedup_window_days: float = _setting(7.0, "how far back copies are looked for, days", check=_between(0.01, 60))
    dedup_forward_copies: bool = _setting(False, "send near copies on, tagged with their cluster")
    dedup_max_entries: int = _setting(
        2_000_000, "most articles held by dedup for a partition", check=_between(1_000, 50_000_000)
    )
    dedup_similarity: float = _setting(
        0.05, "near copies: least share of word pairs in common, of all of both texts", check=_between(0.0, 1.0)
    )
    dedup_containment: float = _setting(
        0.3, "near copies: least share of one text's word pairs that is in the other", check=_between(0.0, 1.0)
    )
    dedup_evidence: float = _setting(
        0.7,
        "near copies: how much must speak for one story; higher: fewer false copies, more missed ones",
        check=_between(-1.0, 2.5),
    )
    dedup_routes: str = _setting(
        "",
        "partition of news.articles by language, as en=0,de=1,*=2; for ingest, where news.articles has more than one",
        check=_table_of_languages,
    )
    entities_gazetteer: str = _setting("", "file of a team's own names (TSV or NDJSON: surface, type, id, priority)")
    entities_spacy_model: str = _setting("", "spaCy model that finds names in place of ours (needs the extra `spacy`)")

    # -- the gateway
    gateway_host: str = _setting("127.0.0.1", "address that the gateway listens on; any but loopback needs tokens")
    gateway_port: int = _setting(8480, "port that the gateway listens on", check=_between(1, 65535))
    gateway_tokens: str = _setting("", "who may send: NAME:TOKEN, separated by commas; empty: anybody", secret=True)
    gateway_rate: float = _setting(
        2_000.0, "documents a second that each name may send; 0: no limit", check=_between(0, 1_000_000)
    )
    gateway_burst: int = _setting(
        10_000, "documents that a name may send at once after a pause", check=_between(1, 1_000_000)
    )
    gateway_request_documents: int = _setting(1_000, "most documents in a request", check=_between(1, 100_000))
    gateway_request_bytes: int = _setting(
        32 * 1024 * 1024, "largest body of a request, decompressed, bytes", check=_between(1_024, 1024**3)
    )
    gateway_in_flight_documents: int = _setting(
        10_000, "most documents that wait for Kafka at once; more are answered with 503", check=_between(1, 1_000_000)
    )
    gateway_in_flight_bytes: int = _setting(
        128 * 1024 * 1024, "most bytes of bodies that are held at once", check=_between(1_024, 64 * 1024**3)
    )
    gateway_timeout_s: float = _setting(
        15.0, "longest to wait for Kafka's acknowledgement, then 503; seconds", check=_between(1, 300)
    )

    # -- the console
    console_host: str = _setting("127.0.0.1", "address that the console listens on; any but loopback needs names")
    console_port: int = _setting(8490, "port that the console listens on", check=_between(1, 65535))
    console_names: str = _setting(
        "", "host names under which browsers may open the console, beside localhost; separated by commas"
    )

    classify_rules: str = _setting("", "file of rules that give articles a team's own subjects")

    # -- replay
    replay_max_live_lag: int = _setting(
        1_000,
        "a replay backs off while live workers are behind by more records than this",
        check=_between(0, 100_000_000),
    )
    replay_metrics_port: int = _setting(
        0, "port of metrics and health of a replay, redrive or promotion; 0: none", check=_between(0, 65535)
    )
    redrive_limit: int = _setting(
        3, "how many times a dead letter is put back before it stays where it is", check=_between(1, 1_000)
    )

    # -- the process
    state_dir: str = _setting(".newsmill", "directory for snapshots and the local cluster's data")
    metrics_host: str = _setting("127.0.0.1", "address that metrics and health are served on")
    metrics_port: int = _setting(
        -1,
        "port of metrics and health; -1: the stage's own (9401 to 9404; gateway 9405), 0: none",
        check=_between(-1, 65535),
    )
    metrics_sources: int = _setting(
        500, "most sources that metrics show by name; the rest are one `other`", check=_between(0, 5_000)
    )
    log_level: str = _setting("info", "what is logged", check=_one_of("debug", "info", "warning", "error"))
    log_format: str = _setting("auto", "auto: text on a terminal, else JSON", check=_one_of("auto", "text", "json"))

    def shown(self) -> dict[str, str]:
        """Return every setting as text for a person, secrets masked."""
        return {
            f.name: (MASK if getattr(self, f.name) else "") if f.metadata["secret"] else str(getattr(self, f.name))
            for f in dataclasses.fields(self)
        }

    def path(self, *parts: str) -> Path:
        """Return a path below the state directory."""
        return Path(self.state_dir, *parts)


METRICS_PORTS: Final = {"ingest": 9401, "dedup": 9402, "entities": 9403, "classify": 9404}
"""Default port of metrics and health, by stage."""

GATEWAY_METRICS_PORT: Final = 9405
"""Default port of the gateway's metrics and health, which are for those who run it; senders see another port."""

PORT_STEP: Final = 10
"""Distance of the ports of a stage's workers on one machine: 9401, 9411, ..."""


def from_environment(environment: Mapping[str, str], **overrides: Any) -> Settings:
    """Return the settings that `environment` (such as `os.environ`) holds; `overrides` (from options) win.

    Raises SettingsError for an unknown `NEWSMILL_` variable and for a value that doesn't fit.
    """
    fields = {f.name: f for f in dataclasses.fields(Settings)}
    values: dict[str, Any] = {}
    for variable, text in environment.items():
        if not variable.startswith(PREFIX):
            continue
        name = variable.removeprefix(PREFIX).lower()
        if name not in fields:
            raise SettingsError(f"{variable} is not a setting; `newsmill settings` lists them all")
        values[name] = _parse(variable, text, fields[name].default)
    values.update({name: value for name, value in overrides.items() if value is not None})
    for name, value in values.items():
        check = fields[name].metadata["check"]
        if check is not None and (problem := check(value)) is not None:
            raise SettingsError(f"{PREFIX}{name.upper()} is {value!r}: {problem}")
    return Settings(**values)


def _parse(variable: str, text: str, default: Any) -> Any:
    text = text.strip()
    if isinstance(default, bool):
        if text.lower() in ("1", "true", "yes", "on"):
            return True
        if text.lower() in ("0", "false", "no", "off", ""):
            return False
        raise SettingsError(f"{variable} is {text!r}: must be true or false")
    if isinstance(default, int):
        try:
            return int(text)
        except ValueError:
            raise SettingsError(f"{variable} is {text!r}: must be a whole number") from None
    if isinstance(default, float):
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise SettingsError(f"{variable} is {text!r}: must be a number")
        return number
    return text
