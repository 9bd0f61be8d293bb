from __future__ import annotations

import socket
from pathlib import Path

import orjson
import pytest

from newsmill.local import LocalKafka, LocalKafkaError
from newsmill.local.config import Identity, identity, log4j2_properties, port_is_free, server_properties
from schemas.limits import HEADER_ROOM_BYTES, MAX_RECORD_BYTES

WHO = Identity("abc", 21_001, 21_002)


def parsed(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines())


def test_everything_listens_on_loopback_alone() -> None:
    settings = parsed(server_properties(WHO, Path("/data/log")))
    for name in ("listeners", "advertised.listeners"):
        assert settings[name] == "PLAINTEXT://127.0.0.1:21001,CONTROLLER://127.0.0.1:21002"
    assert "0.0.0.0" not in server_properties(WHO, Path("/data/log"))


def test_limits_are_those_of_the_schemas() -> None:
    settings = parsed(server_properties(WHO, Path("/data/log")))
    assert settings["message.max.bytes"] == str(MAX_RECORD_BYTES + 2 * HEADER_ROOM_BYTES)
    assert settings["replica.fetch.max.bytes"] == settings["message.max.bytes"]
    # A segment that can't hold the largest record would refuse it.
    assert int(settings["log.segment.bytes"]) > int(settings["message.max.bytes"])


def test_overrides_replace_and_add() -> None:
    settings = parsed(server_properties(WHO, Path("/d"), {"num.io.threads": "1", "group.min.session.timeout.ms": "10"}))
    assert settings["num.io.threads"] == "1"
    assert settings["group.min.session.timeout.ms"] == "10"


def test_values_are_escaped_for_java() -> None:
    assert "log.dirs=/a\\\\b\n" in server_properties(WHO, Path("/a\\b"))
    assert "x=\\ y\n" in server_properties(WHO, Path("/"), {"x": " y"})
    assert "fileName=/a\\\\b\n" in log4j2_properties(Path("/a\\b"))


def test_the_identity_is_kept(tmp_path: Path) -> None:
    first = identity(tmp_path)
    assert first.port != first.controller_port
    assert not first.cluster_id.startswith("-")
    assert len(first.cluster_id) == 22
    assert identity(tmp_path) == first
    moved = identity(tmp_path, port=21_999)
    assert (moved.cluster_id, moved.port, moved.controller_port) == (first.cluster_id, 21_999, first.controller_port)
    assert identity(tmp_path) == moved


@pytest.mark.parametrize("content", [b"{", b"{}", b'{"port": 1}', b"[]", b""])
def test_a_damaged_identity_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "identity.json").write_bytes(content)
    with pytest.raises(LocalKafkaError, match="is damaged"):
        identity(tmp_path)


def test_one_port_for_two_servers_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LocalKafkaError, match="both listen on port 21001"):
        identity(tmp_path, 21_001, 21_001)


def test_a_taken_port_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("newsmill.local.kafka.find_java", lambda: "java")
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert not port_is_free(port)
        with pytest.raises(LocalKafkaError, match=rf"Port {port} on 127.0.0.1, for Kafka's broker, is taken"):
            LocalKafka(tmp_path, port=port).start()
        with pytest.raises(LocalKafkaError, match=rf"Port {port} on 127.0.0.1, for Kafka's controller, is taken"):
            LocalKafka(tmp_path / "other", controller_port=port).start()
    assert orjson.loads((tmp_path / "identity.json").read_bytes())["port"] == port
    assert port_is_free(port)


def test_there_is_no_address_before_the_start(tmp_path: Path) -> None:
    with pytest.raises(LocalKafkaError, match="has not been started"):
        _ = LocalKafka(tmp_path).bootstrap
    with pytest.raises(LocalKafkaError, match="has not been started"):
        LocalKafka(tmp_path).wait_ready(1)
