"""A range of a topic again into the topic itself, marked as a replay: live workers process it beside what is new.

The mark makes it safe. Stages with state read it for such a record and never change it: dedup repeats its decision on
the same id and content, and says `not_checked` where the window no longer holds it. So what comes out downstream is
new processing of the same revision, and not a second article.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from newsmill import clients
from newsmill.engines.result import Output
from newsmill.replay.copy import Step
from newsmill.settings import Settings
from schemas import headers as h
from workers.stage import Record

KINDS: Final = {
    "replayed": "sent again",
    "not_selected": "left out by the filters",
    "replay": "of a replay themselves",
}
"""What may become of a record of the range, in words."""


class InPlace:
    """Decides of each record of the range what becomes of it.

    Args:
        settings: namespace.
        run: name of the run.
        selects: whether the filters let a record through.
    """

    def __init__(self, settings: Settings, run: str, selects: Callable[[Record], bool] = lambda _: True) -> None:
        self._settings = settings
        self._run = run.encode()
        self._selects = selects

    def __call__(self, record: Record) -> Step:
        """Return what becomes of `record`. What an earlier replay has put there is not replayed once more."""
        if h.get(record.headers, h.REPLAY) is not None:
            return Step("replay")
        if not self._selects(record):
            return Step("not_selected")
        headers = [pair for pair in record.headers if pair[0] != h.RUN]
        names = {name for name, _ in headers}
        if h.ORIGIN not in names:
            headers.append((h.ORIGIN, f"{record.topic}/{record.partition}/{record.offset}".encode()))
        if h.INGESTED_AT not in names:
            headers.append((h.INGESTED_AT, str(record.timestamp_ms).encode()))
        headers += [(h.RUN, self._run), (h.REPLAY, self._run)]
        topic = clients.logical(self._settings, record.topic)
        return Step("replayed", Output(topic, record.key, record.value, tuple(headers), record.partition))
