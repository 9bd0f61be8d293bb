"""The topics of a run of its own, `replay.<run>.<topic>`: made like the live ones, written in transactions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from newsmill import clients
from newsmill import topics as admin
from newsmill.engines.broker.required import MissingTopicsError
from newsmill.engines.embedded.chain import Decided
from newsmill.engines.result import Output
from newsmill.partitioner import partition_of
from newsmill.replay.errors import ReplayError
from newsmill.replay.fused import Input, State, Target
from newsmill.replay.lookup import asking
from newsmill.replay.order import Item, Order
from newsmill.replay.session import Session
from newsmill.settings import Settings
from schemas import topics
from workers.stage import Stage, StatefulStage

PREFIX: Final = "replay."


def own_topic(run: str, topic: str) -> str:
    """Return the topic of `run` that stands for the live `topic`, both without a namespace."""
    return f"{PREFIX}{run}.{topic}"


def written_topics(stages: Sequence[Stage]) -> list[str]:
    """Return the live names of all topics that a run with these stages writes, in the order of the pipeline."""
    named = [topic for stage in stages for topic in stage.sinks]
    named += [stage.log_topic for stage in stages if isinstance(stage, StatefulStage)]
    return [*dict.fromkeys(named), topics.DEAD_LETTERS]


def partitions(settings: Settings, names: Sequence[str]) -> dict[str, int]:
    """Return how many partitions each of the live topics has.

    Raises MissingTopicsError, kafka.errors.KafkaError.
    """
    with asking(settings) as consumer:
        found = {name: len(consumer.partitions_for_topic(clients.physical(settings, name)) or ()) for name in names}
    if missing := [clients.physical(settings, name) for name, count in found.items() if not count]:
        raise MissingTopicsError(missing)
    return found


def create(settings: Settings, run: str, counts: Mapping[str, int]) -> None:
    """Make the topics of a run as far as they are not there, with as many partitions as the live ones: the order of a
    partition is then the order of the live one. Raises ReplayError, kafka.errors.KafkaError."""
    own = [
        replace(topics.BY_NAME[name], name=clients.physical(settings, own_topic(run, name)), partitions=count)
        for name, count in counts.items()
    ]
    with admin.admin_client(clients.connection(settings)) as client:
        for made in admin.create(client, own):
            if made.outcome == "failed":
                raise ReplayError(f"the topic {made.topic} can't be made: {', '.join(made.details)}")


def partitioner(counts: Mapping[str, int]) -> Callable[[str, bytes | None], int]:
    """Return the function that tells the partition of a record, of its live topic and key."""
    numbers = {name: range(count) for name, count in counts.items()}

    def partition(topic: str, key: bytes | None) -> int:
        return partition_of(key, numbers.get(topic, range(1)), ())

    return partition


class TopicTarget(Target):
    """Writes into the topics of a run, a batch and its checkpoint in one transaction.

    Args:
        session: begun.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._names: dict[str, str] = {}

    def write(
        self, outputs: Sequence[Output], positions: Mapping[str, int], counts: Mapping[str, int], state: State
    ) -> None:
        """Raises FencedError, TransactionError."""
        own = [replace(output, topic=self._own(output.topic)) for output in outputs]
        self._session.checkpoint(own, positions, counts, state=state.dump())

    def finish(self, counts: Mapping[str, int]) -> None:
        """Raises FencedError, TransactionError."""
        self._session.finish(counts)

    def _own(self, topic: str) -> str:
        return self._names.get(topic) or self._names.setdefault(topic, own_topic(self._session.run, topic))


class TopicInput(Input):
    """The records of a range, in the order of `order`. `total`: offsets of the range. `fold`: hand out decisions about
    records left out, too."""

    def __init__(self, order: Order, total: int, *, fold: bool = True) -> None:
        self._order = order
        self._total = total
        self._fold = fold

    def __iter__(self) -> Iterator[Item]:
        return (item for item in self._order if self._fold or not isinstance(item, Decided))

    def positions(self) -> dict[str, int]:
        """Return the next offsets, by `topic/partition`."""
        return self._order.positions()

    @property
    def total(self) -> int:
        """Offsets of the range."""
        return self._total

    @property
    def done(self) -> int:
        """Offsets of the range that are behind."""
        return self._order.done

    @property
    def left_out(self) -> int:
        """Records of the range that were not meant, since this process began."""
        return self._order.left_out

    def close(self) -> None:
        """Close the clients."""
        self._order.close()
