"""Bounds that every part agrees on: a record that passes here passes the broker, too.

Sizes are bytes unless a name says otherwise. Kafka's own limits (deploy and client settings) are derived from
`MAX_RECORD_BYTES`, so that a record accepted at the door can't be refused in the middle of the pipeline.
"""

from __future__ import annotations

from typing import Final

MAX_RECORD_BYTES: Final = 8 * 1024 * 1024
"""Largest value of a record. A page of HTML is 170 kB on average; the largest news pages are about 5 MB."""

HEADER_ROOM_BYTES: Final = 256 * 1024
"""Added to `MAX_RECORD_BYTES` for key, headers and framing when broker and client limits are set."""

MAX_BODY_CHARS: Final = 1_000_000
"""Longest article body, in characters (about 160,000 words)."""

MAX_HEADLINE_CHARS: Final = 1_000
"""Longest headline, in characters."""

MAX_REMOVED_CHARS: Final = 100_000
"""Most text, in characters, that an article's audit field `removed` holds; the rest of it is dropped."""

MAX_EXTRA_BYTES: Final = 256 * 1024
"""Largest JSON of a document's unknown fields, kept under `extra`."""

MAX_JSON_DEPTH: Final = 64
"""Deepest nesting of a raw document's JSON."""

MAX_AUTHORS: Final = 50
"""Most authors of one article; the rest are dropped."""

MAX_DETAIL_CHARS: Final = 2_000
"""Longest `detail` (an explanation or the end of a traceback) in a dead letter's header."""
