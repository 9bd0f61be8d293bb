"""Documents into batches: by number, by bytes, and for streams by time."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from newsmill.feed.document import Document

_READ_AHEAD: Final = 16
"""Documents that a stream may be ahead of the stages."""


def batches(documents: Iterable[Document | None], most: Callable[[], int], most_bytes: int) -> Iterator[list[Document]]:
    """Yield batches of at most `most()` documents and `most_bytes` bytes (one document may be larger).

    A document that is too large is a batch of its own. None among the documents ends a batch, even an empty one.
    """
    batch: list[Document] = []
    size = 0
    for document in documents:
        if document is None:
            yield batch
            batch, size = [], 0
            continue
        if batch and (document.too_large or size + len(document.value) > most_bytes):
            yield batch
            batch, size = [], 0
        batch.append(document)
        size += len(document.value)
        if document.too_large or len(batch) >= most():
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def live(documents: Iterable[Document], linger_s: float) -> Iterator[Document | None]:
    """Yield documents as they arrive, and None whenever nothing has come for `linger_s` seconds.

    A thread reads, so that the caller is never stuck in a pipe on which nothing comes.
    """
    waiting: queue.Queue[Document | BaseException | None] = queue.Queue(_READ_AHEAD)

    def read() -> None:
        try:
            for document in documents:
                waiting.put(document)
            waiting.put(None)
        except BaseException as error:  # noqa: BLE001  (raised in the main thread)
            waiting.put(error)

    threading.Thread(target=read, name="input", daemon=True).start()
    while True:
        try:
            item = waiting.get(timeout=linger_s)
        except queue.Empty:
            yield None
            continue
        if item is None:
            return
        if isinstance(item, BaseException):
            raise item
        yield item
