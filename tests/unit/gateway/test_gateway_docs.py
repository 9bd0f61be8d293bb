"""The examples of docs/gateway.md do what the page says that they do."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from newsmill.settings import Settings
from tests.support.gateway import FakeKafka, served_in_thread

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "gateway.md").read_text()
EXAMPLES = re.findall(r"```sh\n(.*?)```\n(?:\n```json\n(.*?)```)?", PAGE, re.DOTALL)
TOKEN = "a-token-of-the-harbour"


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl here")
def test_the_examples_answer_as_the_page_says() -> None:
    assert len([answer for _, answer in EXAMPLES if answer]) == 3
    with (
        served_in_thread(FakeKafka(), gateway_tokens=f"one:{TOKEN}") as closed,
        served_in_thread(FakeKafka()) as gateway,
    ):
        for command, answer in EXAMPLES:
            needs_token = "$TOKEN" in command
            here = command.replace("http://127.0.0.1:8480", closed.url if needs_token else gateway.url)
            environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "TOKEN": TOKEN}
            done = subprocess.run(["bash", "-c", here], capture_output=True, env=environment, timeout=60, check=True)
            told = json.loads(done.stdout)
            assert told["accepted"] >= 1
            if answer:
                assert told == json.loads(answer)


def test_the_defaults_are_those_of_the_settings() -> None:
    default = Settings()
    assert f"| {default.gateway_rate:,.0f} a second, {default.gateway_burst:,} |" in PAGE
    assert f"| {default.gateway_request_documents:,}, {default.gateway_request_bytes // 1024**2} MiB |" in PAGE
    in_flight = f"| {default.gateway_in_flight_documents:,}, {default.gateway_in_flight_bytes // 1024**2} MiB |"
    assert in_flight in PAGE
    assert f"| {default.gateway_timeout_s:.0f} |" in PAGE
