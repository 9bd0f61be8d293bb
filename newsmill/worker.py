"""One worker: a stage, an engine, metrics and health, in one process."""

from __future__ import annotations

import contextlib
import gc
import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from datetime import timedelta
from multiprocessing import get_context
from pathlib import Path
from types import FrameType
from typing import ClassVar, Protocol

from prometheus_client import CollectorRegistry

from newsmill.errors import NewsmillError
from newsmill.health import Health, HealthServer
from newsmill.metrics import Metrics
from newsmill.settings import METRICS_PORTS, PREFIX, Settings, SettingsError
from workers import pipeline
from workers.stage import Record, Stage

log = logging.getLogger(__name__)


class PortTakenError(NewsmillError):
    """The port of metrics and health is taken."""

    exit_code: ClassVar[int] = 2


class StageOptionError(NewsmillError):
    """A setting of a stage can't be used: its file is away or wrong, say."""

    exit_code: ClassVar[int] = 2


class Engine(Protocol):
    """What a worker asks of an engine."""

    def run(self) -> None:
        """Work until `stop`; raise when the process must end and be started again."""

    def stop(self) -> None:
        """Finish the batch, make it durable, leave the group."""


def stage_options(settings: Settings) -> pipeline.StageOptions:
    """Return what the settings say about the stages' decisions.

    Raises SettingsError when the file of rules or of outlets can't be read or is wrong.
    """
    return pipeline.StageOptions(
        dedup_window=timedelta(days=settings.dedup_window_days),
        dedup_forward_copies=settings.dedup_forward_copies,
        ingest_keep_removed=settings.ingest_keep_removed,
        ingest_max_entries=settings.ingest_max_entries,
        ingest_outlets=read_outlets(settings.ingest_outlets),
        dedup_max_entries=settings.dedup_max_entries,
        dedup_similarity=settings.dedup_similarity,
        dedup_containment=settings.dedup_containment,
        dedup_evidence=settings.dedup_evidence,
        entities_gazetteer=Path(settings.entities_gazetteer) if settings.entities_gazetteer else None,
        entities_spacy_model=settings.entities_spacy_model or None,
        classify_rules=read_rules(settings.classify_rules),
    )


def load_stage(name: str, options: pipeline.StageOptions) -> Stage:
    """Return the stage called `name`, for this process to work with until it ends.

    Raises StageOptionError, which names the setting.
    """
    try:
        stage = pipeline.load(name, options)
    except pipeline.OptionError as error:
        option, _, problem = str(error).partition(": ")
        raise StageOptionError(f"{PREFIX}{option.upper()}: {problem}") from error
    # What a stage has loaded stays. Looking through it for garbage again and again took 8 % of the time of entities.
    gc.collect()
    gc.freeze()
    return stage


def read_rules(name: str) -> str:
    """Return the text of the file of rules `name`, empty when there is none.

    Raises SettingsError when it can't be read or is wrong: then line and column are named.
    """
    if not name:
        return ""
    from workers.classify import rules  # here, for a worker of another stage needs none of it

    return _read(name, "CLASSIFY_RULES", rules.parse)


def read_outlets(name: str) -> str:
    """Return the text of the table of outlets `name`, empty when there is none.

    Raises SettingsError when it can't be read or is wrong: then lines and columns are named.
    """
    if not name:
        return ""
    from workers.ingest import outlets  # here, for a worker of another stage needs none of it

    return _read(name, "INGEST_OUTLETS", outlets.parse)


def _read(name: str, setting: str, check: Callable[[str], object]) -> str:
    try:
        text = Path(name).read_text("utf-8")
        check(text)
    except (OSError, ValueError) as error:
        raise SettingsError(f"{PREFIX}{setting}, {name}: {error}") from error
    return text


def run_worker(stage_name: str, settings: Settings, engine_name: str = "kafka") -> None:
    """Load the stage, serve metrics and health, and work until SIGTERM or SIGINT.

    Raises whatever makes the engine stop; the process should then exit non-zero and be started again.
    """
    metrics = Metrics()
    health = Health(settings.stall_s)
    metrics.watch(stage_name, health)
    port = METRICS_PORTS[stage_name] if settings.metrics_port < 0 else settings.metrics_port
    with serving(settings.metrics_host, port, metrics.registry, health):
        started = time.perf_counter()
        stage = load_stage(stage_name, stage_options(settings))
        metrics.load_seconds.labels(stage_name).set(time.perf_counter() - started)
        with _prepare_pool(settings, stage_name) as pool:
            engine = make_engine(engine_name, stage, settings, metrics, health, pool)
            _stop_on_signals(engine)
            log.info("%s %s works with the %s engine", stage_name, stage.version, engine_name)
            engine.run()
    log.info("%s has stopped", stage_name)


def make_engine(
    name: str, stage: Stage, settings: Settings, metrics: Metrics, health: Health, pool: Executor | None
) -> Engine:
    """Return the engine called `name` (`kafka` or `faust`) with `stage` in it."""
    if name == "faust":
        from newsmill.engines.faust_engine import FaustEngine

        return FaustEngine(stage, settings, metrics, health, pool=pool, prepare=_prepare if pool else None)
    from newsmill.engines.kafka.engine import KafkaEngine

    return KafkaEngine(stage, settings, metrics, health, pool=pool, prepare=_prepare if pool else None)


@contextlib.contextmanager
def serving(host: str, port: int, registry: CollectorRegistry, health: Health) -> Iterator[None]:
    """Serve metrics and health on a thread of their own; on port 0 nothing. Raises PortTakenError."""
    if port == 0:
        yield
        return
    try:
        server = HealthServer(host, port, registry, health)
    except OSError as error:
        raise PortTakenError(
            f"metrics and health can't be served on {host}:{port} ({error.strerror}). "
            "Set NEWSMILL_METRICS_PORT to a free port, or to 0 to serve none"
        ) from error
    try:
        yield
    finally:
        server.close()


def _stop_on_signals(engine: Engine) -> None:
    def stop(number: int, frame: FrameType | None) -> None:
        log.info("stopping after this batch (%s)", signal.Signals(number).name)
        # A second signal ends the process at once: the transaction in the air then never happened.
        signal.signal(number, signal.SIG_DFL)
        engine.stop()

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)


# -- preparing records in processes of their own

_stage: Stage | None = None


@contextlib.contextmanager
def _prepare_pool(settings: Settings, stage_name: str) -> Iterator[Executor | None]:
    if not settings.prepare_processes:
        yield None
        return
    # Spawned, not forked: the parent has threads.
    with ProcessPoolExecutor(
        settings.prepare_processes,
        mp_context=get_context("spawn"),
        initializer=_load_for_preparing,
        initargs=(stage_name, stage_options(settings)),
    ) as pool:
        yield pool


def _load_for_preparing(stage_name: str, options: pipeline.StageOptions) -> None:
    global _stage
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _stage = pipeline.load(stage_name, options)


def _prepare(record: Record) -> object:
    if _stage is None:
        raise RuntimeError("this process was not set up to prepare records")
    return _stage.prepare(record)
