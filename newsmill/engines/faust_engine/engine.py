"""One stage as a Faust app: started by `newsmill worker STAGE --engine faust`, or by Faust's own command."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Executor
from functools import cached_property
from typing import Any

from newsmill import routes
from newsmill.engines.faust_engine.app import make_app, raw_topic
from newsmill.engines.faust_engine.batches import BatchLoop
from newsmill.engines.runner import Runner
from newsmill.health import Health
from newsmill.metrics import Metrics
from newsmill.settings import Settings
from newsmill.sources import shown_sources
from workers.stage import Record, Stage

log = logging.getLogger(__name__)

STOP_SECONDS = 20.0
"""How long Faust may take to stop, beyond the batch in flight. Nothing is lost if it takes longer."""


class FaustEngine:
    """Runs one stage as a member of its consumer group, at least once (docs/decisions/0005).

    What a killed worker leaves for the next one (the failure window, starts without progress) is in the metadata of
    the committed offsets, as with the kafka engine.

    Args:
        stage: the stage, loaded.
        settings: broker, instance, batch and timeouts.
        metrics: of this worker.
        health: of this worker.
        pool, prepare: where records are prepared, see Runner.
        on_step: called between the steps of a batch, see BatchLoop.
    """

    name = "faust"

    def __init__(
        self,
        stage: Stage,
        settings: Settings,
        metrics: Metrics,
        health: Health | None = None,
        *,
        pool: Executor | None = None,
        prepare: Callable[[Record], object] | None = None,
        on_step: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.stage = stage
        self.settings = settings
        self.metrics = metrics
        self.health = health or Health(settings.stall_s)
        self.runner = Runner(
            stage,
            metrics,
            dead_letter_limit=settings.dead_letter_limit,
            pool=pool,
            prepare=prepare,
            sources=shown_sources(settings.metrics_sources, metrics, stage.name),
            routes=routes.parse(settings.dedup_routes),
        )
        self._on_step = on_step
        self._stopping = False
        self._wake: Callable[[], object] = lambda: None

    @cached_property
    def app(self) -> Any:
        """The Faust app, made when it is first asked for; for `faust -A`. It connects when it is started."""
        app = make_app(self.settings, self.stage.name)
        loop = BatchLoop(app, self.runner, self.settings, self.metrics, self.health, self._on_step)
        app.before_stop = loop.finish
        app.admit = loop.admit
        app.has_room = loop.has_room
        app.agent(raw_topic(app, self.settings, self.stage.source), name=self.stage.name, concurrency=1)(loop.consume)

        @app.task  # type: ignore[untyped-decorator]  # Faust has no usable types
        async def work() -> None:
            await loop.run()

        @app.on_partitions_assigned.connect  # type: ignore[untyped-decorator]  # Faust has no usable types
        async def on_assigned(_: Any, partitions: Any, **__: Any) -> None:
            await loop.assigned(set(partitions))

        @app.on_partitions_revoked.connect  # type: ignore[untyped-decorator]  # Faust has no usable types
        async def on_revoked(_: Any, __: Any, **___: Any) -> None:
            await loop.revoked()

        # Faust holds them by weak references.
        app.newsmill_listeners = (on_assigned, on_revoked)
        self.metrics.announce(self.stage.name, self.stage.version, self.name)
        return app

    def stop(self) -> None:
        """Finish the batch, commit it, leave the group. May be called from a signal handler or another thread."""
        self._stopping = True
        self._wake()

    def run(self) -> None:
        """Work until `stop`.

        Raises WriteError, CommitError, RestoreError, DeadLetterLimitExceeded, KafkaError: the process must then exit
        without another try; the next start goes on from what the broker has.
        """
        asyncio.run(self._main())

    async def _main(self) -> None:
        loop, asked = asyncio.get_running_loop(), asyncio.Event()
        self._wake = lambda: loop.call_soon_threadsafe(asked.set)
        if self._stopping:
            return
        app = self.app
        started = asyncio.create_task(app.start())
        ended = asyncio.create_task(app.wait_until_stopped())
        stop = asyncio.create_task(asked.wait())
        try:
            waiting = {started, ended, stop}
            while not (stop.done() or ended.done() or (started.done() and started.exception())):
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                waiting.discard(started)
        finally:
            # From here on there is nothing to wake, and soon no event loop.
            self._wake = lambda: None
            await self._end(app)
            for task in (started, ended, stop):
                task.cancel()
            results = await asyncio.gather(started, ended, stop, return_exceptions=True)
        if app.crash_reason is not None:
            raise app.crash_reason
        for result in results[:2]:
            if isinstance(result, BaseException) and not isinstance(result, asyncio.CancelledError):
                raise result

    async def _end(self, app: Any) -> None:
        try:
            async with asyncio.timeout(STOP_SECONDS + self.settings.commit_timeout_s):
                await app.stop()
        except TimeoutError:
            log.warning("Faust did not stop in time; its membership will be missed by the group and end there")
        except Exception:  # what ended the worker is raised by the caller, and matters more
            log.exception("Faust did not stop cleanly")
