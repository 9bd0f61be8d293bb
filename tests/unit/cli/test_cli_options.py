"""Options that several commands share: what they take, and what they say of anything else."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from newsmill.cli import group
from newsmill.cli.options import worker_addresses_option

_OPTION = click.Option(["--worker"])


@pytest.mark.parametrize(
    "written",
    ["http://10.0.0.1:9101", "10.0.0.1:9101", "http://10.0.0.1:9101/", "http://10.0.0.1:9101/metrics"],
)
def test_addresses_of_workers_as_people_write_them(written: str) -> None:
    context = click.Context(click.Command("status"))
    assert worker_addresses_option(context, _OPTION, (written,)) == ["http://10.0.0.1:9101"]


@pytest.mark.parametrize("command", ["status", "console"])
@pytest.mark.parametrize(
    "written",
    [
        "foo",
        "",
        "http://",
        "http://foo",
        "http://foo:bar",
        "http://foo:99999",
        "http://foo:1/other",
        "http://user:secret@foo:1",
        "http://[foo:1",
        "ftp://foo:21",
        "file:///etc/passwd",
    ],
)
def test_what_is_no_address_is_refused_before_anything_starts(command: str, written: str) -> None:
    result = CliRunner().invoke(group, [command, "--worker", written], env={"NEWSMILL_SHARED": None})
    assert result.exit_code == 2
    assert "write http://HOST:PORT" in result.stderr
