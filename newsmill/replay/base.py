"""The state with which a range began: the fold of each stage's log up to there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from kafka.structs import TopicPartition

from newsmill import clients
from newsmill.replay.errors import RangeError, ReplayError
from newsmill.replay.lookup import asking
from newsmill.replay.order import SETTLED_MS, Followed, Log, input_offset
from newsmill.replay.partitions import Partitions
from newsmill.replay.ranges import Range, first_time
from newsmill.replay.reader import bounds
from newsmill.replay.scout import SLACK_MS
from newsmill.settings import Settings
from schemas.replays import Span
from workers.stage import Record, Stage, StatefulStage, StateVersionError

_CHUNK = 2_000


def logs_of(settings: Settings, stages: Sequence[Stage], range_: Range, *, complete: bool = True) -> list[Log]:
    """Return what of the log of each stage with state is followed beside the range: from its first entry about a record
    of the range on. What is before is the state with which the range began.

    With `complete` all of that has to be there. Raises RangeError where a log no longer reaches back a whole window
    before the range; kafka.errors.KafkaError.
    """
    found = []
    for stage in stages:
        if not isinstance(stage, StatefulStage):
            continue
        kept = bounds(settings, stage.log_topic)
        if not kept and not complete:
            continue
        if not kept:
            raise RangeError(f"there is no topic {clients.physical(settings, stage.log_topic)}: {_ADVICE}")
        guess = _arrived_by(settings, stage.log_topic, kept, range_.began_ms)
        if complete:
            _refuse_short(settings, stage, kept, range_.began_ms)
        log = Log(stage, guess, stage.source == range_.topic)
        starts = _first_direct(settings, log, range_) if log.direct else _first_followed(settings, log, range_)
        spans = tuple(Span(partition=s.partition, start=starts.get(s.partition, s.start), end=s.end) for s in guess)
        found.append(Log(stage, spans, log.direct))
    return found


_ADVICE = "the state at the start of the range can't be told. With --base empty the run begins knowing nothing"


def fold(settings: Settings, log: Log) -> dict[int, int]:
    """Fold the log up to where it is followed into its stage. Returns, by partition, the offset behind the last input
    that is part of the state.

    Raises ReplayError where an entry can't be folded by this version; ExpiredError, kafka.errors.KafkaError.
    """
    kept = {span.partition: span.start for span in bounds(settings, log.stage.log_topic)}
    before = [Span(partition=s.partition, start=min(kept[s.partition], s.start), end=s.start) for s in log.spans]
    return fold_all(settings, log.stage, log.stage.log_topic, before)


def fold_all(settings: Settings, stage: StatefulStage, topic: str, spans: Sequence[Span]) -> dict[int, int]:
    """Fold `spans` of `topic` into `stage`; returns and raises as `fold` does."""
    reached: dict[int, int] = {}
    reader = Partitions(settings, topic, spans)
    try:
        for partition in reader.numbers:
            chunk: list[Record] = []
            while (entry := reader.peek(partition)) is not None:
                chunk.append(reader.take(partition))
                reached[partition] = max(reached.get(partition, 0), input_offset(entry) + 1)
                if len(chunk) == _CHUNK:
                    _restore(stage, partition, chunk)
                    chunk = []
            _restore(stage, partition, chunk)
    finally:
        reader.close()
    return reached


def _restore(stage: StatefulStage, partition: int, entries: Sequence[Record]) -> None:
    try:
        if entries:
            stage.restore(partition, entries)
    except StateVersionError as error:
        raise ReplayError(f"{error}: {_ADVICE}") from error


def _arrived_by(settings: Settings, topic: str, kept: Sequence[Span], began_ms: int | None) -> tuple[Span, ...]:
    """Return `kept` from the first entry on that can be about a record which arrived at `began_ms`."""
    if began_ms is None:
        return tuple(Span(partition=span.partition, start=span.end, end=span.end) for span in kept)
    name = clients.physical(settings, topic)
    with asking(settings) as consumer:
        wanted = {TopicPartition(name, span.partition): began_ms - SLACK_MS for span in kept}
        found = consumer.offsets_for_times(wanted)
    starts = {place.partition: None if at is None else at.offset for place, at in found.items()}
    return tuple(
        Span(
            partition=span.partition,
            start=span.end if (start := starts[span.partition]) is None else min(max(start, span.start), span.end),
            end=span.end,
        )
        for span in kept
    )


def _refuse_short(settings: Settings, stage: StatefulStage, kept: Sequence[Span], began_ms: int | None) -> None:
    reach = stage.reach()
    name = clients.physical(settings, stage.log_topic)
    shortened = [span for span in kept if span.start]
    if began_ms is None or not shortened:
        return  # nothing was ever taken
    with asking(settings) as consumer:
        for span in shortened:
            oldest = first_time(consumer, TopicPartition(name, span.partition), span.start, span.end)
            if reach is None or oldest is None or oldest > began_ms - reach // timedelta(milliseconds=1):
                since = (
                    "nowhere" if oldest is None else f"{datetime.fromtimestamp(oldest / 1000, UTC):%Y-%m-%d %H:%M:%S}"
                )
                raise RangeError(
                    f"{stage.log_topic}/{span.partition} reaches back to {since}, and not "
                    f"{'to its beginning' if reach is None else f'{reach} before the range'}: {_ADVICE}. Or begin with "
                    "a later --from"
                )


def _first_direct(settings: Settings, log: Log, range_: Range) -> dict[int, int]:
    """Return by partition the first entry about an input that is not before the range."""
    starts: Mapping[int, int] = {span.partition: span.start for span in range_.spans}
    reader = Partitions(settings, log.stage.log_topic, log.spans)
    found = {}
    try:
        for span in log.spans:
            found[span.partition] = span.end
            while (entry := reader.peek(span.partition)) is not None:
                if input_offset(entry) >= starts.get(span.partition, 0):
                    found[span.partition] = entry.offset
                    break
                reader.take(span.partition)
    finally:
        reader.close()
    return found


def _first_followed(settings: Settings, log: Log, range_: Range) -> dict[int, int]:
    if range_.began_ms is None:
        return {}
    order = Followed(settings, range_.topic, range_.spans, lambda record: True, log, range_.ended_ms + SETTLED_MS)
    try:
        return order.begin()
    finally:
        order.close()
