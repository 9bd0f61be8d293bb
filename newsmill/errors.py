"""Errors that a command shows as one line, without a traceback."""

from __future__ import annotations

from typing import ClassVar


class NewsmillError(Exception):
    """Something that the user can put right. The text says what is wrong and what to do about it."""

    exit_code: ClassVar[int] = 2
    """Exit status of the command: 2 for what was asked for (options, input, state), 1 for what happened on the way."""
