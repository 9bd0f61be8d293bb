"""Why a Faust worker must exit."""

from __future__ import annotations

from typing import ClassVar

from newsmill.errors import NewsmillError


class CommitError(NewsmillError):
    """Offsets were not committed: the group has moved on, or the broker does not answer. The worker must exit."""

    exit_code: ClassVar[int] = 1


class StuckError(NewsmillError):
    """Faust hands over nothing although input waits. The worker must exit."""

    exit_code: ClassVar[int] = 1
