"""Bounds on the work that one article can ask for, and on what comes out of it."""

from __future__ import annotations

from typing import Final

MAX_TOKENS: Final = 20_000
"""Tokens of headline and body that are read (about 17,000 words); names further down are not found."""

MAX_MENTIONS: Final = 2_000
"""Mentions kept of one article, in order of their place; the rest are dropped."""

MAX_CANDIDATES: Final = 8
"""Longer names in the article that a shorter one is compared with."""

MAX_NAME_CHARS: Final = 200
"""Longer spans are no names and are dropped."""
