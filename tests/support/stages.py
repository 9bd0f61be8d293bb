"""Small stages for testing engines: what they do is obvious, so what an engine does to them is visible."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Sequence

from schemas import headers as h
from schemas import topics
from workers.stage import Emit, Message, Outcome, Record, Reject, Stage, StatefulStage, StateVersionError

_LONGEST_SECONDS = 60.0


def outcomes_of(stage: Stage, batch: Sequence[Record], cut: int = 1_000) -> list[Outcome]:
    """Return the outcomes of `batch`; a stage with state commits every `cut` records."""
    found: list[Outcome] = []
    for at in range(0, len(batch), cut):
        found += stage.process(batch[at : at + cut])
        if isinstance(stage, StatefulStage):
            stage.commit()
    return found


class EchoStage(Stage):
    """news.raw -> news.articles, value in upper case. `bad...` is rejected, `raise...` raises, `die...` calls `die`."""

    name = "ingest"
    source = topics.RAW
    sinks = (topics.ARTICLES,)
    kinds = ("article",)
    reasons = ("bad_value",)
    version = "1.0.0"

    def __init__(self, die: Callable[[], None] | None = None) -> None:
        self._die = die

    def process(self, batch: Sequence[Record]) -> Sequence[Outcome]:
        return [self._one(record) for record in batch]

    def _one(self, record: Record) -> Outcome:
        value = record.value or b""
        if value.startswith(b"bad"):
            return Reject("bad_value", "it starts with bad")
        if value.startswith(b"raise"):
            raise ValueError(f"cannot digest {value!r}")
        if value.startswith(b"die") and self._die is not None:
            self._die()
        return Emit("article", (Message(topics.ARTICLES, record.key or b"", value.upper()),))


class SpeakingStage(EchoStage):
    """news.raw -> news.articles; the value is the article's language."""

    def process(self, batch: Sequence[Record]) -> Sequence[Outcome]:
        return [
            Emit("article", (Message(topics.ARTICLES, r.key or b"", r.value or b"", (r.value or b"").decode()),))
            for r in batch
        ]


class HangingStage(EchoStage):
    """An EchoStage whose batches do not end before `go_on` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = threading.Event()

    def process(self, batch: Sequence[Record]) -> Sequence[Outcome]:
        if not self.go_on.wait(_LONGEST_SECONDS):
            raise TimeoutError("nobody let it go on")
        return super().process(batch)


class CountingStage(StatefulStage):
    """news.articles -> news.unique: says of each value how many times it was seen before, by partition.

    Its log has the value and the count, so a fold of the log gives the counts, and a redelivered input its old answer.
    """

    name = "dedup"
    source = topics.ARTICLES
    sinks = (topics.UNIQUE,)
    kinds = ("unique",)
    reasons = ("bad_value",)
    version = "1.0.0"
    log_topic = topics.DEDUP_LOG

    def __init__(self) -> None:
        # partition -> (value -> times seen, offset -> answer)
        self.seen: dict[int, tuple[dict[str, int], dict[int, int]]] = {}
        self._staged: dict[int, tuple[dict[str, int], dict[int, int]]] = {}

    def process(self, batch: Sequence[Record]) -> Sequence[Outcome]:
        return [self._one(record) for record in batch]

    def _one(self, record: Record) -> Outcome:
        value = (record.value or b"").decode()
        if value.lower().startswith("bad"):
            return Reject("bad_value", "it starts with bad")
        if value.lower().startswith("raise"):
            raise ValueError(f"cannot digest {value!r}")
        seen, answers = self.seen.setdefault(record.partition, ({}, {}))
        staged, staged_answers = self._staged.setdefault(record.partition, ({}, {}))
        replayed = h.get(record.headers, h.REPLAY) is not None
        logged = max(answers, default=-1)
        if record.offset <= logged and not replayed:
            return self._answer(record, value, answers.get(record.offset, -1), log=False)
        count = staged.get(value, seen.get(value, 0))
        if not replayed:
            staged[value] = count + 1
            staged_answers[record.offset] = count
        return self._answer(record, value, count, log=not replayed)

    def _answer(self, record: Record, value: str, count: int, *, log: bool) -> Emit:
        key = record.key or b""
        body = json.dumps({"value": value, "count": count}).encode()
        return Emit(
            "unique",
            (Message(topics.UNIQUE, key, body),),
            Message(topics.DEDUP_LOG, key, body) if log else None,
        )

    def commit(self) -> None:
        for partition, (staged, answers) in self._staged.items():
            self.seen[partition][0].update(staged)
            self.seen[partition][1].update(answers)
        self._staged.clear()

    def rollback(self) -> None:
        self._staged.clear()

    def restore(self, partition: int, log: Iterable[Record]) -> None:
        seen, answers = self.seen.setdefault(partition, ({}, {}))
        for record in log:
            entry = json.loads(record.value or b"")
            seen[entry["value"]] = entry["count"] + 1
            answers[int(h.get(record.headers, h.INPUT_OFFSET) or b"-1")] = entry["count"]

    def forget(self, partition: int) -> None:
        self.seen.pop(partition, None)
        self._staged.pop(partition, None)

    def snapshot(self, partition: int) -> bytes:
        seen, answers = self.seen.get(partition, ({}, {}))
        body = json.dumps({"seen": seen, "answers": {str(k): v for k, v in answers.items()}}, sort_keys=True)
        return f"counting1 {len(body)} {body}".encode()

    def load_snapshot(self, partition: int, data: bytes) -> None:
        try:
            magic, size, body = data.decode().split(" ", 2)
            if magic != "counting1" or int(size) != len(body):
                raise ValueError
            plain = json.loads(body)
        except ValueError:
            raise StateVersionError("not a snapshot of counting1, or torn") from None
        self.seen[partition] = (plain["seen"], {int(k): v for k, v in plain["answers"].items()})

    def state_size(self) -> tuple[int, int]:
        entries = sum(len(seen) for seen, _ in self.seen.values())
        return entries, entries * 64
