"""What a user sees when Kafka can't be reached or started: one line that says what to do, and a non-zero status."""

from __future__ import annotations

from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError
from click.testing import CliRunner
from kafka.errors import KafkaTimeoutError

from newsmill.cli import group
from newsmill.local import LocalKafkaError


@pytest.mark.parametrize("error", [KafkaTimeoutError("no answer"), KafkaConnectionError("no answer")])
def test_brokers_that_do_not_answer_are_named_as_the_cause(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def raise_it(*_: Any) -> None:
        raise error

    monkeypatch.setattr("newsmill.topics.admin_client", raise_it)
    result = CliRunner().invoke(group, ["topics", "list"], env={"NEWSMILL_SHARED": None})
    assert result.exit_code == 1
    assert "no answer" in result.stderr
    assert "NEWSMILL_BOOTSTRAP" in result.stderr
    assert "Traceback" not in result.stderr


def test_other_errors_are_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def raise_it(*_: Any) -> None:
        raise RuntimeError("a bug of ours")

    monkeypatch.setattr("newsmill.topics.admin_client", raise_it)
    result = CliRunner().invoke(group, ["topics", "list"], env={"NEWSMILL_SHARED": None})
    assert isinstance(result.exception, RuntimeError)


def test_a_local_kafka_that_can_not_start_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    def no_java(*_: Any, **__: Any) -> None:
        raise LocalKafkaError("Java is missing: install Java 17")

    monkeypatch.setattr("newsmill.local.cluster.LocalKafka", no_java)
    monkeypatch.setattr("newsmill.cli.up.signal.signal", lambda *_: None)
    monkeypatch.setattr("newsmill.logs.set_up", lambda *_: None)
    result = CliRunner().invoke(group, ["up", "--state-dir", str(tmp_path)], env={"NEWSMILL_SHARED": None})
    assert result.exit_code == 1
    assert "install Java 17" in result.stderr
    assert list(tmp_path.glob("up.pid")) == []
