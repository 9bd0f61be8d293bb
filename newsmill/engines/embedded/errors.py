"""What can stop a run of the embedded engine."""

from __future__ import annotations

import errno
from os import PathLike
from typing import ClassVar

from newsmill.errors import NewsmillError


class StateError(NewsmillError):
    """The state directory can't be used for this run: in use, damaged, or made by something else.

    `what` is wrong; the text says what to do about it, too, in the words of `newsmill run`.
    """

    def __init__(self, what: str, remedy: str = "") -> None:
        super().__init__(f"{what}. {remedy}" if remedy else what)
        self.what = what


class InUseError(StateError):
    """Another process works with the state directory."""


class EngineError(NewsmillError):
    """The run can't go on: no room, a process that died, a stage that is broken."""

    exit_code: ClassVar[int] = 1


def storage_error(path: str | PathLike[str], error: OSError) -> EngineError:
    """Return the error to raise when `path` could not be written."""
    text = f"{path}: cannot be written: {error.strerror or error}"
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        text += ". Make room, then run the same command again; with --state it goes on where it stopped"
    return EngineError(text)
