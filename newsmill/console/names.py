"""Under which names a browser may open the console.

A page of the web can have its own name lead to 127.0.0.1 after it was loaded (DNS rebinding), and then read what is
served there as if it were its own. The Host header still has the page's name: requests with a name that is not ours are
refused. Source: RFC 9110, section 7.2, and the Fetch Metadata headers of the W3C for what other pages ask for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from newsmill.listening import is_loopback
from newsmill.settings import PREFIX, Settings, SettingsError

VARIABLE: Final = f"{PREFIX}CONSOLE_NAMES"
_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?|[0-9a-f:]{2,39}")


def names(settings: Settings) -> frozenset[str]:
    """Return the names (without ports) that browsers may use, lower case.

    Raises SettingsError when the console would be open to other machines and nobody has said so.
    """
    given = [part.strip().lower() for part in settings.console_names.split(",") if part.strip()]
    for name in given:
        if not _NAME.fullmatch(name):
            raise SettingsError(f"{VARIABLE}: {name!r} is no host name (write it without scheme and port)")
    if is_loopback(settings.console_host):
        given += [*_LOOPBACK, settings.console_host.lower()]
    elif not given:
        raise SettingsError(
            f"the console has no login, so it listens on loopback alone, not on {settings.console_host}: put a proxy "
            f"with a login in front of it and set {VARIABLE} to the name that browsers use, or {PREFIX}CONSOLE_HOST to "
            "127.0.0.1"
        )
    return frozenset(given)


def host_name(header: str | None) -> str:
    """Return the name in a Host header, lower case and without port; empty when it can't be read."""
    try:
        return (urlsplit(f"//{header or ''}").hostname or "").lower()
    except ValueError:
        return ""


def from_elsewhere(headers: Mapping[str, str]) -> bool:
    """Return whether a page that is not the console's own asks. Browsers say so; programs say nothing."""
    return headers.get("Sec-Fetch-Site", "none") not in ("same-origin", "none")
