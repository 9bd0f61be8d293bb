"""The parts of the gateway by themselves: tokens, rate, address, settings, command."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from newsmill.cli import group
from newsmill.gateway.budget import Budget, Full
from newsmill.gateway.rate import Bucket
from newsmill.gateway.serve import run_gateway
from newsmill.gateway.tokens import ANYBODY, Tokens, check_address
from newsmill.settings import MASK, Settings, SettingsError

ROOT = Path(__file__).resolve().parents[3]
TOKEN = "a-token-of-the-harbour"
OTHER = "another.token~of+the/harbour=="


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


# -- tokens


def test_the_owner_of_a_token_is_known_by_it() -> None:
    tokens = Tokens(f" harbour:{TOKEN} , harbour:{TOKEN}-new,alder:{OTHER},")
    assert tokens.names == ("harbour", "alder")
    assert tokens.owner(f"Bearer {TOKEN}") == "harbour"
    assert tokens.owner(f"BEARER   {TOKEN}-new ") == "harbour"
    assert tokens.owner(f"Bearer {OTHER}") == "alder"
    for wrong in (
        None,
        "",
        "Bearer",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        TOKEN,
        f"Basic {TOKEN}",
        "Bearer é\udcff",
    ):
        assert tokens.owner(wrong) is None


def test_without_tokens_anybody_is_let_in_under_one_name() -> None:
    tokens = Tokens(" , ")
    assert not tokens
    assert tokens.owner(None) == ANYBODY
    assert tokens.names == (ANYBODY,)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TOKEN, "number 1 is not NAME:TOKEN"),
        (f"a:{TOKEN},b b:{TOKEN}", "number 2 is not NAME:TOKEN"),
        ("a:short", "the token of a must be at least 16"),
        (f"a:{TOKEN} x", "the token of a must be"),
        (f"a:{TOKEN},b:{TOKEN}", "the token of b is there twice"),
    ],
)
def test_tokens_that_can_not_be_are_refused_and_not_shown(text: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message) as caught:
        Tokens(text)
    assert TOKEN not in str(caught.value)
    assert "short" not in str(caught.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_needs_no_tokens(host: str) -> None:
    check_address(host, Tokens(""))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "gateway.example", ""])
def test_any_other_address_does(host: str) -> None:
    with pytest.raises(SettingsError, match="NEWSMILL_GATEWAY_TOKENS"):
        check_address(host, Tokens(""))
    check_address(host, Tokens(f"a:{TOKEN}"))


def test_the_gateway_refuses_to_start_open_to_all_and_says_what_to_do() -> None:
    result = CliRunner().invoke(group, ["gateway", "--host", "0.0.0.0"], env={"NEWSMILL_SHARED": None})
    assert result.exit_code == 2
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("newsmill:")]
    assert "without tokens the gateway listens on loopback alone, not on 0.0.0.0" in line
    assert "Traceback" not in result.stderr


def test_a_gateway_that_could_never_hold_a_request_is_refused() -> None:
    with pytest.raises(SettingsError, match="GATEWAY_IN_FLIGHT_BYTES"):
        run_gateway(Settings(gateway_in_flight_bytes=2_000, gateway_request_bytes=3_000))


def test_tokens_are_masked_where_settings_are_shown() -> None:
    environment = {"NEWSMILL_GATEWAY_TOKENS": f"a:{TOKEN}", "NEWSMILL_SHARED": None}
    result = CliRunner().invoke(group, ["settings"], env=environment)
    assert f"NEWSMILL_GATEWAY_TOKENS={MASK}" in result.output
    assert TOKEN not in result.output


def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        clean = {name: value for name, value in os.environ.items() if not name.startswith("NEWSMILL_")}
        more = {"NEWSMILL_METRICS_PORT": "0", "NEWSMILL_BOOTSTRAP": "127.0.0.1:1", "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "newsmill", "gateway", "--port", str(taken.getsockname()[1])]
        done = subprocess.run(command, env=clean | more, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "newsmill: the gateway can't listen on 127.0.0.1:" in done.stderr
    assert "Traceback" not in done.stderr


# -- how fast


def test_a_bucket_lets_a_burst_through_and_then_its_rate() -> None:
    clock = Clock()
    bucket = Bucket(10.0, 50, clock)
    assert bucket.wait(50) == 0
    bucket.take(50)
    assert bucket.wait(1) == pytest.approx(0.1)
    clock.now += 1
    assert bucket.wait(10) == 0
    assert bucket.wait(11) == pytest.approx(0.1)
    clock.now += 1_000
    bucket.take(50)
    assert bucket.wait(1) > 0, "it holds no more than a burst"


def test_more_than_a_burst_is_let_through_once_it_is_full_and_leaves_a_debt() -> None:
    clock = Clock()
    bucket = Bucket(10.0, 50, clock)
    assert bucket.wait(100) == 0
    bucket.take(100)
    assert bucket.wait(1) == pytest.approx(5.1)
    clock.now += 9.9
    assert bucket.wait(100) == pytest.approx(0.1)


def test_no_rate_is_no_limit() -> None:
    bucket = Bucket(0.0, 1, Clock())
    bucket.take(1_000_000)
    assert bucket.wait(1_000_000) == 0


# -- how much


def test_a_budget_is_never_exceeded_and_comes_back() -> None:
    budget = Budget(10)
    with budget.hold() as one, budget.hold() as two:
        one.grow(6)
        with pytest.raises(Full):
            two.grow(5)
        two.grow(4)
        assert budget.taken == 10
        one.release()
        one.release()
        assert budget.taken == 4
    assert budget.taken == 0


def test_no_token_is_ever_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(SettingsError):
        run_gateway(Settings(gateway_tokens=f"a:{TOKEN}", gateway_in_flight_bytes=2_000))
    assert TOKEN not in caplog.text
    assert TOKEN not in repr(Tokens(f"a:{TOKEN}"))
