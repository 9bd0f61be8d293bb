"""Pages put together around real articles, with labels, to train the model of lines on.

What stands around the articles is made up (phrases/composer.txt) and partly taken from the labelled pages; headings and
summaries of other articles are those of other articles.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

from workers.ingest.furniture import furniture_kind
from workers.ingest.pages import Lines


def _material() -> dict[str, tuple[str, ...]]:
    text = files("workers.ingest").joinpath("phrases", "composer.txt").read_text(encoding="utf-8")
    found: dict[str, tuple[str, ...]] = {}
    for block in re.split(r"^\[", text, flags=re.MULTILINE)[1:]:
        name, *lines = block.rstrip("\n").split("\n")
        found[name.rstrip("]")] = tuple(line for line in lines if line)
    return found


_MATERIAL: Final = _material()
_SECTIONS: Final = _MATERIAL["sections"]
_FIRST: Final = _MATERIAL["first"]
_LAST: Final = _MATERIAL["last"]
_ROLES: Final = _MATERIAL["roles"]
_MONTHS: Final = _MATERIAL["months"]
_TOOLS: Final = _MATERIAL["tools"]
_CREDITS: Final = _MATERIAL["credits"]
_TEASER_HEADS: Final = _MATERIAL["teaser-heads"]
_COMMENT_HEADS: Final = _MATERIAL["comment-heads"]
_COMMENTS: Final = _MATERIAL["comments"]
_PROMOTIONS: Final = _MATERIAL["promotions"]
_AUTHORS: Final = _MATERIAL["authors"]
_RIGHTS: Final = _MATERIAL["rights"]
_SHORT: Final = 60
"""Length, in characters, below which a sentence that is a paragraph is a short one."""

_SENTENCE: Final = re.compile(r"(?<=[a-z)\"”][.!?])\s+(?=[A-Z“\"])")


@dataclass(frozen=True, slots=True)
class Source:
    """An article to build a page around: its headline (of its address), its paragraphs and its sentences."""

    headline: str
    paragraphs: tuple[str, ...]
    sentences: tuple[str, ...]


def source(url: str | None, paragraphs: Sequence[str]) -> Source:
    """Return an article as `composed` takes it.

    The last words of the path of `url`, else its first, make the headline.
    """
    slug = re.sub(r"\.\w{1,5}$", "", (url or "").rstrip("/").rpartition("/")[2])
    words = [word for word in re.split(r"[-_]+", slug) if word.isalpha()]
    sentences = tuple(sentence for text in paragraphs for sentence in _SENTENCE.split(text) if len(sentence) > 20)
    if len(words) < 4:
        words = " ".join(sentences[:1] or paragraphs[:1]).split()[:9]
    headline = " ".join(words[:14])
    return Source(headline[:1].upper() + headline[1:], tuple(paragraphs), sentences or tuple(paragraphs))


class Composer:
    """Puts pages together around real articles, in the manner in which scrapers deliver them."""

    def __init__(self, sources: Sequence[Source], furniture: Sequence[str], seed: int) -> None:
        self._sources, self._furniture = sources, furniture
        self._spoken = [text for text in furniture if len(text) >= _SHORT]
        self._draw = random.Random(seed)  # noqa: S311  (which page comes next is no secret)

    def page(self, article: Source) -> Lines:
        """Return one page. How much stands around the article differs from none at all to ten times its lines."""
        draw = self._draw
        bare = draw.random() < 0.25
        lines: Lines = []
        if not bare:
            lines += self._menu(draw.choice((0, 0, 4, 10, 25, 60, 120)))
            if draw.random() < 0.35:
                lines += self._outside(*draw.sample(_PROMOTIONS, draw.choice((1, 1, 2, 4))))
            if draw.random() < 0.2:
                lines += self._teasers(draw.choice((2, 4, 8)))
            if draw.random() < 0.25:
                lines += self._outside(self._cased(article.headline))
            if draw.random() < 0.2:
                lines += self._outside(" / ".join((*draw.sample(_SECTIONS, 2), article.headline)))
        title = self._cased(article.headline)
        if draw.random() < 0.3:
            lines += self._outside(*(draw.sample(_SECTIONS, draw.choice((1, 2)))))
        if draw.random() < 0.85:
            lines.append((title, True))
        if draw.random() < 0.2 and len(article.sentences) > 4:
            lines.append((draw.choice(article.sentences[1:5]).rstrip("."), True))
        if draw.random() < (0.3 if bare else 0.9):
            lines += self._about()
        if draw.random() < 0.5:
            lines += self._caption(article)
        lines += self._body(article, bare)
        if not bare:
            lines += self._after(article)
        return lines

    def _body(self, article: Source, bare: bool) -> Lines:
        draw = self._draw
        rate = 0.0 if bare else draw.choice((0.0, 0.05, 0.1, 0.2))
        subheads = draw.random() < 0.25
        blocks = self._split(article)
        short = [text for text in article.sentences if len(text) < _SHORT] if draw.random() < 0.3 else []
        listed = draw.randrange(len(blocks)) if draw.random() < 0.15 else -1
        lines: Lines = []
        for at, text in enumerate(blocks):
            if at and subheads and draw.random() < 0.25:
                words = text.split()[: draw.choice((1, 2, 3, 4, 5, 6))]
                lines.append((self._cased(" ".join(words).rstrip(".,:;")), True))
            if at and draw.random() < rate:
                lines += draw.choice((self._inserted, self._inserted, self._box))(article)
            if short and draw.random() < 0.1:
                lines.append((draw.choice(short), True))
            lines.append((text, furniture_kind(text) is None))
            if at == listed:
                lines += self._list(article)
        return lines

    def _list(self, article: Source) -> Lines:
        draw = self._draw
        sign = draw.choice(("", "- ", "• ", "* ", "{number}. "))
        items = draw.choices(article.sentences, k=draw.choice((2, 3, 5)))
        cut = draw.choice((3, 8, 14, 40))
        texts = (" ".join(item.split()[:cut]) for item in items)
        return [
            (sign.format(number=number) + (text.rstrip(".,;:") if cut < 40 else text), True)
            for number, text in enumerate(texts, 1)
        ]

    def _split(self, article: Source) -> list[str]:
        """Its paragraphs; sometimes its sentences, since many outlets make a paragraph of each."""
        blocks = list(article.sentences if self._draw.random() < 0.3 else article.paragraphs)
        # Short articles are as good as long ones.
        return blocks[: self._draw.choice((1, 2, 3, 4))] if self._draw.random() < 0.2 else blocks

    def _inserted(self, article: Source) -> Lines:
        draw = self._draw
        other = draw.choice(self._sources)
        return draw.choice(
            (
                lambda: self._outside("Advertisement"),
                lambda: self._outside("Advertisement", "Story continues below"),
                lambda: self._outside(draw.choice(_PROMOTIONS)),
                lambda: self._outside(*draw.sample(self._spoken, min(1, len(self._spoken)))),
                lambda: self._outside(f"READ MORE: {self._cased(other.headline)}"),
                lambda: self._outside(f"Also read | {other.headline}"),
                lambda: self._outside("Read more", self._cased(other.headline)),
                lambda: self._outside(self._cased(other.headline)),
                lambda: self._outside(draw.choice(article.sentences).split(". ")[0].rstrip(".")[:120]),
                lambda: self._caption(article),
            )
        )()

    def _box(self, article: Source) -> Lines:
        return self._teasers(self._draw.choice((1, 2, 3, 5)))

    def _after(self, article: Source) -> Lines:
        draw = self._draw
        lines: Lines = []
        if draw.random() < 0.3:
            lines += self._outside(*draw.sample(_AUTHORS, draw.choice((1, 2))))
        if draw.random() < 0.4:
            names = [word.strip(".,’'\"") for word in " ".join(article.paragraphs).split() if word[0].isupper()]
            lines += self._outside(draw.choice(("Tags", "Topics", "Filed under:", "Tags:")))
            lines += self._outside(
                *(name for name in draw.sample(names, min(len(names), draw.choice((2, 4, 7)))) if name)
            )
        if draw.random() < 0.5:
            lines += self._outside(*draw.sample(_TOOLS, draw.choice((2, 4, 8))))
        blocks = [self._comments] if draw.random() < 0.35 else []
        blocks += [lambda: self._teasers(draw.choice((2, 4, 6, 10, 20)))] * draw.choice((0, 1, 1, 2, 3))
        draw.shuffle(blocks)
        for block in blocks:
            lines += block()
            if draw.random() < 0.2:
                lines += self._outside(draw.choice(_PROMOTIONS))
        lines += self._menu(draw.choice((0, 5, 15, 40, 90)))
        if draw.random() < 0.35:
            lines += self._outside(*draw.sample(_PROMOTIONS, draw.choice((2, 4, 8))))
        if draw.random() < 0.15:
            lines += self._outside(*(f"{draw.choice(_SECTIONS)} ({draw.randint(1, 99)})" for _ in range(12)))
        if self._furniture and draw.random() < 0.5:
            lines += self._outside(*draw.sample(self._furniture, min(len(self._furniture), draw.choice((1, 3, 6)))))
        if draw.random() < 0.6:
            lines += self._outside(*draw.sample(_RIGHTS, draw.choice((1, 2))))
        return lines

    def _teasers(self, count: int) -> Lines:
        draw = self._draw
        lines: Lines = []
        if draw.random() < 0.75:
            head = draw.choice(_TEASER_HEADS).format(section=draw.choice(_SECTIONS))
            lines += self._outside(head, *(("View All",) if draw.random() < 0.1 else ()))
        style = draw.choice(("title", "title", "title", "summary", "cut", "date", "section", "numbered", "byline"))
        titles_cased = draw.random() < 0.5
        for number in range(1, count + 1):
            other = draw.choice(self._sources)
            title = other.headline.title() if titles_cased else other.headline
            if style == "numbered":
                title = f"{number}. {title}"
            if style == "section":
                lines += self._outside(draw.choice(_SECTIONS))
            lines += self._outside(title)
            if style == "summary":
                lines += self._outside(other.sentences[0])
            elif style == "cut":
                lines += self._outside(
                    other.sentences[0][: draw.choice((60, 90, 120))].rsplit(" ", 1)[0]
                    + draw.choice(("...", "…", " [...]"))
                )
            elif style == "date":
                lines += self._outside(self._date())
            elif style == "byline":
                lines += self._outside(f"By {self._name()}")
        return lines

    def _comments(self) -> Lines:
        draw = self._draw
        lines = self._outside(draw.choice(_COMMENT_HEADS).format(number=draw.randint(1, 400)))
        for _ in range(draw.choice((1, 3, 6, 12))):
            lines += self._outside(
                draw.choice(
                    (
                        self._name(),
                        f"{self._name()} says:",
                        f"{self._name()} on {self._date()} at 10:07 am said:",
                        self._name().replace(" ", "_").lower(),
                    )
                )
            )
            if draw.random() < 0.7:
                lines += self._outside(draw.choice((self._date(), "3 hours ago", "2 days ago", "1 year ago")))
            for _ in range(draw.choice((1, 1, 1, 2))):
                said = " ".join(draw.sample(_COMMENTS, draw.choice((1, 1, 2, 3))))
                if draw.random() < 0.2:
                    said += " " + draw.choice(draw.choice(self._sources).sentences)
                lines += self._outside(said)
            if draw.random() < 0.6:
                lines += self._outside(
                    *draw.choice((("Reply",), ("Like", "Reply"), ("0", "0", "Reply"), ("Report", "Reply")))
                )
        return lines

    def _about(self) -> Lines:
        draw = self._draw
        name = self._name()
        lines = self._outside(
            draw.choice(
                (
                    f"By {name}",
                    name,
                    f"by {name.upper()}",
                    f"By {name}, {draw.choice(_ROLES)}",
                    f"{name} | {draw.choice(_ROLES)}",
                )
            )
        )
        if draw.random() < 0.4:
            lines += self._outside(draw.choice(_ROLES))
        lines += self._outside(*(self._date() for _ in range(draw.choice((0, 1, 1, 2)))))
        if draw.random() < 0.4:
            lines += self._outside(*draw.sample(_TOOLS, draw.choice((1, 3, 6))))
        if draw.random() < 0.3:
            draw.shuffle(lines)
        return lines

    def _caption(self, article: Source) -> Lines:
        draw = self._draw
        words = draw.choice(article.sentences).split()[: draw.choice((6, 10, 16, 24))]
        text = " ".join(words).rstrip(".,;:")
        credit = self._named(draw.choice(_CREDITS))
        return draw.choice(
            (
                lambda: self._outside(text),
                lambda: self._outside(text + "."),
                lambda: self._outside(f"{text} ({credit})"),
                lambda: self._outside(f"{text}. {credit}"),
                lambda: self._outside(f"{text}. ({credit})"),
                lambda: self._outside(text, credit),
                lambda: self._outside(f"Image: {text}"),
                lambda: self._outside(credit),
            )
        )()

    def _menu(self, count: int) -> Lines:
        draw = self._draw
        bullet = draw.choice(("", "", "", "- ", "• "))
        if draw.random() < 0.6:
            return self._outside(*(bullet + draw.choice(_SECTIONS) for _ in range(count)))
        # Many sites name their sections in several words.
        words = [word for word in draw.choice(self._sources).sentences[0].split() if word.isalpha()] or ["News"]
        names = (" ".join(draw.choices(words, k=draw.choice((1, 2, 2, 3, 4)))) for _ in range(count))
        titled = draw.random() < 0.5
        return self._outside(*(bullet + (name.title() if titled else name.capitalize()) for name in names))

    def _date(self) -> str:
        draw = self._draw
        day, month, year = draw.randint(1, 28), draw.choice(_MONTHS), draw.randint(2015, 2026)
        hour, minute = draw.randint(1, 12), draw.randint(10, 59)
        return draw.choice(
            (
                f"{month} {day}, {year}",
                f"{day} {month} {year}",
                f"{month[:3]}. {day}, {year}, {hour}:{minute} AM",
                f"Published {hour}:{minute} p.m. ET {month[:3]} {day}, {year}",
                f"Updated: {day} {month[:3]} {year}, {hour}:{minute} IST",
                f"Posted on {month} {day}, {year}",
                f"{day}/{draw.randint(1, 12)}/{year}",
                f"Last updated on {day} {month} {year}",
                f"{month[:3]} {day}",
            )
        )

    def _name(self) -> str:
        return f"{self._draw.choice(_FIRST)} {self._draw.choice(_LAST)}"

    def _named(self, text: str) -> str:
        while "{name}" in text:
            text = text.replace("{name}", self._name(), 1)
        return text

    def _cased(self, title: str) -> str:
        style = self._draw.random()
        return title.title() if style < 0.4 else title.upper() if style < 0.45 else title

    def _outside(self, *texts: str) -> Lines:
        return [(self._named(text), False) for text in texts if text.strip()]


def composed(sources: Sequence[Source], furniture: Sequence[str], count: int, seed: int = 0) -> Iterator[Lines]:
    """Yield `count` pages around `sources`, in turn. The same arguments give the same pages."""
    composer = Composer(sources, furniture, seed)
    for number in range(count):
        yield composer.page(sources[number % len(sources)])
