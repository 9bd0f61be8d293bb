"""Documents of a stream as they arrive: whoever reads them is never stuck in a pipe on which nothing comes."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import Final

from newsmill.feed.document import Document

_READ_AHEAD: Final = 16
"""Documents that a stream may be ahead of its reader."""


def live(documents: Iterable[Document], linger_s: float) -> Iterator[Document | None]:
    """Yield documents as they arrive, and None whenever nothing has come for `linger_s` seconds. A thread reads."""
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
