"""Under which names a browser may open the console, and where it listens."""

from __future__ import annotations

import pytest

from newsmill.console.names import from_elsewhere, host_name, names
from newsmill.settings import Settings, SettingsError


def test_on_loopback_it_is_known_under_the_names_of_loopback() -> None:
    assert names(Settings()) == {"localhost", "127.0.0.1", "::1"}
    assert "127.0.0.9" in names(Settings(console_host="127.0.0.9"))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "news.example"])
def test_it_is_not_open_to_other_machines_unless_somebody_says_under_which_name(host: str) -> None:
    with pytest.raises(SettingsError, match="NEWSMILL_CONSOLE_NAMES"):
        names(Settings(console_host=host))
    assert names(Settings(console_host=host, console_names="News.example, 192.0.2.1")) == {"news.example", "192.0.2.1"}


@pytest.mark.parametrize("name", ["https://news.example", "news.example:80", "a b", "*", "-a"])
def test_a_name_is_a_host_name(name: str) -> None:
    with pytest.raises(SettingsError, match="no host name"):
        names(Settings(console_names=name))


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("localhost:8490", "localhost"),
        ("LOCALHOST", "localhost"),
        ("[::1]:8490", "::1"),
        ("127.0.0.1:1", "127.0.0.1"),
        ("rebind.example", "rebind.example"),
        ("localhost@rebind.example", "rebind.example"),
        ("localhost.", "localhost."),
        ("[::1", ""),
        ("", ""),
        (None, ""),
    ],
)
def test_the_name_in_a_host_header(header: str | None, name: str) -> None:
    assert host_name(header) == name


def test_other_pages_are_known_by_what_browsers_say() -> None:
    assert from_elsewhere({"Sec-Fetch-Site": "cross-site"})
    assert from_elsewhere({"Sec-Fetch-Site": "same-site"})
    assert not from_elsewhere({"Sec-Fetch-Site": "same-origin"})
    assert not from_elsewhere({"Sec-Fetch-Site": "none"})
    assert not from_elsewhere({})
