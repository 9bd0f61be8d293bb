"""What the broker says while it all runs: how far each stage has committed, and who owns its partitions."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Any, TypeVar

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from newsmill import clients
from newsmill.settings import Settings
from tests.support.background import Background
from workers.pipeline import STAGES

T = TypeVar("T")

EVERY_SECONDS = 0.1


def answers(settings: Settings) -> bool:
    """Return whether the broker takes connections. A kafka-python client that is made while it does not leaves a thread
    behind."""
    host, _, port = settings.bootstrap.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
    except OSError:
        return False
    return True


class Broker:
    """Questions to the broker. While it is away there is no answer: None. For one thread at a time."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._admin: Any = None

    def _ask(self, question: Callable[[Any], T]) -> T | None:
        if not answers(self._settings):
            return None
        try:
            if self._admin is None:
                self._admin = KafkaAdminClient(
                    **clients.connection(self._settings), bootstrap_timeout_ms=2_000, request_timeout_ms=2_000
                )
            return question(self._admin)
        except (KafkaError, OSError):
            self.close()
            return None

    def close(self) -> None:
        """Close the connection; the next question opens it again."""
        admin, self._admin = self._admin, None
        if admin is not None:
            admin.close()

    def committed(self) -> dict[str, int] | None:
        """Return the sum of committed offsets of each stage."""
        groups = {clients.group(self._settings, stage): stage for stage in STAGES}
        found = self._ask(lambda admin: admin.list_group_offsets(list(groups)))
        if found is None:
            return None
        return {groups[group]: sum(max(0, o.offset) for o in offsets.values()) for group, offsets in found.items()}

    def owners(self, stage: str) -> dict[str, int] | None:
        """Return the members of the group of `stage`, by client id: how many partitions each has. None, too, while the
        group rebalances."""
        group = clients.group(self._settings, stage)
        described = self._ask(lambda admin: admin.describe_groups([group])[group])
        if described is None or described["group_state"] not in ("Stable", "Empty"):
            return None
        owners: dict[str, int] = {}
        for member in described["members"]:
            partitions = (member["member_assignment"] or {}).get("assigned_partitions", ())
            owners[member["client_id"]] = owners.get(member["client_id"], 0) + sum(
                len(topic["partitions"]) for topic in partitions
            )
        return owners

    def transaction(self, transactional_id: str) -> str:
        """Return the state of a transaction, in the broker's words."""
        found = self._ask(lambda admin: admin.describe_transactions([transactional_id])[transactional_id])
        return "unknown" if found is None else str(found.state.value)


class Watch(Background):
    """Notes, on a thread of its own, when the committed offsets of each stage move."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._broker = Broker(settings)
        self._moves: dict[str, list[float]] = {stage: [] for stage in STAGES}
        self._before: dict[str, int] = {}

    def close(self) -> None:
        """Stop watching."""
        super().close()
        self._broker.close()

    def work(self) -> None:
        while not self._over.wait(EVERY_SECONDS):
            for stage, offset in (self._broker.committed() or {}).items():
                if offset > self._before.get(stage, 0):
                    self._moves[stage].append(time.monotonic())
                    self._before[stage] = offset

    def moved_after(self, stage: str, at: float) -> float | None:
        """Return when the offsets of `stage` first moved after `at` (monotonic seconds), None if not yet."""
        return next((move for move in self._moves[stage] if move > at), None)
