"""The broker's side: what waits, who is a member, how far each partition is."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from kafka import KafkaConsumer
from kafka.errors import KafkaError, NotCoordinatorError
from kafka.structs import TopicPartition

from newsmill import clients, topics
from newsmill.settings import Settings
from schemas.topics import DEAD_LETTERS

MINUTES: Final = (1, 15)
"""Windows of arrivals, minutes before now."""


COORDINATOR_SECONDS: Final = 15.0

BOOTSTRAP_MS: Final = 8_000
"""A person waits for the screen; workers wait longer for their brokers."""


@dataclass(frozen=True, slots=True)
class PartitionLine:
    """One partition of a stage's input. Offsets are the broker's; None is not known."""

    number: int
    committed: int | None
    end: int
    member: str | None

    @property
    def lag(self) -> int | None:
        """Records and transaction markers from the committed offset to the end; None: nothing was ever committed."""
        return None if self.committed is None else max(0, self.end - self.committed)


@dataclass(frozen=True, slots=True)
class Group:
    """The workers of a stage as the broker sees them."""

    state: str
    members: tuple[str, ...]
    partitions: tuple[PartitionLine, ...]
    arrived: tuple[float, ...]
    """Records a second that arrived in the stage's topic, over each of `MINUTES`; markers of transactions count."""


def describe(settings: Settings, sources: Mapping[str, str]) -> tuple[dict[str, Group], tuple[int, ...]]:
    """Return (group by stage, dead letters that arrived in each of `MINUTES`).

    Args:
        sources: topic by stage.

    Raises kafka.errors.KafkaError when no broker answers.
    """
    consumer: Any = KafkaConsumer(**clients.consumer(settings), bootstrap_timeout_ms=BOOTSTRAP_MS)
    try:
        names = {stage: clients.physical(settings, topic) for stage, topic in sources.items()}
        places = {stage: _places(consumer, name) for stage, name in names.items()}
        dead = _places(consumer, clients.physical(settings, DEAD_LETTERS))
        everything = [place for group in (*places.values(), dead) for place in group]
        if not everything:
            return {}, ()
        ends: dict[TopicPartition, int] = consumer.end_offsets(everything)
        before = [_offsets_at(consumer, everything, ends, minutes) for minutes in MINUTES]
    finally:
        consumer.close()
    groups = {clients.group(settings, stage): stage for stage in sources}
    with topics.admin_client(clients.connection(settings)) as admin:
        committed = _patiently(lambda: admin.list_group_offsets(list(groups)))
        described = _patiently(lambda: _describe_groups(admin, list(groups)))
    found = {}
    for group, stage in groups.items():
        owners = _owners(described.get(group, {}), names[stage])
        offsets = committed.get(group, {})
        lines = tuple(
            PartitionLine(place.partition, _known(offsets.get(place)), ends[place], owners.get(place.partition))
            for place in places[stage]
        )
        arrived = tuple(
            sum(ends[place] - then[place] for place in places[stage]) / (60 * minutes)
            for minutes, then in zip(MINUTES, before, strict=True)
        )
        members = tuple(sorted(member["client_id"] for member in described.get(group, {}).get("members", ())))
        found[stage] = Group(described.get(group, {}).get("group_state", "Unknown"), members, lines, arrived)
    return found, tuple(sum(ends[place] - then[place] for place in dead) for then in before)


def _patiently(ask: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return what `ask` returns, asked again for a while: a young cluster makes its group coordinators when it is first
    asked for one, and says meanwhile that it has none."""
    until = time.monotonic() + COORDINATOR_SECONDS
    while True:
        try:
            return ask()
        except KafkaError as error:
            if not error.retriable or time.monotonic() > until:
                raise
            time.sleep(0.2)


def _describe_groups(admin: Any, groups: Sequence[str]) -> dict[str, Any]:
    described: dict[str, Any] = admin.describe_groups(groups)
    if any("NotCoordinator" in str(group["error"]) for group in described.values()):
        raise NotCoordinatorError
    return described


def _places(consumer: Any, name: str) -> list[TopicPartition]:
    return [TopicPartition(name, number) for number in sorted(consumer.partitions_for_topic(name) or ())]


def _offsets_at(
    consumer: Any, places: Sequence[TopicPartition], ends: Mapping[TopicPartition, int], minutes: int
) -> dict[TopicPartition, int]:
    then = int((time.time() - 60 * minutes) * 1000)
    found = consumer.offsets_for_times(dict.fromkeys(places, then))
    # None: nothing has arrived since.
    return {place: ends[place] if found[place] is None else min(found[place].offset, ends[place]) for place in places}


def _known(found: Any) -> int | None:
    return None if found is None or found.offset < 0 else int(found.offset)


def _owners(described: Mapping[str, Any], topic: str) -> dict[int, str]:
    owners: dict[int, str] = {}
    for member in described.get("members", ()):
        assignment = member.get("member_assignment") or {}
        for assigned in assignment.get("assigned_partitions", ()):
            if assigned["topic"] == topic:
                owners |= dict.fromkeys(assigned["partitions"], member["client_id"])
    return owners
