"""The key of a document: every way in uses it, so that documents of a source stay in order on one partition."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from schemas.keys import source_key


class _Keyed(msgspec.Struct):
    url: Any = None
    source: Any = None


_KEYED: Final = msgspec.json.Decoder(_Keyed)


def document_key(value: bytes) -> bytes:
    """Return the key of a JSON document; one that is broken gets the key of an unknown source."""
    try:
        keyed = _KEYED.decode(value)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return source_key(None, None)
    return source_key(
        keyed.url if isinstance(keyed.url, str) else None, keyed.source if isinstance(keyed.source, str) else None
    )
