"""Who may send: bearer tokens (RFC 6750), known by the names of their owners."""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import Final

from newsmill.listening import is_loopback
from newsmill.settings import PREFIX, SettingsError

VARIABLE: Final = f"{PREFIX}GATEWAY_TOKENS"
MIN_CHARS: Final = 16
"""Shortest token: 16 random characters can't be guessed."""

ANYBODY: Final = "anybody"
"""Name of every sender where no tokens are set."""

# b64token of RFC 6750, section 2.1, and names that are fit to be a label of a metric.
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*")
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,50}")


class Tokens:
    """The tokens that are accepted. Only their SHA-256 is kept; none is ever in a text that this class makes.

    Args:
        text: `NAME:TOKEN` separated by commas, as the setting has it; empty: anybody may send.

    Raises SettingsError, which names the place and not the token.
    """

    def __init__(self, text: str) -> None:
        self._owners: list[tuple[bytes, str]] = []
        for place, part in enumerate((part.strip() for part in text.split(",") if part.strip()), 1):
            name, colon, token = part.partition(":")
            if not colon or not _NAME.fullmatch(name):
                raise SettingsError(f"{VARIABLE}: number {place} is not NAME:TOKEN (a name is letters, digits, ._-)")
            if len(token) < MIN_CHARS or not _TOKEN.fullmatch(token):
                raise SettingsError(
                    f"{VARIABLE}: the token of {name} must be at least {MIN_CHARS} letters, digits or -._~+/ "
                    "(make one with: openssl rand -hex 24)"
                )
            digest = _digest(token.encode())
            if any(digest == known for known, _ in self._owners):
                raise SettingsError(f"{VARIABLE}: the token of {name} is there twice")
            self._owners.append((digest, name))

    def __bool__(self) -> bool:
        return bool(self._owners)

    @property
    def names(self) -> tuple[str, ...]:
        """The owners, each once. Two tokens may have one owner, so that a token can be changed without a gap."""
        return tuple(dict.fromkeys(name for _, name in self._owners)) or (ANYBODY,)

    def owner(self, authorization: str | None) -> str | None:
        """Return who sends `authorization` (the header's value); None when it holds no token that is known.

        Each token is compared, in constant time, whether one has matched or not.
        """
        if not self._owners:
            return ANYBODY
        scheme, _, token = (authorization or "").strip().partition(" ")
        if scheme.lower() != "bearer":
            return None
        digest = _digest(token.strip().encode("utf-8", "surrogateescape"))
        found: str | None = None
        for known, name in self._owners:
            if hmac.compare_digest(known, digest):
                found = name
        return found


def check_address(host: str, tokens: Tokens) -> None:
    """Raise SettingsError when the gateway would be open to other machines and to anybody."""
    if not tokens and not is_loopback(host):
        raise SettingsError(
            f"without tokens the gateway listens on loopback alone, not on {host}: set {VARIABLE} to NAME:TOKEN "
            f"(make a token with: openssl rand -hex 24), or {PREFIX}GATEWAY_HOST to 127.0.0.1"
        )


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()
