"""Search for one article over the topics, while whoever asked is told how far it is."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from kafka.errors import KafkaError

from newsmill.console.views import clip
from newsmill.settings import Settings
from newsmill.trace import Found, Story, Wanted, search, stories

log = logging.getLogger(__name__)

MOST_SECONDS: Final = 120.0
MOST_STORIES: Final = 50
MOST_STEPS: Final = 50
MOST_DETAILS: Final = 40
TELL_SECONDS: Final = 0.5

Search = Callable[..., Found]


class _Stopped(Exception):
    """The search takes too long, or nobody waits for it any more."""


class Lookup:
    """One search, on a thread of its own.

    Args:
        settings: where the topics are.
        wanted: the article.
        since_ms: read what arrived since then alone, milliseconds since the Unix epoch; None: everything.
        find: searches, as `newsmill.trace.search` does.
    """

    def __init__(self, settings: Settings, wanted: Wanted, since_ms: int | None, find: Search = search) -> None:
        self._settings = settings
        self._wanted = wanted
        self._since_ms = since_ms
        self._find = find
        self._until = time.monotonic() + MOST_SECONDS
        self._cancelled = threading.Event()
        # Small and few: two a second, for as long as a search may take.
        self._answers: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._told = 0.0
        self._thread = threading.Thread(target=self._run, name="lookup", daemon=True)
        self._thread.start()

    def cancel(self) -> None:
        """Stop the search soon."""
        self._cancelled.set()

    @property
    def running(self) -> bool:
        """Whether it still reads."""
        return self._thread.is_alive()

    def take(self) -> Iterator[dict[str, Any]]:
        """Yield what there is to tell by now; the last of all has `stories` or `problem`."""
        with contextlib.suppress(queue.Empty):
            while True:
                yield self._answers.get_nowait()

    def _run(self) -> None:
        try:
            found = self._find(self._settings, self._wanted, since_ms=self._since_ms, on_progress=self._progress)
            told = stories(found)
            self._answers.put(
                {
                    "id": self._wanted.id,
                    "stories": [_plain(story) for story in told[-MOST_STORIES:]],
                    "hidden": max(0, len(told) - MOST_STORIES),
                    "cut": found.cut,
                }
            )
        except _Stopped:
            what_else = "look back less far, or use `newsmill trace`"
            self._answers.put({"problem": f"the search was given up after {MOST_SECONDS:.0f} s: {what_else}"})
        except (KafkaError, OSError) as error:
            self._answers.put({"problem": f"Kafka does not answer: {clip(str(error) or type(error).__name__)}"})
        except Exception:
            log.exception("a search failed: a bug of the console's")
            self._answers.put({"problem": "a bug of the console's; its log says more"})

    def _progress(self, topic: str, read: int) -> None:
        now = time.monotonic()
        if self._cancelled.is_set() or now > self._until:
            raise _Stopped
        if now - self._told >= TELL_SECONDS:
            self._told = now
            self._answers.put({"topic": topic, "read": read})


def _plain(story: Story) -> dict[str, Any]:
    plain = dataclasses.asdict(story)
    plain["outcome"] = clip(story.outcome)
    plain["steps"] = [
        {
            **dataclasses.asdict(step),
            "text": clip(step.text),
            "details": [clip(detail) for detail in step.details[:MOST_DETAILS]],
        }
        for step in story.steps[:MOST_STEPS]
    ]
    return plain
