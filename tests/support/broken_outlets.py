"""Documents of two invented outlets whose layout changes and is mended: ingest tells of it on news.source-health."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Final

OUTLETS: Final = ("ellery.example", "tarn.example")

TOLD: Final = 2 * 2 * 3
"""Records on news.source-health: for each outlet three problems begin and end."""


def lines(ingested_ms: int) -> list[bytes]:
    """Return the documents as lines of NDJSON: 40 whole ones of each outlet, 20 of the new layout, 20 whole ones.

    They were fetched in the 14 hours before `ingested_ms` (milliseconds since the Unix epoch), one every ten minutes.
    """
    begin = datetime.fromtimestamp(ingested_ms / 1_000, UTC) - timedelta(hours=14)
    return [
        _document(outlet, number, begin + number * timedelta(minutes=10), whole=not 40 <= number < 60)
        for number in range(80)
        for outlet in OUTLETS
    ]


def _document(outlet: str, number: int, at: datetime, *, whole: bool) -> bytes:
    value = {
        "url": f"https://{outlet}/{number}",
        "title": f"Ferry {number} of {outlet} sails again",
        "text": "This page is made anew, please be so kind as to wait for it.",
        "fetched_at": at.isoformat(),
    }
    if whole:
        paragraphs = [
            f"The ferry of ward {number * 10 + n} sailed from {outlet} with pears for the cannery on the hill above it."
            for n in range(6)
        ]
        value |= {"text": "\n\n".join(paragraphs), "published_at": at.isoformat(), "authors": "Ada Green"}
    return json.dumps(value).encode()
