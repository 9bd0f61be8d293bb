"""The checkpoint: everything that has to agree after a crash, in one small file that is replaced in one step."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import msgspec

from newsmill.engines.embedded.errors import StateError
from newsmill.engines.embedded.files import replace_file

FILE: Final = "checkpoint.json"
_FORMAT: Final = 1


class Checkpoint(msgspec.Struct, kw_only=True):
    """Where a run stands after its last durable batch.

    `finished` tells a run that came to its end from one that was interrupted. `offsets` holds, by topic, the next
    offset; `logs` the length in bytes of the files of the state directory; `outputs` that of each output file (absolute
    path). `windows` are the stages' failure windows. `current` is the position in the file that was read last.
    `totals` is the summary up to here. `replay` is what a replay into files needs to go on, as it writes it itself.
    """

    format: int = _FORMAT
    finished: bool = False
    ingested_ms: int
    stages: dict[str, str]
    options: dict[str, Any]
    offsets: dict[str, int] = {}
    logs: dict[str, int] = {}
    outputs: dict[str, int] = {}
    windows: dict[str, str] = {}
    current: list[Any] | None = None
    totals: dict[str, dict[str, int]] = {}
    replay: str = ""

    def save(self, directory: Path) -> None:
        """Replace the checkpoint in `directory`. Raises EngineError; the old one is still there then."""
        replace_file(directory / FILE, msgspec.json.format(msgspec.json.encode(self), indent=1))


def load(directory: Path) -> Checkpoint | None:
    """Return the checkpoint in `directory`, None when there is none. Raises StateError for one that can't be read."""
    path = directory / FILE
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StateError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        checkpoint = msgspec.json.decode(data, type=Checkpoint)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise StateError(
            f"{path} is damaged ({error})", "Start anew with --fresh or another --state directory"
        ) from error
    if checkpoint.format != _FORMAT:
        raise StateError(
            f"{path} is of format {checkpoint.format}, this newsmill reads {_FORMAT}",
            "Use the version that made it, or start anew with --fresh or another --state directory",
        )
    return checkpoint


def interrupted(directory: Path) -> Checkpoint | None:
    """Return the checkpoint of a run that was interrupted and can go on, None when there is no such run.

    Raises StateError for a checkpoint that can't be read.
    """
    checkpoint = load(directory)
    return None if checkpoint is None or checkpoint.finished else checkpoint
