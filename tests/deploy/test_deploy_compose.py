from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from newsmill.local.config import Identity, server_properties
from newsmill.local.jars import kafka_version

ADDRESSES = {
    "controller.quorum.bootstrap.servers",
    "listeners",
    "advertised.listeners",
    "listener.security.protocol.map",
    "log.dirs",
}
"""Broker settings that say where things are, which differs between a container and this machine."""


def test_it_follows_the_compose_specification(compose: dict[str, Any]) -> None:
    # The schema is check-jsonschema's copy of the official one. Neither its command nor an import of it is used: some
    # of its releases need a newer click than Faust allows.
    spec = importlib.util.find_spec("check_jsonschema")
    assert spec is not None
    assert spec.submodule_search_locations, "check-jsonschema is among the development dependencies"
    path = Path(spec.submodule_search_locations[0]) / "builtin_schemas" / "vendor" / "compose-spec.json"
    schema = json.loads(path.read_text(encoding="utf-8"))
    validator = jsonschema.validators.validator_for(schema)(schema)
    assert [f"{error.json_path}: {error.message}" for error in validator.iter_errors(compose)] == []
    broken = compose | {"services": {"kafka": {"image": "x", "prots": []}}}
    assert not validator.is_valid(broken)


def test_every_published_port_is_on_loopback(compose: dict[str, Any]) -> None:
    published = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert published
    for port in published:
        assert re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port), port


def test_every_mounted_path_of_the_host_exists(compose: dict[str, Any], repository: Path) -> None:
    mounted = [volume.split(":") for service in compose["services"].values() for volume in service.get("volumes", [])]
    paths = [parts for parts in mounted if parts[0].startswith((".", "/"))]
    assert paths
    for source, _, *options in paths:
        assert (repository / source).is_dir(), source
        assert options == ["ro"], f"{source} must be mounted read-only"


def test_every_named_volume_is_declared_and_used(compose: dict[str, Any]) -> None:
    mounted = [volume.split(":")[0] for s in compose["services"].values() for volume in s.get("volumes", [])]
    assert {name for name in mounted if not name.startswith((".", "/"))} == set(compose["volumes"])


def test_no_two_workers_share_a_state(ours: dict[str, dict[str, Any]], image_environment: dict[str, str]) -> None:
    sources = []
    for name, service in ours.items():
        if service["command"][0] == "worker":
            (volume,) = service["volumes"]
            source, target = volume.split(":")
            assert target == image_environment["NEWSMILL_STATE_DIR"], name
            sources.append(source)
    assert len(sources) == len(set(sources)) == 4


def test_our_containers_can_do_little(ours: dict[str, dict[str, Any]]) -> None:
    for name, service in ours.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        # The image's own user, which is not root, applies.
        assert "user" not in service, name
        assert not service.get("privileged"), name


def test_no_container_keeps_capabilities_or_gains_privileges(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert service["cap_drop"] == ["ALL"], name
        assert "no-new-privileges:true" in service["security_opt"], name


def test_no_password_is_written_down(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        for name, value in service.get("environment", {}).items():
            if re.search("PASSWORD|SECRET|TOKEN", name):
                assert re.fullmatch(r"\$\{\w+:\?[^}]+\}", value), f"{name} must come from the environment, undefaulted"


def test_images_are_pinned(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        tag = service["image"].rpartition(":")[2]
        assert service["image"] != tag, name
        assert tag != "latest", name
    assert compose["services"]["kafka"]["image"] == f"apache/kafka:{kafka_version()}"


def test_what_runs_all_day_comes_back_and_ends_in_peace(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert service["restart"] == ("no" if name == "topics" else "unless-stopped"), name


def test_workers_wait_for_the_broker_and_the_topics(ours: dict[str, dict[str, Any]]) -> None:
    for name, service in ours.items():
        conditions = {other: wait["condition"] for other, wait in service["depends_on"].items()}
        assert conditions["kafka"] == "service_healthy", name
        if service["command"][0] == "worker":
            assert conditions["topics"] == "service_completed_successfully", name


def test_everything_that_serves_is_checked(compose: dict[str, Any], instructions: list[tuple[str, str]]) -> None:
    for name, service in compose["services"].items():
        if "build" in service:
            assert any(instruction == "HEALTHCHECK" for instruction, _ in instructions)
            if name != "topics":
                assert "healthcheck" not in service, f"{name} is checked as its image says"
        else:
            assert service["healthcheck"]["test"][0] == "CMD", name


def broker_settings(compose: dict[str, Any]) -> dict[str, str]:
    environment = compose["services"]["kafka"]["environment"]
    return {
        name.removeprefix("KAFKA_").replace("_", ".").lower(): value
        for name, value in environment.items()
        if name.startswith("KAFKA_")
    }


def test_the_broker_is_set_as_the_local_one(compose: dict[str, Any]) -> None:
    local = dict(line.split("=", 1) for line in server_properties(Identity("x", 1, 2), Path("/x")).splitlines())
    wanted = {name: value for name, value in local.items() if name not in ADDRESSES}
    here = broker_settings(compose)
    assert {name: here.get(name) for name in wanted} == wanted


def test_clients_find_the_broker(compose: dict[str, Any], ours: dict[str, dict[str, Any]]) -> None:
    settings = broker_settings(compose)
    advertised = dict(part.split("://") for part in settings["advertised.listeners"].split(","))
    listeners = dict(part.split("://") for part in settings["listeners"].split(","))
    assert set(listeners) == set(settings["listener.security.protocol.map"].replace(":PLAINTEXT", "").split(","))
    assert {service["environment"]["NEWSMILL_BOOTSTRAP"] for service in ours.values()} == {advertised["PLAINTEXT"]}
    assert advertised["PLAINTEXT"] == f"kafka{listeners['PLAINTEXT']}"
    assert compose["services"]["kafka"]["ports"] == [f"{advertised['HOST']}{listeners['HOST']}"]


@pytest.mark.parametrize("service", ["kafka", "ingest", "dedup", "entities", "classify"])
def test_there_is_time_to_end(compose: dict[str, Any], service: str) -> None:
    assert int(compose["services"][service]["stop_grace_period"].removesuffix("s")) > 30
