"""HTML to paragraphs: trafilatura's extraction, guarded against pages that are made to hurt.

Fast mode without comments and tables is the best trade of those measured (docs/decisions/0006-plain-text-cleaning.md).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Final

import trafilatura
from lxml import etree
from lxml.html import HtmlComment, HtmlElement, HTMLParser, HtmlProcessingInstruction, document_fromstring
from trafilatura.settings import Extractor

from workers.ingest.characters import clean_lines
from workers.ingest.metadata import PageMetadata, read_metadata, take_json_ld
from workers.ingest.refusal import HTML_TOO_COMPLEX, HTML_UNREADABLE, Refusal
from workers.ingest.tags import check_page
from workers.ingest.text import Cleaned, clean_paragraphs

MAX_ELEMENTS: Final = 15_000
"""Most elements of a page: extraction stays below about 2 seconds. The largest of 92 measured news pages has 1,596."""

MAX_CHILDREN: Final = 4_000
"""Most children of one element: merging the texts around them takes time in the square of their number."""

_SHORT_ARTICLE: Final = 500
"""Length, in characters, below which an extraction is doubted and done again with more recall."""

# What no part of the extraction reads, and what it throws away itself (aside, button, footer, menu, nav). trafilatura
# copies the tree four times and searches it many times over, so this is taken out before.
_UNREAD: Final = (
    "applet", "area", "aside", "audio", "button", "canvas", "datalist", "embed", "footer", "iframe", "input", "link",
    "map", "menu", "meta", "nav", "object", "option", "script", "select", "style", "svg", "template", "textarea",
    "track", "video",
)  # fmt: skip

_COUNT: Final = etree.XPath("count(//*)")
_CROWDED: Final = etree.XPath(f"boolean(//*[count(*) > {MAX_CHILDREN}])")

# lxml.html's own choice of classes (a form's, an input's) is a call of Python for each element that is touched: about
# 5 % of the time. Nothing here reads forms.
_CLASSES: Final = etree.ElementDefaultClassLookup(
    element=HtmlElement, comment=HtmlComment, pi=HtmlProcessingInstruction
)

# What trafilatura logs (empty trees, retries) is an outcome here, with a reason code.
logging.getLogger("trafilatura").setLevel(logging.CRITICAL)


@dataclass(frozen=True, slots=True)
class Page:
    """What is in a page: the article's paragraphs, and what the page says about itself."""

    cleaned: Cleaned
    metadata: PageMetadata


def read_page(html: str) -> Page:
    """Return the article in an HTML page or fragment; `cleaned` is empty when there is none.

    Raises Refusal: `html_too_complex`, `html_unreadable`, `too_many_lines`.
    """
    check_page(html)
    tree = _parse(html)
    if tree is None:
        return Page(Cleaned([], []), PageMetadata())
    metadata = read_metadata(tree, take_json_ld(tree))
    return Page(clean_paragraphs([line for line in clean_lines(_extract(tree)) if line]), metadata)


def looks_like_html(text: str) -> bool:
    """Return whether a field called text holds a page or a fragment of one, as some scrapers deliver it."""
    head = text[:500].lstrip().lower()
    return head.startswith("<") and any(mark in text for mark in ("</p>", "</div>", "</html>", "</body>", "</P>"))


def _parse(html: str) -> HtmlElement | None:
    parser = HTMLParser(
        encoding="utf-8", remove_comments=True, remove_pis=True, default_doctype=False, collect_ids=False
    )
    parser.set_element_class_lookup(_CLASSES)
    text = html.replace("\x00", "")
    if not text.strip():
        return None
    try:
        # As bytes: lxml refuses text that carries an encoding declaration.
        tree = document_fromstring(text.encode("utf-8", "replace"), parser=parser, ensure_head_body=True)
    except (etree.ParserError, etree.XMLSyntaxError, ValueError, AssertionError):
        return None
    # Past its depth limit libxml2 drops the rest of the page without an error.
    if any(entry.type_name == "ERR_INTERNAL_ERROR" or "depth" in entry.message for entry in parser.error_log):
        raise Refusal(HTML_TOO_COMPLEX, "elements are nested too deeply")
    # In C: a loop over the elements would make a Python object of each.
    if (elements := int(_COUNT(tree))) > MAX_ELEMENTS:
        raise Refusal(HTML_TOO_COMPLEX, f"{elements} elements; at most {MAX_ELEMENTS} are read")
    if _CROWDED(tree):
        raise Refusal(HTML_TOO_COMPLEX, f"an element has more than {MAX_CHILDREN} children")
    return tree


def _options(focus: str) -> Extractor:
    options = Extractor(output_format="python", fast=True, comments=False, tables=False)
    options.focus = focus
    return options


# Only with the focus "balanced" does trafilatura measure the whole page again, to see whether an extraction below 3,000
# characters is too small a part of it: a fifth of the time, and no page of those measured gains by it.
_PLAIN: Final = _options("plain")
_BALANCED: Final = _options("balanced")


def _extract(tree: HtmlElement) -> str:
    """Return the article's text. `tree` loses what the extraction doesn't read."""
    for script in tree.xpath("//script[contains(@type, 'ld+json')]"):
        script.tag = "ld"  # the last resort of the extraction is a text in JSON-LD
    etree.strip_elements(tree, *_UNREAD, with_tail=False)
    for script in list(tree.iter("ld")):
        script.tag = "script"
    text = _run(tree, _PLAIN)
    return text if len(text) >= _SHORT_ARTICLE else _run(tree, _BALANCED)


def _run(tree: HtmlElement, options: Extractor) -> str:
    try:
        document = trafilatura.bare_extraction(tree, options=options)  # works on a copy
    except Exception as error:  # foreign code on hostile input: the page is refused, not the worker
        raise Refusal(HTML_UNREADABLE, f"{type(error).__name__}: {error}") from error
    text = document.text if document is not None else None
    return text if isinstance(text, str) else ""
