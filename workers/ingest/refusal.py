"""Why a raw document is refused: the reason codes of ingest, and the exception that carries one."""

from __future__ import annotations

from typing import Final

EMPTY_VALUE: Final = "empty_value"
"""The record has no value, or only white space."""

TOO_LARGE: Final = "too_large"
"""The value is larger than a record may be, or its text is longer than a body may be."""

TOO_MANY_LINES: Final = "too_many_lines"
"""The text has more lines than any article has."""

BAD_ENCODING: Final = "bad_encoding"
"""The bytes are not text in any encoding that they claim or that can be told for certain."""

BAD_JSON: Final = "bad_json"
"""The value is not one JSON document."""

NOT_AN_OBJECT: Final = "not_an_object"
"""The JSON is a list, a string, a number, a boolean or null."""

TOO_DEEP: Final = "too_deep"
"""The JSON is nested too deeply."""

BAD_FIELD: Final = "bad_field"
"""A field that the article needs is of a type that can't be read as what it should be."""

NO_CONTENT: Final = "no_content"
"""Neither `html` nor `text` holds anything."""

BAD_CONTENT_TYPE: Final = "bad_content_type"
"""The header `content-type` names a media type that ingest does not read."""

HTML_TOO_COMPLEX: Final = "html_too_complex"
"""The page has more elements, attributes or levels than any news page, and would cost too much to read."""

HTML_UNREADABLE: Final = "html_unreadable"
"""The HTML extractor failed on the page."""

NO_ARTICLE_TEXT: Final = "no_article_text"
"""Nothing that reads as an article is left after cleaning."""

EXTRA_TOO_LARGE: Final = "extra_too_large"
"""The unknown fields are together larger than `extra` may be."""

REASONS: Final = (
    EMPTY_VALUE,
    TOO_LARGE,
    TOO_MANY_LINES,
    BAD_ENCODING,
    BAD_JSON,
    NOT_AN_OBJECT,
    TOO_DEEP,
    BAD_FIELD,
    NO_CONTENT,
    BAD_CONTENT_TYPE,
    HTML_TOO_COMPLEX,
    HTML_UNREADABLE,
    NO_ARTICLE_TEXT,
    EXTRA_TOO_LARGE,
)
"""Every reason of this stage, for `Stage.reasons`."""


WITHOUT_TEXT: Final = frozenset({EMPTY_VALUE, NO_CONTENT, NO_ARTICLE_TEXT})
"""The reasons that say that there is no text to be read."""


class Refusal(Exception):
    """A raw document that can't become an article. `reason` is one of `REASONS`; `detail` is for a person to read."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
