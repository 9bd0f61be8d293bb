"""Logging: text for a person on a terminal, one JSON object a line for machines. To stderr; never a document's text."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from typing import TextIO

import orjson

from newsmill.settings import Settings


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time (RFC 3339, UTC), level, logger, message, and the fields given at set-up."""

    def __init__(self, fields: dict[str, str]) -> None:
        super().__init__()
        self._fields = fields

    def format(self, record: logging.LogRecord) -> str:
        """Return the line for `record`."""
        line: dict[str, str] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **self._fields,
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str).decode()


class _Expected(logging.Filter):
    """Drops what kafka-python logs as an error and is not one: the offsets of a transaction that is being committed
    are asked for again a moment later."""

    def filter(self, record: logging.LogRecord) -> bool:
        return "UnstableOffsetCommitError" not in record.getMessage()


def set_up(settings: Settings, fields: dict[str, str] | None = None, stream: TextIO | None = None) -> None:
    """Send the process's logs to `stream` (stderr) as the settings say. `fields` (stage, instance) mark each line."""
    stream = stream or sys.stderr
    fields = fields or {}
    as_text = settings.log_format == "text" or (settings.log_format == "auto" and stream.isatty())
    handler = logging.StreamHandler(stream)
    if as_text:
        mark = "".join(f"{value} " for value in fields.values())
        handler.setFormatter(logging.Formatter(f"%(asctime)s %(levelname)-7s {mark}%(message)s", datefmt="%H:%M:%S"))
    else:
        handler.setFormatter(JsonFormatter(fields))
    handler.addFilter(_Expected())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level.upper())
    # The client tells of each connection and rebalance at its info level, which buries our own lines.
    chatty = logging.DEBUG if settings.log_level == "debug" else max(root.level, logging.WARNING)
    for name in ("kafka", "aiokafka", "faust", "mode"):
        logging.getLogger(name).setLevel(chatty)
