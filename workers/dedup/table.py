"""The articles of one partition, as columns: about a kilobyte a row, no object for an article but its URL."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from workers.dedup.fingerprint import END, NO_KEYS, Fingerprint
from workers.dedup.sizes import NAMES, NUMBERS, PAIRS, PARAGRAPHS

COLUMNS: Final[tuple[tuple[str, str, int], ...]] = (
    ("id", "<u8", 2),
    ("hash", "<u8", 2),
    ("cluster", "<u8", 2),
    ("seq", "<i8", 1),
    ("first_us", "<i8", 1),
    ("last_us", "<i8", 1),
    ("agencies", "<u8", 1),
    ("writers", "<u8", 1),
    ("revision", "<u4", 1),
    ("length", "<u4", 1),
    ("pairs", "<u2", PAIRS),
    ("places", "u1", PAIRS),
    ("names", "<u2", NAMES),
    ("contexts", "<u2", NUMBERS),
    ("values", "u1", NUMBERS),
    ("paragraphs", "<u2", PARAGRAPHS),
    ("headline", "<u2", 1),
    ("outlet", "<u2", 1),
    ("part", "u1", 2),
    ("sizes", "u1", 4),
    ("whole", "?", 3),
)
"""Name, type and width of each column. `hash` is the content hash; `seq` counts the rows ever made; `first_us` and
`last_us` are event times (microseconds since the Unix epoch) of the first and the latest sight; `agencies` and
`writers` say whom the cluster's text comes from, `outlet` who published it (see `workers.dedup.lineage`), 0 when
several did; `part` is the part of the text that is the story of its cluster (zeros: not known to be a part alone);
`sizes` counts pairs, names, numbers and paragraphs, `whole` says for the first three whether nothing was left out."""

_SKETCH: Final = (
    "pairs",
    "places",
    "names",
    "contexts",
    "values",
    "paragraphs",
    "sizes",
    "whole",
    "headline",
    "length",
)


def words(digest: str) -> tuple[int, int]:
    """Return the two 64-bit halves of 32 hex digits."""
    return int(digest[:16], 16), int(digest[16:], 16)


def grown(column: NDArray[Any], rows: int) -> NDArray[Any]:
    """Return `column` lengthened with zeros. The system gives their memory only when they are first written."""
    longer = np.zeros((rows, *column.shape[1:]), column.dtype)
    longer[: len(column)] = column
    return longer


class Table:
    """Columns of equal length, `alive` beside them, and a list of URLs and one of packed decisions."""

    def __init__(self) -> None:
        self.rows = 0
        self.alive: NDArray[np.bool_] = np.zeros(0, bool)
        self.urls: list[str | None] = []
        self.decisions: list[bytes | None] = []
        for name, kind, width in COLUMNS:
            setattr(self, name, np.zeros((0, width) if width > 1 else 0, kind))

    id: NDArray[np.uint64]
    hash: NDArray[np.uint64]
    cluster: NDArray[np.uint64]
    seq: NDArray[np.int64]
    first_us: NDArray[np.int64]
    last_us: NDArray[np.int64]
    revision: NDArray[np.uint32]
    agencies: NDArray[np.uint64]
    writers: NDArray[np.uint64]
    length: NDArray[np.uint32]
    pairs: NDArray[np.uint16]
    places: NDArray[np.uint8]
    names: NDArray[np.uint16]
    contexts: NDArray[np.uint16]
    values: NDArray[np.uint8]
    paragraphs: NDArray[np.uint16]
    headline: NDArray[np.uint16]
    outlet: NDArray[np.uint16]
    part: NDArray[np.uint8]
    sizes: NDArray[np.uint8]
    whole: NDArray[np.bool_]

    @property
    def nbytes(self) -> int:
        """Bytes of all columns."""
        return self.alive.nbytes + sum(int(getattr(self, name).nbytes) for name, _, _ in COLUMNS)

    def grow(self, rows: int) -> None:
        """Make room for `rows` rows."""
        self.alive = grown(self.alive, rows)
        for name, _, _ in COLUMNS:
            setattr(self, name, grown(getattr(self, name), rows))
        self.urls.extend([None] * (rows - self.rows))
        self.decisions.extend([None] * (rows - self.rows))
        self.rows = rows

    def digest(self, column: NDArray[np.uint64], row: int) -> str:
        """Return the 32 hex digits that stand in `row` of `column`."""
        return f"{int(column[row, 0]):016x}{int(column[row, 1]):016x}"

    def set_fingerprint(self, row: int, made: Fingerprint) -> None:
        """Write `made`, but for its keys, into `row`, padded with values that no hash has."""
        for line, part, filler in (
            (self.pairs[row], made.pairs, END),
            (self.names[row], made.names, END),
            (self.contexts[row], made.contexts, END),
            (self.places[row], made.places, 0),
            (self.values[row], made.values, 0),
            (self.paragraphs[row], made.paragraphs, 0),
        ):
            line[: len(part)] = part
            line[len(part) :] = filler
        self.sizes[row] = len(made.pairs), len(made.names), len(made.contexts), len(made.paragraphs)
        self.whole[row] = made.whole
        self.headline[row], self.length[row] = made.headline, made.length

    def copy_fingerprint(self, source: int, row: int) -> None:
        """Give `row` the fingerprint of the row `source`."""
        for name in _SKETCH:
            column = getattr(self, name)
            column[row] = column[source]

    def fingerprint(self, row: int) -> Fingerprint:
        """Return the fingerprint in `row`, without keys."""
        pairs, names, numbers, paragraphs = self.sizes[row].tolist()
        first, second, third = self.whole[row].tolist()
        return Fingerprint(
            pairs=self.pairs[row, :pairs],
            places=self.places[row, :pairs],
            keys=NO_KEYS,
            names=self.names[row, :names],
            contexts=self.contexts[row, :numbers],
            values=self.values[row, :numbers],
            paragraphs=self.paragraphs[row, :paragraphs],
            whole=(first, second, third),
            headline=int(self.headline[row]),
            length=int(self.length[row]),
        )
