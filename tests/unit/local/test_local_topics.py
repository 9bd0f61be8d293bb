"""What becomes of topics, against an admin client that answers as a broker would."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from kafka.errors import TopicAuthorizationFailedError

from newsmill import topics
from schemas.limits import HEADER_ROOM_BYTES, MAX_RECORD_BYTES
from schemas.topics import ARTICLES, BY_NAME, DEAD_LETTERS, TOPICS


class Broker:
    """Answers like kafka-python's admin client. `rival` creates the topic while we ask whether it exists."""

    def __init__(self, *, rival: str = "", errors: dict[str, int] | None = None, silent: bool = False) -> None:
        self.topics: dict[str, dict[str, Any]] = {}
        self._rival = rival
        self._errors = errors or {}
        self._silent = silent

    def describe_topics(self, names: list[str]) -> list[dict[str, Any]]:
        return [
            {
                "name": name,
                "error_code": 0 if name in self.topics else self._errors.get(name, 3),
                "partitions": [{}] * self.topics[name]["num_partitions"] if name in self.topics else [],
            }
            for name in names
        ]

    def create_topics(self, wanted: dict[str, dict[str, Any]], raise_errors: bool) -> dict[str, Any]:
        assert not raise_errors
        answer = []
        for name, options in wanted.items():
            code = self._errors.get(name, 0)
            if name == self._rival:
                self.topics[name] = options | {"num_partitions": 9}
                code = 36
            elif not code:
                self.topics[name] = options
            answer.append({"name": name, "error_code": code, "error_message": "so it is" if code else None})
        return {"topics": answer}

    def wait_for_topics(self, names: list[str]) -> None:
        assert all(name in self.topics for name in names)

    def describe_configs(self, resources: list[Any], config_filter: str) -> dict[str, Any]:
        assert config_filter == "all"
        if self._silent:
            return {"topic": {resource.name: {} for resource in resources}}
        return {
            "topic": {
                resource.name: {key: {"value": value} for key, value in self.topics[resource.name]["configs"].items()}
                for resource in resources
            }
        }


def test_settings_of_a_topic() -> None:
    assert topics.topic_settings(BY_NAME[ARTICLES]) == {
        "cleanup.policy": "delete",
        "retention.ms": "259200000",
        "message.timestamp.type": "LogAppendTime",
        "max.message.bytes": str(MAX_RECORD_BYTES + HEADER_ROOM_BYTES),
        "compression.type": "producer",
    }


def test_a_dead_letter_may_be_larger_than_the_record_it_was() -> None:
    limits = {t.name: int(topics.topic_settings(t)["max.message.bytes"]) for t in TOPICS}
    dead = limits.pop(DEAD_LETTERS)
    assert dead >= max(limits.values()) + HEADER_ROOM_BYTES


def test_a_topic_that_somebody_else_creates_meanwhile_is_compared() -> None:
    broker = Broker(rival="news.raw")
    raced, *rest = topics.create(broker)
    assert raced == topics.Created("news.raw", "differs", ("it has 9 partitions, declared are 4",))
    assert {outcome.outcome for outcome in rest} == {"created"}


def test_partitions_and_replication_factor_are_used() -> None:
    broker = Broker()
    topics.create(broker, partitions={"news.raw": 1}, replication_factor=3)
    assert broker.topics["news.raw"]["num_partitions"] == 1
    assert broker.topics["news.classified"]["num_partitions"] == 4
    assert {made["replication_factor"] for made in broker.topics.values()} == {3}


def test_settings_do_not_depend_on_the_name() -> None:
    for topic in TOPICS:
        assert topics.topic_settings(replace(topic, name=f"test.{topic.name}")) == topics.topic_settings(topic)


def test_settings_that_may_not_be_read_are_reported() -> None:
    broker = Broker(silent=True)
    topics.create(broker)
    outcomes = topics.create(broker)
    assert {outcome.outcome for outcome in outcomes} == {"differs"}
    assert all("DescribeConfigs" in outcome.details[0] for outcome in outcomes)


def test_a_cluster_that_does_not_let_us_look_is_an_error() -> None:
    with pytest.raises(TopicAuthorizationFailedError, match=r"news\.raw"):
        topics.create(Broker(errors={"news.raw": 29}))


def test_a_topic_that_may_not_be_created_fails_alone() -> None:
    class Forbidding(Broker):
        def describe_topics(self, names: list[str]) -> list[dict[str, Any]]:
            return [entry | {"error_code": 3 if entry["error_code"] else 0} for entry in super().describe_topics(names)]

    outcomes = {o.topic: o for o in topics.create(Forbidding(errors={"news.raw": 29}))}
    assert outcomes["news.raw"].outcome == "failed"
    assert outcomes["news.raw"].details == ("TopicAuthorizationFailedError: so it is",)
    assert outcomes["news.articles"].outcome == "created"
