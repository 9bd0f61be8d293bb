"""Creates and describes the declared topics (schemas/topics.py) on any Kafka cluster."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final, Literal

from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import ConfigResource, OffsetSpec
from kafka.errors import KafkaError, TopicAlreadyExistsError, UnknownTopicOrPartitionError, for_code

from newsmill.clients import MAX_DEAD_LETTER_BYTES, MAX_MESSAGE_BYTES
from schemas.topics import TOPICS, Topic

BROKER_DEFAULT: Final = -1
"""As a replication factor: what the cluster's `default.replication.factor` says (Kafka 2.4, KIP-464)."""

Outcome = Literal["created", "exists", "differs", "failed"]


@dataclass(frozen=True, slots=True)
class Created:
    """What became of one topic. `details` says how it differs from its declaration, or why it could not be created."""

    topic: str
    outcome: Outcome
    details: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Described:
    """One topic as the cluster has it. A topic that does not exist has no partitions.

    `start` and `end` are offsets by partition, from the oldest record that is kept to the next one to be written; the
    markers of transactions take offsets, too, so `end - start` is an upper bound of the number of records. `size_bytes`
    is on disk, all replicas together, or None where the cluster doesn't let this client ask.
    """

    topic: str
    partitions: int
    replication_factor: int = 0
    retention: timedelta | None = None
    start: tuple[int, ...] = ()
    end: tuple[int, ...] = ()
    size_bytes: int | None = None


def declared(namespace: str = "") -> tuple[Topic, ...]:
    """Return the declared topics as a cluster has them, with `namespace` before their names."""
    return tuple(
        replace(topic, name=namespace + topic.name, log_of=topic.log_of and namespace + topic.log_of)
        for topic in TOPICS
    )


def topic_settings(topic: Topic) -> dict[str, str]:
    """Return the topic-level settings that `topic` is created with, by their Kafka names."""
    return {
        "cleanup.policy": "delete",
        "retention.ms": str(_milliseconds(topic.retention)),
        "message.timestamp.type": "LogAppendTime",
        "max.message.bytes": str(MAX_DEAD_LETTER_BYTES if topic.message is None else MAX_MESSAGE_BYTES),
        "compression.type": "producer",
    }


@contextmanager
def admin_client(client: Mapping[str, Any]) -> Iterator[KafkaAdminClient]:
    """Yield a KafkaAdminClient made with the settings in `client` (`bootstrap_servers`, TLS, SASL), and close it.

    Raises kafka.errors.KafkaError when no broker answers.
    """
    admin = KafkaAdminClient(**client)
    try:
        yield admin
    finally:
        admin.close()


def create(
    admin: KafkaAdminClient,
    topics: Sequence[Topic] = TOPICS,
    *,
    replication_factor: int = BROKER_DEFAULT,
    partitions: Mapping[str, int] | None = None,
) -> list[Created]:
    """Create those of `topics` that don't exist, wait until they can be used, and return an outcome for each, in order.

    `partitions` overrides the declared numbers by topic name; a log has as many as its input, if not told otherwise. A
    topic that exists is never changed: where it differs from its declaration, the outcome says how. Raises
    kafka.errors.KafkaError when the cluster does not answer.
    """
    existing = _metadata(admin, topics)
    counts = _counts(topics, partitions or {}, existing)
    failures = _create_missing(admin, [t for t in topics if t.name not in existing], counts, replication_factor)
    # Somebody else may have been faster; then the topic is theirs, and is compared as any other that exists.
    created = {t.name for t in topics if t.name not in existing and t.name not in failures}
    raced = {name for name, reason in failures.items() if reason is None}
    admin.wait_for_topics(sorted(created | raced))
    if raced:
        existing = _metadata(admin, topics)
    settings = _settings(admin, [name for name in existing if name not in created])
    outcomes: list[Created] = []
    for topic in topics:
        if (reason := failures.get(topic.name)) is not None:
            outcomes.append(Created(topic.name, "failed", (reason,)))
        elif topic.name in created:
            outcomes.append(Created(topic.name, "created"))
        else:
            found = len(existing[topic.name]["partitions"])
            details = _differences(topic, counts[topic.name], found, settings.get(topic.name, {}))
            outcomes.append(Created(topic.name, "differs" if details else "exists", details))
    return outcomes


def _counts(
    topics: Sequence[Topic], wanted: Mapping[str, int], existing: Mapping[str, Mapping[str, Any]]
) -> dict[str, int]:
    """Return the number of partitions that each topic should have."""
    counts = {topic.name: wanted.get(topic.name, topic.partitions) for topic in topics}
    for topic in topics:
        if topic.log_of in counts and topic.name not in wanted:
            found = existing.get(topic.log_of)
            counts[topic.name] = len(found["partitions"]) if found else counts[topic.log_of]
    return counts


def exists(admin: KafkaAdminClient, topic: str) -> bool:
    """Return whether the cluster has a topic of this name. Raises kafka.errors.KafkaError when it does not answer."""
    (entry,) = admin.describe_topics([topic])
    if entry["error_code"] and for_code(entry["error_code"]) is not UnknownTopicOrPartitionError:
        raise for_code(entry["error_code"])(f"The cluster does not describe {topic}")
    return not entry["error_code"]


def largest_record(admin: KafkaAdminClient, topic: str) -> int | None:
    """Return `max.message.bytes` of `topic`, bytes; None where the cluster doesn't let this client ask."""
    try:
        value = _settings(admin, [topic]).get(topic, {}).get("max.message.bytes")
    except KafkaError:
        return None
    return int(value) if value else None


def cluster_id(admin: KafkaAdminClient) -> str:
    """Return the id that the cluster got when it was set up. Raises kafka.errors.KafkaError when it does not answer."""
    found: str | None = admin.describe_cluster()["cluster_id"]
    return found or ""


def describe(admin: KafkaAdminClient, topics: Sequence[Topic] = TOPICS) -> list[Described]:
    """Return what the cluster has of `topics`, in order. Raises kafka.errors.KafkaError when it does not answer.

    Ends are high watermarks: records of open transactions count.
    """
    existing = _metadata(admin, topics)
    if not existing:
        return [Described(topic.name, 0) for topic in topics]
    settings = _settings(admin, list(existing))
    places = [TopicPartition(name, number) for name, found in existing.items() for number in _numbers(found)]
    starts = admin.list_partition_offsets(dict.fromkeys(places, OffsetSpec.EARLIEST))
    ends = admin.list_partition_offsets(dict.fromkeys(places, OffsetSpec.LATEST))
    sizes = _sizes(admin, list(existing))
    rows: list[Described] = []
    for topic in topics:
        if (found := existing.get(topic.name)) is None:
            rows.append(Described(topic.name, 0))
            continue
        own = [TopicPartition(topic.name, number) for number in _numbers(found)]
        retention = settings.get(topic.name, {}).get("retention.ms")
        rows.append(
            Described(
                topic=topic.name,
                partitions=len(own),
                replication_factor=max(len(part["replica_nodes"]) for part in found["partitions"]),
                # -1 keeps records for ever, which no timedelta says.
                retention=None if retention in (None, "-1") else timedelta(milliseconds=int(retention)),
                start=tuple(starts[place].offset for place in own),
                end=tuple(ends[place].offset for place in own),
                size_bytes=None if sizes is None else sizes.get(topic.name, 0),
            )
        )
    return rows


def _milliseconds(span: timedelta) -> int:
    return span // timedelta(milliseconds=1)


def _numbers(found: Mapping[str, Any]) -> list[int]:
    return sorted(part["partition_index"] for part in found["partitions"])


def _metadata(admin: KafkaAdminClient, topics: Sequence[Topic]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for entry in admin.describe_topics([topic.name for topic in topics]):
        error = for_code(entry["error_code"])
        if error is UnknownTopicOrPartitionError:
            continue
        if entry["error_code"]:
            raise error(f"The cluster does not describe {entry['name']}")
        found[entry["name"]] = entry
    return found


def _create_missing(
    admin: KafkaAdminClient, missing: Sequence[Topic], counts: Mapping[str, int], replication_factor: int
) -> dict[str, str | None]:
    """Return why topics could not be created, by name; None as a reason says that the topic exists by now."""
    if not missing:
        return {}
    wanted = {
        topic.name: {
            "num_partitions": counts[topic.name],
            "replication_factor": replication_factor,
            "configs": topic_settings(topic),
        }
        for topic in missing
    }
    failures: dict[str, str | None] = {}
    for entry in admin.create_topics(wanted, raise_errors=False)["topics"]:
        if entry["error_code"]:
            error = for_code(entry["error_code"])
            exists = error is TopicAlreadyExistsError
            failures[entry["name"]] = None if exists else f"{error.__name__}: {entry.get('error_message') or ''}"
    return failures


def _settings(admin: KafkaAdminClient, names: Sequence[str]) -> dict[str, dict[str, str | None]]:
    if not names:
        return {}
    answer = admin.describe_configs([ConfigResource("topic", name) for name in names], config_filter="all")
    return {
        name: {setting: entry["value"] for setting, entry in entries.items()}
        for name, entries in answer.get("topic", {}).items()
    }


def _differences(topic: Topic, count: int, found: int, settings: Mapping[str, str | None]) -> tuple[str, ...]:
    details: list[str] = []
    if found != count:
        details.append(f"it has {found} partitions, declared are {count}")
    if not settings:
        details.append("its settings can't be read (is DescribeConfigs allowed?)")
        return tuple(details)
    for name, wanted in topic_settings(topic).items():
        if (has := settings.get(name)) != wanted:
            details.append(f"{name} is {has}, declared is {wanted}")
    return tuple(details)


def _sizes(admin: KafkaAdminClient, names: Sequence[str]) -> dict[str, int] | None:
    try:
        answer = admin.describe_log_dirs(list(names))
    except KafkaError:
        return None
    sizes: dict[str, int] = {}
    for broker in answer:
        for directory in broker["log_dirs"]:
            if directory["error_code"]:
                return None
            for entry in directory["topics"]:
                size = sum(part["partition_size"] for part in entry["partitions"])
                sizes[entry["name"]] = sizes.get(entry["name"], 0) + size
    return sizes
