"""What one partition remembers of its sources: the fold of the log entries of ingest.

`Memory.apply` is the only thing that changes it, both live and when the log is folded, so a restored memory is the live
one. A source that a batch changes is copied first; `rollback` puts the originals back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from schemas.keys import UNKNOWN_SOURCE
from workers.ingest.health import Watch
from workers.ingest.recurring import DOUBTED, HASH_BYTES, LONG, LOOSE, PROSE, Lines
from workers.ingest.redelivery import Decisions, Mark
from workers.ingest.watched import WATCHED_BYTES

EPOCH_US: Final = 7 * 24 * 3600 * 1_000_000
"""Event time is cut into epochs of a week. What was seen in this one and the one before counts."""

STORIES: Final = {LOOSE: 3, DOUBTED: 3, PROSE: 5}
"""By kind of line: in how many other stories of its source it must have been before it is cut."""

SHARE: Final = {LOOSE: 200, DOUBTED: 200, PROSE: 20}
"""By kind of line: of so many stories at least one must have had it. What reporters write again and again (`Police are
looking for witnesses.`) is in fewer than what a page adds to all of them."""

LINES_OF_SOURCE: Final = 1_024
ARTICLES_OF_SOURCE: Final = 128
"""Latest articles of a source that, when they come again in this epoch or the next, are cut as they were before."""

MOST_SOURCES: Final = 20_000
MOST_ENTRIES: Final = 600_000
"""Lines and articles of all sources of a partition, unless it is told otherwise."""

ENTRY_BYTES: Final = 80
_SOURCE_BYTES: Final = 900
_DECISION_BYTES: Final = 80
_SLACK: Final = 8
"""Bounds are passed by one part in so many before they are gone back to, so that it is not done for each record."""

NEVER: Final = -(1 << 62)
_COUNT: Final = 0xFFFF


class Decided(NamedTuple):
    """What is made of an article: whether it is a story of its own, and the numbers of the lines that are cut."""

    story: bool
    cut: tuple[int, ...]


_NOTHING: Final = Decided(story=False, cut=())


class Source:
    """What is known of one source. `lines`: hash -> epoch it was last in, stories in that epoch and in the one before
    (32, 16 and 16 bits); the one seen longest ago first. `stories`, `stories_before`: stories in `epoch` and in the one
    before. `recent`, `recent_before`: article -> hashes that were cut from it, of those last seen in `epoch` and in the
    one before. `seen`: number of its last record in the partition."""

    __slots__ = ("epoch", "lines", "recent", "recent_before", "seen", "stories", "stories_before")

    def __init__(self) -> None:
        self.lines: dict[int, int] = {}
        self.recent: dict[int, bytes] = {}
        self.recent_before: dict[int, bytes] = {}
        self.epoch = self.stories = self.stories_before = 0
        self.seen = 0

    def copy(self) -> Source:
        """Return a copy that can be changed alone."""
        made = Source()
        made.lines = self.lines.copy()
        made.recent, made.recent_before = self.recent.copy(), self.recent_before.copy()
        made.epoch, made.stories, made.stories_before = self.epoch, self.stories, self.stories_before
        made.seen = self.seen
        return made

    @property
    def entries(self) -> int:
        """Lines and articles that are held."""
        return len(self.lines) + len(self.recent) + len(self.recent_before)

    def cut_from(self, article: int, epoch: int) -> bytes | None:
        """Return the hashes that were cut from an article when it was last seen, None when that was before the epoch
        before `epoch` or is not known."""
        found = self.recent.get(article) if epoch <= self.epoch + 1 else None
        return self.recent_before.get(article) if found is None and epoch <= self.epoch else found

    def begin(self, epoch: int) -> None:
        """Go on to a later epoch, and let go what has fallen out."""
        follows = epoch == self.epoch + 1
        self.stories_before, self.stories = self.stories if follows else 0, 0
        self.recent_before, self.recent = self.recent if follows else {}, {}
        self.lines = {made: packed for made, packed in self.lines.items() if packed >> 32 >= epoch - 1}
        self.epoch = epoch

    def learn(self, article: int, hashes: Sequence[int], *, story: bool, cut: bytes) -> None:
        """Learn one article of the current epoch."""
        epoch, lines = self.epoch, self.lines
        self.stories += story
        for made in hashes:
            packed = lines.get(made)
            if packed is None:
                lines[made] = epoch << 32 | 1 << 16
            elif story:
                age = epoch - (packed >> 32)
                if age == 0:
                    packed += 1 << 16 if packed >> 16 & _COUNT < _COUNT else 0
                else:
                    packed = epoch << 32 | 1 << 16 | (packed >> 16 & _COUNT if age == 1 else 0)
                del lines[made]
                lines[made] = packed
        if len(lines) > LINES_OF_SOURCE * (_SLACK + 1) // _SLACK:
            _shrink(lines)
        self.recent.pop(article, None)
        self.recent_before.pop(article, None)
        self.recent[article] = cut
        if len(self.recent) + len(self.recent_before) > ARTICLES_OF_SOURCE:
            oldest = self.recent_before or self.recent
            del oldest[next(iter(oldest))]


def times_in(packed: int, epoch: int) -> int:
    """Return in how many stories of `epoch` and the one before a line was."""
    age = epoch - (packed >> 32)
    if age <= 0:
        return (packed >> 16 & _COUNT) + (packed & _COUNT)
    return packed >> 16 & _COUNT if age == 1 else 0


class Memory:
    """The sources of one partition, and its latest decisions. Bounded in all; what was seen longest ago goes first.

    `watch`: how the sources do. Its time is its own, so that it changes nothing of what is learnt.
    """

    def __init__(self, most_entries: int = MOST_ENTRIES) -> None:
        self.most_entries = most_entries
        self.sources: dict[str, Source] = {}
        self.watch = Watch()
        self.decisions = Decisions()
        self.last_offset = -1
        self.watermark_us = NEVER
        self.records = 0
        self.entries = 0
        self._changed: dict[str, Source | None] = {}
        self._before: tuple[int, int, int, int, Mark] | None = None

    # ---- reading --------------------------------------------------------------------------------------------------

    def decide(self, name: str, article: int, lines: Lines, time_us: int) -> Decided:
        """Return what is to be cut from an article of the source `name`, before it is learnt from.

        `article` stands for its id, 64 bits. The same article again is cut as before and is no story of its own.
        """
        source = self.sources.get(name)
        if source is None:
            return Decided(story=True, cut=())
        epoch = max(self.watermark_us, time_us) // EPOCH_US
        before = source.cut_from(article, epoch)
        if before is not None:
            return Decided(story=False, cut=numbers_of(before, lines))
        stories = source.stories + source.stories_before
        if epoch > source.epoch:
            stories = source.stories if epoch == source.epoch + 1 else 0
        cut = []
        new = known = 0
        held = source.lines
        for number, (made, size, kind) in enumerate(zip(lines.hashes, lines.sizes, lines.kinds, strict=True)):
            packed = held.get(made)
            times = times_in(packed, epoch) if packed is not None else 0
            if kind != LONG and times >= STORIES[kind] and times * SHARE[kind] >= stories:
                cut.append(number)
            elif kind >= PROSE:
                if times:
                    known += size
                else:
                    new += size
        if not new and not known:  # no sentence to tell it by: then by all its lines
            for made, size in zip(lines.hashes, lines.sizes, strict=True):
                if made in held:
                    known += size
                else:
                    new += size
        return Decided(story=new >= known and new > 0, cut=tuple(cut))

    def repeat(self, offset: int, lines: Lines) -> Decided | None:
        """Return what was decided at `offset`, or None when that is not known (any more)."""
        cut = self.decisions.get(offset)
        return None if cut is None else Decided(story=False, cut=numbers_of(cut, lines))

    def nbytes(self) -> int:
        """Bytes held, about."""
        return (
            ENTRY_BYTES * self.entries
            + _SOURCE_BYTES * len(self.sources)
            + _DECISION_BYTES * len(self.decisions)
            + WATCHED_BYTES * len(self.watch.sources)
        )

    # ---- changing -------------------------------------------------------------------------------------------------

    def apply(
        self, offset: int, name: str, article: int, time_us: int, hashes: Sequence[int], *, story: bool, cut: bytes
    ) -> None:
        """Learn one article of the source `name`: the hashes of its lines, and those of the lines that were cut."""
        self.reach(offset, cut)
        self.records += 1
        self._advance(time_us)
        if name == UNKNOWN_SOURCE:
            return  # documents without a source have nothing in common
        epoch = self.watermark_us // EPOCH_US
        source = self._source(name, epoch)
        held = source.entries
        source.learn(article, hashes, story=story, cut=cut)
        self.entries += source.entries - held
        self._keep_bounds()

    def reach(self, offset: int, cut: bytes = b"") -> None:
        """Go on to the input at `offset`, of which these lines were cut; a refused one has none."""
        if self._before is None:
            mark = self.decisions.mark()
            self._before = self.last_offset, self.watermark_us, self.records, self.entries, mark
        self.last_offset = offset
        self.decisions.add(offset, cut)

    def commit(self) -> None:
        """Make everything since the last commit final."""
        self.watch.commit()
        self._changed.clear()
        self._before = None
        self.decisions.compact()

    def rollback(self) -> None:
        """Undo everything since the last commit."""
        if self._before is None:
            return
        for name, source in self._changed.items():
            if source is None:
                self.sources.pop(name, None)
            else:
                self.sources[name] = source
        self.last_offset, self.watermark_us, self.records, self.entries, mark = self._before
        self.decisions.back_to(mark)
        self.watch.rollback()
        self._changed.clear()
        self._before = None

    @property
    def staged(self) -> bool:
        """Whether there are changes that are neither committed nor rolled back."""
        return self._before is not None

    # ---- inside ---------------------------------------------------------------------------------------------------

    def _advance(self, time_us: int) -> None:
        """Move event time on to `time_us` (never back); at the begin of an epoch let go what has fallen out."""
        if time_us <= self.watermark_us:
            return
        epoch = time_us // EPOCH_US
        if self.watermark_us != NEVER and epoch > self.watermark_us // EPOCH_US:
            for name in [name for name, source in self.sources.items() if source.epoch < epoch - 1]:
                self._drop(name)
        self.watermark_us = time_us

    def _source(self, name: str, epoch: int) -> Source:
        """Return the source `name` to be changed, in this epoch."""
        found = self.sources.get(name)
        if found is None:
            source = self.sources[name] = Source()
            self._changed.setdefault(name, None)
        elif name in self._changed:
            source = found
        else:
            self._changed[name] = found
            source = self.sources[name] = found.copy()
        source.seen = self.records
        if source.epoch != epoch:
            held = source.entries
            source.begin(epoch)
            self.entries += source.entries - held
        return source

    def _drop(self, name: str) -> None:
        source = self.sources.pop(name)
        self._changed.setdefault(name, source)
        self.entries -= source.entries

    def _keep_bounds(self) -> None:
        """Let go whole sources: first those with one article (anyone can make up many), the longest unseen first."""
        if (
            len(self.sources) <= MOST_SOURCES * (_SLACK + 1) // _SLACK
            and self.entries <= self.most_entries * (_SLACK + 1) // _SLACK
        ):
            return
        order = sorted(
            (len(source.recent) + len(source.recent_before) > 1, source.seen, name)
            for name, source in self.sources.items()
        )
        for _, _, name in order:
            if len(self.sources) <= MOST_SOURCES and self.entries <= self.most_entries:
                return
            self._drop(name)


def packed_hashes(hashes: Sequence[int], numbers: Sequence[int]) -> bytes:
    """Return the hashes with these numbers, joined, `HASH_BYTES` bytes each."""
    return b"".join(hashes[number].to_bytes(HASH_BYTES, "big") for number in numbers)


def unpacked_hashes(data: bytes) -> list[int]:
    """Return the hashes that `packed_hashes` joined. Raises ValueError."""
    if len(data) % HASH_BYTES:
        raise ValueError(f"{len(data)} bytes are not hashes of {HASH_BYTES} bytes")
    return [int.from_bytes(data[at : at + HASH_BYTES], "big") for at in range(0, len(data), HASH_BYTES)]


def numbers_of(cut: bytes, lines: Lines) -> tuple[int, ...]:
    """Return the numbers of the lines whose hashes are in `cut`."""
    if not cut:
        return ()
    wanted = frozenset(unpacked_hashes(cut))
    return tuple(number for number, made in enumerate(lines.hashes) if made in wanted)


def _shrink(lines: dict[int, int]) -> None:
    """Go back to the bound: first the lines of one story, the one seen longest ago first, then the others."""
    spare = len(lines) - LINES_OF_SOURCE
    single = [made for made, packed in lines.items() if (packed >> 16 & _COUNT) + (packed & _COUNT) <= 1][:spare]
    for made in single:
        del lines[made]
    for made in list(lines)[: spare - len(single)]:
        del lines[made]
