"""A web page as a naive scraper delivers it: every visible block a line, menus, teasers and captions included."""

from __future__ import annotations

from html.parser import HTMLParser

_HIDDEN = frozenset(("script", "style", "noscript", "template", "svg", "head", "iframe", "select", "textarea"))
_BLOCKS = frozenset(
    """address article aside blockquote br button dd div dl dt figcaption figure footer form h1 h2 h3 h4 h5 h6 header hr
    li main nav ol p pre section table td th time tr ul""".split()  # noqa: SIM905  (a list of this length is unreadable)
)


class _Visible(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._hidden: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _HIDDEN:
            self._hidden.append(tag)
        elif tag in _BLOCKS:
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if self._hidden and tag == self._hidden[-1]:
            self._hidden.pop()
        elif tag in _BLOCKS:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.parts.append(" ".join(f".{data}.".split())[1:-1])


def visible_text(html: str) -> str:
    """Return the visible text of `html`, blocks separated by an empty line, white space folded."""
    page = _Visible()
    page.feed(html)
    page.close()
    lines = (" ".join(line.split()) for line in "".join(page.parts).split("\n"))
    return "\n\n".join(line for line in lines if line)
