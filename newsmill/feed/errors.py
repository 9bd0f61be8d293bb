"""What can be wrong with input as a whole. What is wrong with one document is for the stages to say."""

from __future__ import annotations

from typing import ClassVar

from newsmill.errors import NewsmillError


class InputError(NewsmillError):
    """An input can't be found or read. The text names it."""


class ChangedInputError(InputError):
    """An input is no longer the file that was read up to a known position."""


class ResumeError(NewsmillError):
    """The file that says where to go on can't be used: in use, damaged, or of another feed."""


class FeedError(NewsmillError):
    """The broker has not confirmed a document. What was confirmed before it stays."""

    exit_code: ClassVar[int] = 1
