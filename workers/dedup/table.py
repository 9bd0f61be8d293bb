"""The articles of one partition, as columns: about a kilobyte a row, no object for an article but its URL."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from workers.dedup.fingerprint import FACT_END, FACTS, PAIR_END, PAIRS, Fingerprint

COLUMNS: Final[tuple[tuple[str, str, int], ...]] = (
    ("id", "<u8", 2),
    ("hash", "<u8", 2),
    ("cluster", "<u8", 2),
    ("seq", "<i8", 1),
    ("first_us", "<i8", 1),
    ("last_us", "<i8", 1),
    ("revision", "<u4", 1),
    ("pairs", "<u4", PAIRS),
    ("facts", "<u2", FACTS),
    ("sizes", "u1", 2),
    ("whole", "?", 2),
)
"""Name, type and width of each column. `hash` is the content hash; `seq` counts the rows ever made; `first_us` and
`last_us` are event times (microseconds since the Unix epoch) of the first and the latest sight; `sizes` counts the
pairs and facts, and `whole` says for pairs and facts whether the sketch holds the whole set."""


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
    pairs: NDArray[np.uint32]
    facts: NDArray[np.uint16]
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
        for line, part, end in (
            (self.pairs[row], made.pairs, PAIR_END),
            (self.facts[row], made.facts, FACT_END),
        ):
            line[: len(part)] = part
            line[len(part) :] = end
        self.sizes[row] = len(made.pairs), len(made.facts)
        self.whole[row] = made.pairs_whole, made.facts_whole

    def copy_fingerprint(self, source: int, row: int) -> None:
        """Give `row` the fingerprint of the row `source`."""
        for column in (self.pairs, self.facts, self.sizes, self.whole):
            column[row] = column[source]
