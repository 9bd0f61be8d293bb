"""Documents into batches: by number, by bytes, and where a stream pauses."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from newsmill.feed.document import Document


def batches(documents: Iterable[Document | None], most: Callable[[], int], most_bytes: int) -> Iterator[list[Document]]:
    """Yield batches of at most `most()` documents and `most_bytes` bytes (one document may be larger).

    A document that is refused before any stage sees it is a batch of its own. None among the documents ends a batch,
    even an empty one.
    """
    batch: list[Document] = []
    size = 0
    for document in documents:
        if document is None:
            yield batch
            batch, size = [], 0
            continue
        if batch and (document.refused or size + len(document.value) > most_bytes):
            yield batch
            batch, size = [], 0
        batch.append(document)
        size += len(document.value)
        if document.refused or len(batch) >= most():
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
