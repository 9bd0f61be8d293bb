"""A chaos run: a broker, four supervised workers, documents, a killer, and a script of what else goes wrong."""

from __future__ import annotations

import contextlib
import re
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from kafka import KafkaConsumer
from kafka.structs import TopicPartition

from newsmill import clients
from newsmill import topics as admin
from newsmill.engines.broker.records import to_record
from newsmill.local import LocalKafka
from newsmill.settings import Settings
from schemas import topics
from tests.support.chaos import report
from tests.support.chaos.count import Count
from tests.support.chaos.feeder import Feeder
from tests.support.chaos.hung import abort_forgotten
from tests.support.chaos.killer import Killer
from tests.support.chaos.news import Raw
from tests.support.chaos.supervisor import Slot, Supervisor
from tests.support.chaos.watch import Broker, Watch
from workers import pipeline
from workers.pipeline import STAGES
from workers.stage import Record

STALL_SECONDS = 120.0
PATIENCE_SECONDS = 600.0
"""For one thing that is waited for: on a busy machine second workers have taken 100 s to join."""

BROKER = {
    # A killed worker's partitions are given away after the workers' session timeout, which is below the default least.
    "group.min.session.timeout.ms": "500",
    # A killed broker's own session; until it has ended, the next start waits.
    "broker.session.timeout.ms": "2000",
    "broker.heartbeat.interval.ms": "500",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run is: how much of what.

    `ahead`: most documents between what is fed and what has come out. `times`: kills of each stage's worker, before
    the share `until` of the work is done.
    """

    engine: Literal["kafka", "faust"]
    documents: Sequence[Raw]
    partitions: int
    batch_records: int
    ahead: int
    times: int
    seed: int
    until: float = 0.9
    session_timeout_s: float = 3.0


class Chaos:
    """One run. Enter `running`, let things go wrong with its methods, call `finish`, then look at what came out."""

    def __init__(self, plan: Plan, kafka: LocalKafka, where: Path) -> None:
        self.plan = plan
        self.kafka = kafka
        self.settings = Settings(
            bootstrap=kafka.bootstrap,
            state_dir=str(where),
            batch_records=plan.batch_records,
            session_timeout_s=plan.session_timeout_s,
            transaction_timeout_s=10.0,
            log_format="text",
        )
        with admin.admin_client(clients.connection(self.settings)) as client:
            admin.create(client, partitions={topics.RAW: plan.partitions})
        self.broker = Broker(self.settings)
        self.count = Count(self.settings)
        self.watch = Watch(self.settings)
        self.supervisor = Supervisor(self.settings, plan.engine, where)
        self.feeder = Feeder(self.settings, plan.documents, lambda: self.count.origins, ahead=plan.ahead)
        self.killer = Killer(
            self.settings,
            plan.engine,
            self.supervisor,
            self.watch,
            lambda: self.count.origins / len(plan.documents),
            times=plan.times,
            until=plan.until,
            seed=plan.seed,
        )
        self.events: list[str] = []
        self.seconds = 0.0
        self._began = time.monotonic()
        self._moved = (0, self._began)

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Have everything at work."""
        with self.supervisor.running():
            threads = (self.count, self.watch, self.feeder, self.killer)
            try:
                for thread in threads:
                    thread.start()
                yield
            finally:
                for thread in reversed(threads):
                    thread.close()
                self.broker.close()

    # -- waiting

    def _say(self, what: str) -> None:
        share = self.count.origins / len(self.plan.documents)
        self.events.append(f"{time.monotonic() - self._began:6.1f} s {share:4.0%}  {what}")

    def until(self, condition: Callable[[], bool], what: str, seconds: float = PATIENCE_SECONDS) -> None:
        """Wait until `condition` holds. Fails after `seconds`, when nothing has come out for long, and when one of the
        helpers has failed."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, self._explain(f"waited {seconds:g} s until {what}")
            self._check()
            time.sleep(0.05)

    def at(self, share: float) -> None:
        """Wait until `share` of the documents has come out."""
        self.until(lambda: self.count.origins >= share * len(self.plan.documents), f"{share:.0%} are out", 3_600)

    def _check(self) -> None:
        for helper in (self.count, self.feeder, self.killer, self.watch):
            if helper.error is not None:
                raise AssertionError(f"{type(helper).__name__} has failed") from helper.error
        now = time.monotonic()
        if self.count.records != self._moved[0]:
            self._moved = (self.count.records, now)
        finished = self.count.origins == len(self.plan.documents)
        missing = len(self.plan.documents) - self.count.origins
        assert finished or now - self._moved[1] < STALL_SECONDS, self._explain(
            f"nothing has come out for {STALL_SECONDS:g} s: {missing} are lost, or stuck"
        )

    def _explain(self, what: str) -> str:
        broker = f"the broker {'runs' if self.kafka.pid else 'has ended'}"
        lines = [what, broker, self.report(), f"committed: {self.broker.committed()}"]
        lines += [
            f"-- {slot.name}, {self.broker.owners(slot.stage)}:\n{self.supervisor.tail(slot.name)}"
            for slot in self.supervisor.slots.values()
        ]
        return "\n".join(lines)

    # -- what goes wrong

    def restart_broker(self, how: Literal["killed", "stopped"]) -> None:
        """SIGKILL the broker, or stop it in good order, and start it again."""
        self._say(f"the broker is {how}")
        began = time.monotonic()
        if how == "killed":
            self.kafka.kill()
        else:
            self.kafka.stop()
        self.kafka.start()
        self.kafka.wait_ready()
        self._say(f"the broker is back after {time.monotonic() - began:.1f} s")
        if self.plan.engine == "kafka" and (places := abort_forgotten(self.settings)):
            self._say(f"the broker had forgotten transactions on {len(places)} partitions, which are aborted: {places}")

    def seconds_join(self, stages: Sequence[str] = STAGES) -> None:
        """Start a second worker of each of `stages`, and wait until each has its share of the partitions."""
        began = time.monotonic()
        for stage in stages:
            self.supervisor.add(stage, "1")
        for stage in stages:
            self.until(lambda stage=stage: self._shared(stage), f"the workers of {stage} share its partitions")
        self._say(f"second workers have joined within {time.monotonic() - began:.1f} s")

    def _forget_killed(self) -> None:
        """Wait until the groups have forgotten workers that were killed before. A member with the name of one that is
        only being started is not it."""
        forgotten = time.monotonic() + self.plan.session_timeout_s + 1
        self.until(lambda: time.monotonic() >= forgotten, "sessions have ended")

    def _partitions(self, stage: str) -> int:
        source = pipeline.load(stage).source
        return self.plan.partitions if source == topics.RAW else topics.BY_NAME[source].partitions

    def _shared(self, stage: str) -> bool:
        owners = self.broker.owners(stage) or {}
        names = {slot.name for slot in self.supervisor.of(stage)}
        partitions = self._partitions(stage)
        busy = sum(count > 0 for count in owners.values())
        return names <= owners.keys() and sum(owners.values()) == partitions and busy == min(2, partitions)

    def seconds_leave(self, how: Literal["asked", "killed"], stages: Sequence[str] = STAGES) -> None:
        """Let the second workers go: SIGTERM, after which each ends with status 0, or SIGKILL."""
        slots = [self.supervisor.slots[f"{stage}-1"] for stage in stages]
        with self.killer.held():
            self._forget_killed()
            for stage in stages:
                self.until(lambda stage=stage: self._shared(stage), f"the workers of {stage} share its partitions")
            began = time.monotonic()
            if how == "asked":
                self.supervisor.ask_to_leave(*slots)
            else:
                for slot in slots:
                    self.killer.kill(slot, again=False)
        for stage in stages:
            self.until(lambda stage=stage: self._owned_by(f"{stage}-0"), f"{stage}-0 has all partitions again")
        self._say(f"second workers have left ({how}); the first have it all after {time.monotonic() - began:.1f} s")

    def _owned_by(self, name: str) -> bool:
        stage = name.rpartition("-")[0]
        owners = {owner: count for owner, count in (self.broker.owners(stage) or {}).items() if count}
        return owners == {name: self._partitions(stage)}

    def second_dedup_takes_over(self) -> None:
        """Kill the dedup worker that has the one partition and keep it down: the other, which has followed the log,
        reads the rest and goes on."""
        owner, other = self._dedup_owner()
        if self.plan.engine == "kafka":
            self.until(lambda: self._warm(other), f"{other.name} keeps the state warm")
        kill = None
        while kill is None:
            kill = self.killer.kill(owner, again=False)
        self.until(lambda: self._owned_by(other.name), f"{other.name} takes over")
        owned = time.monotonic()
        self.until(lambda: self.watch.moved_after("dedup", owned) is not None, f"{other.name} goes on")
        self._say(
            f"{other.name} has taken over from {owner.name}, with {self._restored(other)} log records left to read; it "
            f"goes on after {time.monotonic() - kill.at:.1f} s"
        )
        self.supervisor.release(owner)

    def _life(self, slot: Slot) -> str:
        """What the process in `slot` has logged since it was ready to work; nothing before."""
        lives = self.supervisor.log(slot.name).read_text(errors="replace").split("works with the")
        return lives[-1] if len(lives) > slot.starts else ""

    def _warm(self, slot: Slot) -> bool:
        return "its state is warm" in self._life(slot)

    def _restored(self, slot: Slot) -> str:
        found = re.findall(r"restored the state of \S+ from (\d+) log records", self._life(slot))
        return found[-1] if found else "?"

    def freeze_dedup(self) -> None:
        """Stand the dedup worker still, as a machine that swaps or loses its network would, until another has taken
        over and its transaction has timed out; then let it go on. It must not write what it had in its hands."""
        with self.killer.held():
            owner, other = self._dedup_owner()
            before = len(owner.exits)
            self.killer.wait_for_writing("dedup")
            self.supervisor.send(owner, signal.SIGSTOP)
            frozen = time.monotonic()
            doing = self.killer.doing(owner)
            self.until(lambda: self._owned_by(other.name), f"{other.name} takes over")
            owned = time.monotonic()
            self.until(lambda: self.watch.moved_after("dedup", owned) is not None, f"{other.name} goes on")
            thawed = max(time.monotonic(), frozen + self.settings.transaction_timeout_s + 2)
            self.until(lambda: time.monotonic() >= thawed, "its transaction has timed out")
            self.supervisor.send(owner, signal.SIGCONT)
            self.until(lambda: self._shared("dedup"), "both are members again")
            ended = owner.exits[before:]
            self._say(
                f"{owner.name} stood still for {thawed - frozen:.1f} s (its transaction: {doing}); {other.name} had "
                f"the partition after {owned - frozen:.1f} s; then the first "
                f"{f'ended with status {ended[0].status}' if ended else 'joined again'}"
            )

    def _dedup_owner(self) -> tuple[Slot, Slot]:
        found: list[Slot] = []

        def known() -> bool:
            owners = self.broker.owners("dedup") or {}
            found[:] = sorted(self.supervisor.of("dedup"), key=lambda slot: -owners.get(slot.name, 0))
            return any(owners.values())

        self.until(known, "somebody has the partition of news.articles")
        return found[0], found[1]

    # -- the end

    def finish(self) -> None:
        """Wait until every document has come out, and every stage has read its input to the end; stop the workers."""
        self.at(1.0)
        self.seconds = time.monotonic() - self._began
        self.until(lambda: self.feeder.done, "the feeder is done")
        self.until(lambda: self.killer.done, "the killer is done")
        self._forget_killed()
        for stage in STAGES:
            self.until(lambda stage=stage: self._owned_by(f"{stage}-0"), f"{stage}-0 has all partitions")
        self.until(lambda: not any(self.unread(stage) for stage in STAGES), "all input is read")
        self.supervisor.ask_to_leave(*self.supervisor.slots.values())
        waiting = {stage: self.unread(stage) for stage in STAGES}
        assert not any(waiting.values()), waiting
        ends = sum(len(self.read(topic)) for topic in (topics.CLASSIFIED, topics.DUPLICATES, topics.DEAD_LETTERS))
        self.until(lambda: self.count.records == ends, f"{ends} records are counted")

    def unread(self, stage: str) -> int:
        """Return how many committed records behind its committed offsets `stage` has not read."""
        topic = clients.physical(self.settings, pipeline.load(stage).source)
        consumer: Any = KafkaConsumer(**clients.consumer(self.settings), group_id=clients.group(self.settings, stage))
        try:
            places = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic)]
            starts = {place: consumer.committed(place) or 0 for place in places}
        finally:
            consumer.close()
        return len(self._read(starts))

    def read(self, topic: str) -> list[Record]:
        """Return the committed records of `topic`, by partition and offset."""
        name = clients.physical(self.settings, topic)
        count = self.plan.partitions if topic == topics.RAW else topics.BY_NAME[topic].partitions
        return self._read({TopicPartition(name, number): 0 for number in range(count)})

    def _read(self, starts: dict[TopicPartition, int]) -> list[Record]:
        lookup: Any = KafkaConsumer(**clients.consumer(self.settings) | {"isolation_level": "read_uncommitted"})
        consumer: Any = KafkaConsumer(**clients.consumer(self.settings))
        found: list[Record] = []
        try:
            ends = lookup.end_offsets(list(starts))
            consumer.assign(list(starts))
            for place, start in starts.items():
                consumer.seek(place, start)
            deadline = time.monotonic() + PATIENCE_SECONDS
            while any(consumer.position(place) < ends[place] for place in starts):
                assert time.monotonic() < deadline, f"{starts} can't be read to the end: a transaction is open"
                for records in consumer.poll(timeout_ms=200).values():
                    found.extend(map(to_record, records))
        finally:
            lookup.close()
            consumer.close()
        return sorted(found, key=lambda record: (record.partition, record.offset))

    def report(self) -> str:
        """Return what happened, for a person."""
        plan = self.plan
        seconds = self.seconds or time.monotonic() - self._began
        by_topic = self.count.by_topic()
        doing = Counter(kill.doing or "not asked" for kill in self.killer.kills)
        extra = self.count.records - self.count.origins
        return "\n".join(
            (
                f"{plan.engine}: {self.count.origins:,} of {len(plan.documents):,} documents in {seconds:.0f} s "
                f"({self.count.origins / seconds:.0f} a second), seed {plan.seed}, session timeout "
                f"{plan.session_timeout_s:g} s, {plan.batch_records} records a batch",
                f"came out: {dict(sorted(by_topic.items()))}; {extra} more than one for an origin",
                report.table(list(self.supervisor.slots.values()), self.killer.kills, self.watch),
                f"transaction of a killed worker: {dict(doing)}",
                *self.events,
            )
        )
