"""Every command, setting, address and port that the deployment files name exists in the project."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

STAGES = ("ingest", "dedup", "entities", "classify")


def deployment_files(repository: Path) -> list[Path]:
    files = [path for path in (repository / "deploy").rglob("*") if path.is_file()]
    return [repository / "docker-compose.yml", *files]


@pytest.fixture
def scrapes(repository: Path) -> dict[str, list[str]]:
    """Targets by job, as deploy/prometheus/prometheus.yml has them."""
    text = (repository / "deploy" / "prometheus" / "prometheus.yml").read_text(encoding="utf-8")
    jobs = yaml.safe_load(text)["scrape_configs"]
    return {job["job_name"]: [t for static in job["static_configs"] for t in static["targets"]] for job in jobs}


def test_every_command_exists(ours: dict[str, dict[str, Any]]) -> None:
    from newsmill.cli import group as main

    for name, service in ours.items():
        words = service["command"]
        result = CliRunner().invoke(main, [*words, "--help"])
        assert result.exit_code == 0, f"{name}: newsmill {' '.join(words)}\n{result.output}"
    assert CliRunner().invoke(main, ["no-such-command", "--help"]).exit_code != 0


def test_every_stage_has_a_worker(ours: dict[str, dict[str, Any]]) -> None:
    from newsmill.settings import METRICS_PORTS

    workers = {name: service["command"] for name, service in ours.items() if service["command"][0] == "worker"}
    assert workers == {stage: ["worker", stage] for stage in METRICS_PORTS}


def test_every_setting_exists(repository: Path) -> None:
    from newsmill.settings import PREFIX, Settings

    known = {PREFIX + field.name.upper() for field in dataclasses.fields(Settings)}
    named = {
        name
        for path in deployment_files(repository)
        for name in re.findall(rf"\b{PREFIX}\w+", path.read_text(encoding="utf-8"))
    }
    assert named
    assert named <= known


def test_the_settings_of_each_container_are_accepted(
    ours: dict[str, dict[str, Any]], image_environment: dict[str, str]
) -> None:
    from newsmill.settings import from_environment

    for service in ours.values():
        settings = from_environment(image_environment | service["environment"])
        assert settings.bootstrap == service["environment"]["NEWSMILL_BOOTSTRAP"]
        grace = int(service.get("stop_grace_period", "45s").removesuffix("s"))
        assert grace > settings.commit_timeout_s, "a worker must be able to finish its batch"


def test_prometheus_reads_every_worker_where_it_serves(
    scrapes: dict[str, list[str]], ours: dict[str, dict[str, Any]], image_environment: dict[str, str]
) -> None:
    wanted = {}
    for name, service in ours.items():
        if service["command"][0] in ("worker", "gateway"):
            environment = image_environment | service["environment"]
            wanted[name] = f"{name}:{environment['NEWSMILL_METRICS_PORT']}"
    assert set(wanted) == {*STAGES, "gateway"}
    assert sorted(scrapes["newsmill"]) == sorted(wanted.values())


def test_the_gateway_is_published_where_it_listens_and_asks_for_tokens(
    ours: dict[str, dict[str, Any]], image_environment: dict[str, str]
) -> None:
    from newsmill.gateway.body import READ_SECONDS
    from newsmill.gateway.tokens import Tokens, check_address
    from newsmill.settings import from_environment

    service = ours["gateway"]
    given = {"NEWSMILL_GATEWAY_TOKENS": f"scrapers:{'0' * 48}"}
    settings = from_environment(image_environment | service["environment"] | given)
    check_address(settings.gateway_host, Tokens(settings.gateway_tokens))
    assert service["ports"] == [f"127.0.0.1:{settings.gateway_port}:{settings.gateway_port}"]
    assert int(service["stop_grace_period"].removesuffix("s")) > READ_SECONDS + settings.gateway_timeout_s + 10


def test_prometheus_is_where_grafana_looks(
    scrapes: dict[str, list[str]], compose: dict[str, Any], repository: Path
) -> None:
    path = repository / "deploy" / "grafana" / "provisioning" / "datasources" / "prometheus.yml"
    (source,) = yaml.safe_load(path.read_text(encoding="utf-8"))["datasources"]
    host, port = source["url"].removeprefix("http://").split(":")
    assert compose["services"][host]["image"].startswith("prom/prometheus:")
    assert scrapes["prometheus"] == [f"127.0.0.1:{port}"]
    published = compose["services"][host]["ports"]
    assert published == [f"127.0.0.1:{port}:{port}"]


def test_prometheus_and_grafana_read_the_mounted_files(compose: dict[str, Any], repository: Path) -> None:
    prometheus, grafana = compose["services"]["prometheus"], compose["services"]["grafana"]
    options = dict(option.split("=", 1) for option in prometheus["command"])
    mounts = {v.split(":")[1]: v.split(":")[0] for s in (prometheus, grafana) for v in s["volumes"]}
    config = Path(options["--config.file"])
    assert (repository / mounts[str(config.parent)] / config.name).is_file()
    assert options["--storage.tsdb.path"] in mounts
    # Grafana's documented place for provisioning, and the folder in it that it reads data sources from.
    assert (repository / mounts["/etc/grafana/provisioning"] / "datasources").is_dir()


def test_the_scrape_is_one_that_prometheus_accepts(repository: Path) -> None:
    text = (repository / "deploy" / "prometheus" / "prometheus.yml").read_text(encoding="utf-8")
    content = yaml.safe_load(text)
    assert set(content) <= {"global", "scrape_configs", "rule_files", "alerting"}
    seconds = {key: int(content["global"][key].removesuffix("s")) for key in ("scrape_interval", "scrape_timeout")}
    # Prometheus refuses a timeout that is longer than the interval.
    assert seconds["scrape_timeout"] <= seconds["scrape_interval"]
    for job in content["scrape_configs"]:
        for target in (t for static in job["static_configs"] for t in static["targets"]):
            assert re.fullmatch(r"[\w.-]+:\d+", target), target
