"""What can stand against a replay."""

from __future__ import annotations

from typing import ClassVar

from newsmill.errors import NewsmillError


class ReplayError(NewsmillError):
    """What was asked for can't be done. The text says why, and what can be asked for instead."""


class RangeError(ReplayError):
    """The range can't be read, or not all of it is there."""


class SilentBrokerError(ReplayError):
    """Records that should be there do not arrive."""

    exit_code: ClassVar[int] = 1
