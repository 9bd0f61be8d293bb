"""What a run came to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from newsmill.engines.result import BatchResult, Output
from schemas import headers as h

_EXAMPLES: Final = 5


@dataclass(frozen=True, slots=True)
class DeadLetterExample:
    """One refused record, for a person to look at. `detail` is the last line of the explanation."""

    origin: str
    stage: str
    reason: str
    detail: str


@dataclass(slots=True)
class RunSummary:
    """Counts of a run; of an interrupted run that went on, from its beginning.

    `outcomes` is by (stage, kind or `dead_letter`), `dead_letters` by (stage, reason), `emitted` by topic. `examples`
    are the first few dead letters since the last start. `stopped` says that the run was stopped before its end;
    `resumed` that it went on from an interrupted one. `seconds` is the time since the last start.
    """

    documents: int = 0
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    dead_letters: Counter[tuple[str, str]] = field(default_factory=Counter)
    emitted: Counter[str] = field(default_factory=Counter)
    examples: list[DeadLetterExample] = field(default_factory=list)
    stopped: bool = False
    resumed: bool = False
    seconds: float = 0.0

    def add(self, stage: str, result: BatchResult) -> None:
        """Count what a stage made of a batch."""
        for (outcome, reason, _), count in result.counts.items():
            self.outcomes[stage, outcome] += count
            if reason:
                self.dead_letters[stage, reason] += count
        self.emitted.update(output.topic for output in result.outputs)

    def show(self, dead: Sequence[Output]) -> None:
        """Keep the first few dead letters as examples."""
        for output in dead[: _EXAMPLES - len(self.examples)]:
            headers = {name: value.decode("utf-8", "backslashreplace") for name, value in output.headers}
            lines = headers.get(h.DEAD_DETAIL, "").strip().splitlines() or [""]
            self.examples.append(
                DeadLetterExample(
                    headers.get(h.ORIGIN, ""), headers.get(h.DEAD_STAGE, ""), headers.get(h.DEAD_REASON, ""), lines[-1]
                )
            )

    def dump(self) -> dict[str, dict[str, int]]:
        """Return the counts for a checkpoint."""
        return {
            "documents": {"all": self.documents},
            "outcomes": {"/".join(key): count for key, count in sorted(self.outcomes.items())},
            "dead_letters": {"/".join(key): count for key, count in sorted(self.dead_letters.items())},
            "emitted": dict(sorted(self.emitted.items())),
        }

    def load(self, plain: dict[str, dict[str, int]]) -> None:
        """Take over the counts that `dump` returned."""
        self.documents = plain.get("documents", {}).get("all", 0)
        self.outcomes = Counter({_pair(key): count for key, count in plain.get("outcomes", {}).items()})
        self.dead_letters = Counter({_pair(key): count for key, count in plain.get("dead_letters", {}).items()})
        self.emitted = Counter(plain.get("emitted", {}))


def _pair(key: str) -> tuple[str, str]:
    stage, _, rest = key.partition("/")
    return stage, rest
