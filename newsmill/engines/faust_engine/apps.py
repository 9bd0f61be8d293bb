"""The stages as Faust apps, for Faust's own command:

    faust -A newsmill.engines.faust_engine.apps:ingest worker --loglevel info

Settings come from `NEWSMILL_*` variables, as for `newsmill worker` (but records are prepared in the worker itself, and
logging is Faust's). An app is made, with its stage's models, when its name is first asked for; importing this module
does nothing.
"""

from __future__ import annotations

import os
from typing import Any

from newsmill.engines.faust_engine.engine import FaustEngine
from newsmill.health import Health, HealthServer
from newsmill.metrics import Metrics
from newsmill.settings import METRICS_PORTS, Settings, from_environment
from newsmill.worker import load_stage, stage_options
from workers import pipeline


def __getattr__(name: str) -> Any:
    if name not in pipeline.STAGES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    app = globals()[name] = _make(name, from_environment(os.environ))
    return app


def _make(name: str, settings: Settings) -> Any:
    metrics, health = Metrics(), Health(settings.stall_s)
    metrics.watch(name, health)
    app = FaustEngine(load_stage(name, stage_options(settings)), settings, metrics, health).app
    port = METRICS_PORTS[name] if settings.metrics_port < 0 else settings.metrics_port
    if port:

        def serve() -> None:
            HealthServer(settings.metrics_host, port, metrics.registry, health)

        app.before_start = serve
    return app
