"""Is a page safe to parse? Answered from its text, in linear time, before any parser sees it.

libxml2 compares each attribute of an element with all others: 100,000 attributes on one element cost it 100 seconds.
Extraction costs about 30 microseconds an element. So both are counted first.
"""

from __future__ import annotations

import re
from typing import Final

from workers.ingest.refusal import HTML_TOO_COMPLEX, Refusal

MAX_TAGS: Final = 60_000
"""Most `<` of a page. The largest of 92 measured news pages has 3,229."""

MAX_ATTRIBUTES: Final = 300_000
"""Most attributes of a page: about 150 bytes of memory each."""

_MAX_ATTRIBUTE_PAIRS: Final = 10_000_000
"""Most comparisons of attributes, as the sum of squares over elements: about 0.2 seconds."""

_SMALL_PAGE: Final = 1_000_000
_SHORT_TAG: Final = 300
"""Tags up to this length, in characters, are harmless on pages up to that one, and most; so they are not counted."""

# Attributes as the HTML standard's tokenizer reads them (sections 13.2.5.32 to 13.2.5.40). Possessive, so linear.
_ATTRIBUTE_TEXT: Final = r"""[\s/]*+(?:=[^\s/>=]*+|[^\s/>=]++)(?:\s*+=\s*+(?:"[^"]*+"?|'[^']*+'?|[^\s>]*+))?"""
_TAG: Final = re.compile(rf"<[A-Za-z][^\s/>]*+(?:{_ATTRIBUTE_TEXT})*+")
_ATTRIBUTE: Final = re.compile(_ATTRIBUTE_TEXT)


def check_page(page: str) -> None:
    """Raise Refusal (`html_too_complex`) when `page` would cost a parser or the extractor too much."""
    tags = page.count("<")
    if tags > MAX_TAGS:
        raise Refusal(HTML_TOO_COMPLEX, f"{tags} tags; at most {MAX_TAGS} are read")
    pairs = total = 0
    shortest = _SHORT_TAG if len(page) <= _SMALL_PAGE else 0
    for match in _TAG.finditer(page):
        if match.end() - match.start() > shortest:
            attributes = len(_ATTRIBUTE.findall(match.group()))
            total += attributes
            pairs += attributes * attributes
            if pairs > _MAX_ATTRIBUTE_PAIRS or total > MAX_ATTRIBUTES:
                raise Refusal(HTML_TOO_COMPLEX, f"an element has {attributes} attributes, the page {total} up to there")
