"""A team's own gazetteer: names that it wants found and linked, in any language, beside what the tagger finds.

The file is UTF-8 text, one name a line, in one of two forms; the first line that is not empty tells which:

    surface<TAB>type<TAB>id[<TAB>priority]
    {"surface": "Acme Corp", "type": "ORG", "id": "acme:17", "priority": 60}

`type` is PER, ORG, LOC or MISC, `id` any public or private id (namespace:number), `priority` a whole number from 0 to
100, 50 where it is left out. Empty lines and lines that begin with `#` are passed over. A name is found where all of
its words stand, in any case, if they begin with a capital where the name does; a name in capitals (up to six letters)
only in capitals. Of overlapping names the one that begins first and is longest counts; of lines with the same name the
highest priority, then the first.

A name of priority 50 or more takes the place of whatever the tagger found there, a longer name that holds it aside;
below 50 it counts only where the tagger found nothing.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, Literal, NamedTuple, cast

import msgspec
from ahocorasick_rs import AhoCorasick, Implementation, MatchKind

from workers.entities.limits import MAX_NAME_CHARS

MAX_NAMES: Final = 1_000_000
MAX_BYTES: Final = 256 * 1024 * 1024
MAX_ID_CHARS: Final = 200
CONFIDENCE: Final = 0.95
"""Of a hit, as name and as link."""
TAKES_OVER: Final = 50
"""Least priority of a name that takes the place of what the tagger found."""

_MAX_ERRORS: Final = 20
_ACRONYM_LETTERS: Final = 6
_PIECE: Final = re.compile(r"[^\W_]+|[^\s]")
_TYPES: Final = ("PER", "ORG", "LOC", "MISC")


class GazetteerError(ValueError):
    """The file can't be used. The text names its lines and what is wrong with each."""


class Entry(msgspec.Struct, frozen=True):
    """One name of the gazetteer."""

    surface: str
    type: Literal["PER", "ORG", "LOC", "MISC"]
    id: str
    priority: int = 50


class Hit(NamedTuple):
    """A name in a text: offsets (`end` exclusive), its entry."""

    start: int
    end: int
    entry: Entry


class Gazetteer:
    """Finds the names of a gazetteer in texts (Aho and Corasick, CACM 1975). A million names take about ten seconds
    and 0.5 GB to load; a text is read once, whatever the number of names."""

    def __init__(self, entries: Sequence[Entry], digest: str) -> None:
        self.digest = digest
        """SHA-256 of the file, hex."""
        best: dict[str, Entry] = {}
        for entry in entries:
            pattern = "".join(f"\x1e{piece}\x1f" for piece in _PIECE.findall(_small(entry.surface)))
            known = best.get(pattern)
            if known is None or entry.priority > known.priority:
                best[pattern] = entry
        self._entries = list(best.values())
        self._automaton = AhoCorasick(
            best,
            matchkind=MatchKind.LeftmostLongest,
            store_patterns=False,
            implementation=Implementation.ContiguousNFA,
        )

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, text: str) -> list[Hit]:
        """Return the names in `text`, in order and not overlapping."""
        starts: list[int] = []
        ends: list[int] = []
        places: dict[int, int] = {}
        parts = []
        at = 0
        # Signs around each word make matches begin and end with words: a match can't start inside one.
        for number, found in enumerate(_PIECE.finditer(_small(text))):
            starts.append(found.start())
            ends.append(found.end())
            places[at] = number
            piece = f"\x1e{found.group()}\x1f"
            parts.append(piece)
            at += len(piece)
        places[at] = len(starts)
        hits = []
        for pattern, begin, end in self._automaton.find_matches_as_indexes("".join(parts)):
            start, stop, entry = starts[places[begin]], ends[places[end] - 1], self._entries[pattern]
            if _fits(entry.surface, text[start:stop]):
                hits.append(Hit(start, stop, entry))
        return hits


def _small(text: str) -> str:
    """Return `text` in small letters, character by character, so that offsets stay (`İ` has two small ones)."""
    small = text.lower()
    if len(small) != len(text):
        small = "".join(low if len(low := char.lower()) == 1 else char for char in text)
    return small.replace("’", "'").replace("\x1e", " ").replace("\x1f", " ")


def _fits(surface: str, text: str) -> bool:
    if len(surface) <= _ACRONYM_LETTERS and surface.isupper():
        return text == surface
    return not surface[0].isupper() or not text[0].islower()


def read_gazetteer(path: Path) -> Gazetteer:
    """Return the gazetteer that the file `path` holds. Raises OSError, and GazetteerError with the numbers of up to
    20 bad lines."""
    if path.stat().st_size > MAX_BYTES:
        raise GazetteerError(f"{path}: more than {MAX_BYTES:,} bytes")
    data = path.read_bytes()
    errors: list[str] = []
    entries: list[Entry] = []
    for number, result in _lines(data):
        if isinstance(result, str):
            errors.append(f"line {number}: {result}")
            if len(errors) == _MAX_ERRORS:
                break
            continue
        entries.append(result)
        if len(entries) > MAX_NAMES:
            errors.append(f"line {number}: more than {MAX_NAMES:,} names")
            break
    if errors:
        raise GazetteerError(f"{path}: " + "; ".join(errors))
    return Gazetteer(entries, hashlib.sha256(data).hexdigest())


def _lines(data: bytes) -> Iterator[tuple[int, Entry | str]]:
    """Each line's number with its entry, or with what is wrong with it."""
    decoder = msgspec.json.Decoder(Entry)
    is_json: bool | None = None
    for number, raw in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        line = raw.rstrip(b"\r")
        if not line.strip() or line.startswith(b"#"):
            continue
        if is_json is None:
            is_json = line.lstrip().startswith(b"{")
        try:
            entry = decoder.decode(line) if is_json else _from_columns(line.decode())
        except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
            yield number, str(error)
            continue
        yield number, _problem(entry) or entry


def _from_columns(line: str) -> Entry:
    columns = [column.strip() for column in line.split("\t")]
    if not 3 <= len(columns) <= 4:
        raise ValueError(f"{len(columns)} columns instead of surface, type, id and perhaps priority")
    surface, kind, identity, *rest = columns
    if kind not in _TYPES:
        raise ValueError(f"type {kind[:20]!r} is none of {', '.join(_TYPES)}")
    if rest and not re.fullmatch(r"\d{1,3}", rest[0], re.ASCII):
        raise ValueError(f"priority {rest[0][:20]!r} is no whole number from 0 to 100")
    return Entry(surface, cast(Literal["PER", "ORG", "LOC", "MISC"], kind), identity, int(rest[0]) if rest else 50)


def _problem(entry: Entry) -> str | None:
    if not len(entry.surface.strip()) >= 2 or not any(map(str.isalnum, entry.surface)):
        return "the surface has fewer than two characters, or no letter or digit"
    if len(entry.surface) > MAX_NAME_CHARS:
        return f"the surface has more than {MAX_NAME_CHARS} characters"
    if not 1 <= len(entry.id) <= MAX_ID_CHARS or not entry.id.isprintable() or " " in entry.id:
        return f"the id is empty, has more than {MAX_ID_CHARS} characters, or holds white space"
    if not 0 <= entry.priority <= 100:
        return "the priority is not between 0 and 100"
    return None
