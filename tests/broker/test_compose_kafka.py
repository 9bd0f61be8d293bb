from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import yaml

from newsmill.local.jars import ensure_jars
from newsmill.local.java import find_java

LOGGING = "Configuration: {Properties: {Property: []}, Appenders: {}, Loggers: {Root: {level: WARN}, Logger: []}}\n"


@pytest.mark.broker
@pytest.mark.usefixtures("kafka_ready")
def test_the_kafka_image_takes_the_settings_of_compose(tmp_path: Path) -> None:
    """The image's own first step (settings from the environment, then the format of the data), run without Docker."""
    compose = Path(__file__).resolve().parents[2] / "docker-compose.yml"
    environment = yaml.safe_load(compose.read_text(encoding="utf-8"))["services"]["kafka"]["environment"]
    for name in ("defaults", "mounted", "final"):
        (tmp_path / name).mkdir()
    (tmp_path / "defaults" / "server.properties").write_text("\n")
    for name in ("log4j2.yaml", "tools-log4j2.yaml"):
        (tmp_path / "defaults" / name).write_text(LOGGING)
    command = [
        *(find_java(), "-cp", f"{ensure_jars()}/*", "kafka.docker.KafkaDockerWrapper", "setup"),
        *("--default-configs-dir", str(tmp_path / "defaults")),
        *("--mounted-configs-dir", str(tmp_path / "mounted")),
        *("--final-configs-dir", str(tmp_path / "final")),
    ]
    data = {"KAFKA_LOG_DIRS": str(tmp_path / "data")}
    done = subprocess.run(command, env=os.environ | environment | data, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    written = (tmp_path / "final" / "server.properties").read_text().splitlines()
    assert f"message.max.bytes={environment['KAFKA_MESSAGE_MAX_BYTES']}" in written
    assert "transaction.abort.timed.out.transaction.cleanup.interval.ms=1000" in written
    identity = (tmp_path / "data" / "meta.properties").read_text().splitlines()
    assert f"cluster.id={environment['CLUSTER_ID']}" in identity
