"""The articles of one partition, a record of 704 bytes each; no object for an article but its URL and its decision."""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from workers.dedup.fingerprint import NO_KEYS, Fingerprint
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

_LINE: Final = 64


def _record() -> np.dtype[np.void]:
    """The columns one after another, up to a whole number of cache lines: what is read of an article lies together."""
    ends = np.cumsum([np.dtype(kind).itemsize * width for _, kind, width in COLUMNS]).tolist()
    return np.dtype(
        {
            "names": [name for name, _, _ in COLUMNS],
            "formats": [(kind, (width,)) if width > 1 else kind for _, kind, width in COLUMNS],
            "offsets": [0, *ends[:-1]],
            "itemsize": -(-ends[-1] // _LINE) * _LINE,
        }
    )


_RECORD: Final = _record()


def _offset(name: str) -> int:
    return int(_RECORD.fields[name][1]) if _RECORD.fields else 0


_HEAD: Final = struct.Struct("<QQQQQQqqqQQII")
_MIDDLE: Final = struct.Struct("<HHBB")
_TAIL: Final = struct.Struct("<BBBB???")
_SKETCH: Final = (slice(_offset("length"), _offset("outlet")), slice(_offset("sizes"), _offset("whole") + 3))
"""Where the fingerprint lies in a record."""
_ENDS: Final = b"\xff" * 2 * PAIRS
_ZEROS: Final = bytes(2 * PAIRS)


@lru_cache(maxsize=1 << 12)
def words(digest: str) -> tuple[int, int]:
    """Return the two 64-bit halves of 32 hex digits."""
    return int(digest[:16], 16), int(digest[16:], 16)


def grown(column: NDArray[Any], rows: int) -> NDArray[Any]:
    """Return `column` lengthened with zeros. The system gives their memory only when they are first written."""
    longer = np.zeros((rows, *column.shape[1:]), column.dtype)
    longer[: len(column)] = column
    return longer


class Table:
    """Records, `alive` beside them, arrays of URLs and of packed decisions. Each column is a view of the records."""

    def __init__(self) -> None:
        self.rows = 0
        self.alive: NDArray[np.bool_] = np.zeros(0, bool)
        # Arrays of objects and not lists: the cycle collector walks through all items of a list.
        self.urls: NDArray[np.object_] = np.empty(0, object)
        self.decisions: NDArray[np.object_] = np.empty(0, object)
        self._view(np.zeros(0, _RECORD))

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
        return self.alive.nbytes + self.records.nbytes

    def grow(self, rows: int) -> None:
        """Make room for `rows` rows."""
        self.alive = grown(self.alive, rows)
        self._view(grown(self.records, rows))
        for name in ("urls", "decisions"):
            longer = np.empty(rows, object)
            longer[: self.rows] = getattr(self, name)
            setattr(self, name, longer)
        self.rows = rows

    def _view(self, records: NDArray[np.void]) -> None:
        self.records = records
        self._raw = records.view(np.uint8).reshape(len(records), _RECORD.itemsize)
        for name, _, _ in COLUMNS:
            setattr(self, name, records[name])

    def digest(self, column: NDArray[np.uint64], row: int) -> str:
        """Return the 32 hex digits that stand in `row` of `column`."""
        first, second = column[row].tolist()
        return f"{first:016x}{second:016x}"

    def put(
        self,
        row: int,
        made: Fingerprint,
        *,
        identity: tuple[int, int] = (0, 0),
        text: tuple[int, int] = (0, 0),
        cluster: tuple[int, int] = (0, 0),
        seq: int = 0,
        first_us: int = 0,
        last_us: int = 0,
        agencies: int = 0,
        writers: int = 0,
        revision: int = 0,
        outlet: int = 0,
        part: tuple[int, int] = (0, 0),
    ) -> None:
        """Write a whole record: what is given (`identity` in column `id`, `text` in `hash`), and `made`, but for its
        keys, padded with values that no hash has."""
        pairs, names, contexts = _le16(made.pairs), _le16(made.names), _le16(made.contexts)
        places, values, paragraphs = made.places.tobytes(), made.values.tobytes(), _le16(made.paragraphs)
        data = (
            _HEAD.pack(*identity, *text, *cluster, seq, first_us, last_us, agencies, writers, revision, made.length),
            pairs,
            _ENDS[: 2 * PAIRS - len(pairs)],
            places,
            _ZEROS[: PAIRS - len(places)],
            names,
            _ENDS[: 2 * NAMES - len(names)],
            contexts,
            _ENDS[: 2 * NUMBERS - len(contexts)],
            values,
            _ZEROS[: NUMBERS - len(values)],
            paragraphs,
            _ZEROS[: 2 * PARAGRAPHS - len(paragraphs)],
            _MIDDLE.pack(made.headline, outlet, *part),
            _TAIL.pack(len(places), len(names) // 2, len(values), len(paragraphs) // 2, *made.whole),
        )
        record = np.frombuffer(b"".join(data), np.uint8)
        self._raw[row, : len(record)] = record

    def copy_fingerprint(self, source: int, row: int) -> None:
        """Give `row` the fingerprint of the row `source`."""
        for part in _SKETCH:
            self._raw[row, part] = self._raw[source, part]

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


def _le16(values: NDArray[np.uint16]) -> bytes:
    """The values as they stand in a record, whatever the machine."""
    return values.astype("<u2", copy=False).tobytes()
