"""What can be wrong with input as a whole. What is wrong with one document is for the stages to say."""

from __future__ import annotations

from newsmill.errors import NewsmillError


class InputError(NewsmillError):
    """An input can't be found or read. The text names it."""
