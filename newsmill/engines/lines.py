"""Records as lines of a file."""

from __future__ import annotations

import base64
from typing import Any

import orjson

from newsmill.engines.result import Output
from schemas import headers as h


def value_line(output: Output) -> bytes:
    """Return the value as it is, as a line."""
    return (output.value or b"") + b"\n"


def dead_letter_line(output: Output) -> bytes:
    """Return a dead letter as a line of JSON: why it was refused, where it came from, and the record as it was.

    `value` is text; where the bytes are not UTF-8, `value_base64` holds them instead. `headers` are those that the
    record came with, undecodable bytes escaped.
    """
    dead = {h.DEAD_STAGE, h.DEAD_TOPIC, h.DEAD_PARTITION, h.DEAD_OFFSET, h.DEAD_REASON, h.DEAD_DETAIL, h.DEAD_VERSION}
    headers = {name: value.decode("utf-8", "backslashreplace") for name, value in output.headers}
    plain: dict[str, Any] = {
        "reason": headers.get(h.DEAD_REASON),
        "detail": headers.get(h.DEAD_DETAIL),
        "stage": headers.get(h.DEAD_STAGE),
        "version": headers.get(h.DEAD_VERSION),
        "origin": headers.get(h.ORIGIN),
        "topic": headers.get(h.DEAD_TOPIC),
        "key": (output.key or b"").decode("utf-8", "backslashreplace"),
        "headers": {name: value for name, value in headers.items() if name not in dead and name != h.ORIGIN},
    }
    try:
        plain["value"] = (output.value or b"").decode()
    except UnicodeDecodeError:
        plain["value_base64"] = base64.b64encode(output.value or b"").decode()
    return orjson.dumps(plain) + b"\n"
