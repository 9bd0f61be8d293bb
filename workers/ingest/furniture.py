"""Furniture: lines that outlets put around and between the paragraphs of an article.

Each rule names one kind of furniture and is anchored to a whole short line, so that a sentence that merely speaks of an
advertisement or a newsletter stays. English first; German, Spanish, French, Portuguese and Italian for the commonest.
"""

from __future__ import annotations

import re
from importlib.resources import files
from typing import Final

MAX_FURNITURE_CHARS: Final = 400
"""Longer paragraphs are never furniture."""

MAX_HEADING_CHARS: Final = 90

_SHORT_CHARS: Final = 130
_SENTENCE_STARTS: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ“\"'‘")
_SENTENCE_ENDS: Final = frozenset('.!?”"')

_TRIMMED: Final = " \t:.…-–—|*·•►▶▼»›«‹>#[](){}_=~+"


KINDS: Final = ("label", "ad", "promotion", "related", "caption", "copyright", "counter", "credit", "ornament")
"""Every kind of furniture."""


def phrases_of(name: str) -> frozenset[str]:
    """Return the lines of one of the package's lists of phrases."""
    text = files("workers.ingest").joinpath("phrases", name).read_text(encoding="utf-8")
    return frozenset(line for line in text.splitlines() if line and not line.startswith("#"))


def words_of(name: str) -> frozenset[str]:
    """Return the words of one of the package's lists of words."""
    return frozenset(word for line in phrases_of(name) for word in line.split())


_LABELS: Final = phrases_of("labels.txt")
_TEASER_HEADINGS: Final = phrases_of("teaser-headings.txt")
_COMMENT_HEADINGS: Final = phrases_of("comment-headings.txt")

_NETWORKS: Final = "facebook|twitter|x|instagram|whatsapp|telegram|google news|linkedin|tiktok|youtube"
_LETTERS: Final = r"newsletters?|inbox|alerts?|briefings?|bulletins?|digest|youtube channel|whatsapp channel|podcast"
_AGENCIES: Final = "getty images|afp|reuters|shutterstock|alamy|epa|istock"
_SUBSCRIBE: Final = (
    "suscríbete|suscríbase|regístrate|síguenos|abonnez-vous|inscrivez-vous|suivez-nous|inscreva-se|iscriviti"
)
_MADE: Final = "produced|supported|made possible|funded|free|part of|sponsored|republished|originally published"
_SUBSCRIBERS: Final = (
    "réservée?s? (?:à nos|aux) abonnés|nur für abonnenten|solo para suscriptores|exclusivo para suscriptores"
    "|(?:for|to) subscribers only|subscribers? (?:only|exclusive)|only (?:for|to) subscribers|exclusivo para assinantes"
)
_RELATED: Final = (
    "read|see|watch|listen|also read|read also|read more|read next|related|related article|related story|related news"
    "|see also|more on this|more|don't miss|recommended|you may also like"
    "|lesen sie auch|mehr zum thema|mehr dazu|siehe auch"
    "|lee también|lea también|leer también|te puede interesar|también te puede interesar|más información"
    "|lire aussi|à lire aussi|à lire|voir aussi|leia também|leia mais|veja também|leggi anche"
)
_PICTURES: Final = (
    "image|images|photo|photos|picture|pictures|file photo|photo credit|image credit|photo credits|photo courtesy"
    "|image source|photo source|photo caption|image caption|caption|photograph"
    "|foto|fotos|bild|imagen|fotografía|fotografie|immagine|crédit photo|crédits photo|photo d'illustration"
)
_RESERVED: Final = (
    "all rights reserved",
    "alle rechte vorbehalten",
    "todos los derechos reservados",
    "tous droits réservés",
    "todos os direitos reservados",
    "tutti i diritti riservati",
)

# Rules that begin with a word of their own, tried on every short line; each fails on the first letters.
_BEGINNINGS: Final[tuple[tuple[str, str], ...]] = (
    ("ad", r"(?:the )?(?:story|article|content) (?:continues|resumes) (?:below|after)\b.{0,60}"),
    ("ad", r"(?:advertisement|sponsored content|promoted content)\s{0,3}[|:·•–—-].{0,120}"),
    ("promotion", rf"(?:please |to )?(?:sign up|subscribe)\b.{{0,200}}\b(?:{_LETTERS})\b.{{0,120}}"),
    ("promotion", r"(?:get|receive|want|never miss)\b.{0,160}\b(?:in|to) your (?:e-?mail )?(?:inbox|e-?mail)\b.{0,80}"),
    ("promotion", rf"(?:follow|like|join|find|add) (?:us|our)\b.{{0,60}}\b(?:on|via) (?:{_NETWORKS})\b.{{0,80}}"),
    ("promotion", r"(?:download|get|install) (?:our|the)\b.{0,40}\bapp\b.{0,80}"),
    ("promotion", r"(?:click|tap) here\b.{0,120}"),
    ("promotion", r"(?:support|help) (?:our|independent) journalism\b.{0,120}"),
    ("promotion", r"(?:melden sie sich|abonnieren sie|jetzt abonnieren)\b.{0,160}\bnewsletter\b.{0,60}"),
    ("promotion", rf"(?:{_SUBSCRIBE})\b.{{0,160}}"),
    ("related", rf"(?:{_RELATED})\s{{0,2}}[:|»>›→►]\s{{0,2}}\S.{{0,200}}"),
    ("caption", rf"(?:{_PICTURES})\s{{0,2}}(?:by|credit|source)?\s{{0,2}}[:©].{{0,380}}"),
    ("caption", r"\((?:photo|image|picture|foto|bild|imagen)s?\s?(?:by|:|/|credit|courtesy)\b.{0,200}\)?"),
    ("caption", r"\d{1,2}\s?(?:/|of|von|de|sur)\s?\d{1,2}\b(?!\s(?:per|times)).{0,200}"),
    ("promotion", r"click to \w+.{0,80}(?:opens in new window).{0,4}"),
    ("caption", r"(?:photo|image|photograph|picture|illustration)s? (?:by|courtesy of|via)\b[^.!?]{2,80}"),
    ("promotion", rf"(?:this|our) (?:story|article|piece|reporting|journalism) (?:was|is) (?:{_MADE})\b.{{0,300}}"),
    ("credit", r"(?:(?:additional )?(?:reporting|writing|editing)|edited|written|compiled|produced) by \w.{2,140}"),
    ("credit", r"with (?:files|reporting|additional reporting) (?:from|by) .{2,100}"),
    ("copyright", r"(?:©|\(c\)\s?\d{4}|copyright\s{0,2}(?:©|\(c\)|\d{4}|:)).{0,300}"),
    ("copyright", r"this (?:material|article|content) may not be (?:published|reproduced|copied)\b.{0,200}"),
    ("counter", r"\d{1,6}\s(?:shares?|comments?|views?|likes?|kommentare|comentarios|commentaires)"),
    ("counter", r"(?:\d{1,2}|\w{3,5})[ -]min(?:ute)?s? read"),
)  # fmt: skip

_FIRST_WORDS: Final = words_of("first-words.txt")
"""First words of the rules below, as far as they can begin a sentence."""
_FIRST_CHARS: Final = 40
"""A longer beginning before a colon is none of theirs."""
_RIGHTS: Final = re.compile("(?:re|ré|ri)serv")
_THE_ARTICLE: Final = ("story", "article", "content")
"""What follows `the` in them."""

_BEGINNING: Final = re.compile("|".join(f"(?:{pattern})$" for _kind, pattern in _BEGINNINGS))
_BEGINNING_KINDS: Final = tuple((kind, re.compile(f"(?:{pattern})$")) for kind, pattern in _BEGINNINGS)

# Rules about how a line ends or what stands within it; each is tried where a part of it is found.
_CONTRIBUTED: Final = re.compile(r"[^.]{3,100} contributed (?:to this|reporting|to the reporting)\b.{0,60}$")
_FOR_SUBSCRIBERS: Final = re.compile(rf".{{0,80}}\b(?:{_SUBSCRIBERS})\b.{{0,160}}$")
_PICTURE_END: Final = re.compile(
    rf"\((?:(?:photo|image|foto|ap photo|file photo|credit)\b|(?:{_AGENCIES})\b)[^()]{{0,80}}\)$"
    rf"|[/|]\s?(?:{_AGENCIES})(?:\s?[/|].{{0,60}})?$"
    r"|[.!?\"”]\s(?:photos?|images?|pictures?|foto|bild|imagen)\s?(?:by|credit|courtesy)?:\s?[^.!?:]{2,60}$"
)

_COUNTED: Final = re.compile(r"[(\[]?\d{1,6}[)\]]?")
_TEASER_BEGINNINGS: Final = (
    "more from", "more in", "more on", "more by", "more about", "also in", "latest in", "latest from", "read more on",
    "read more from", "from around", "popular in", "trending in", "related to", "best of", "stories from", "up next",
    "mehr aus", "mehr von", "mehr über", "más de", "más en", "más sobre", "plus de", "dans la rubrique", "mais de",
)  # fmt: skip
_COMMENT_BEGINNINGS: Final = (
    "thoughts on", "responses to", "response to", "comments on", "comments to", "replies to", "comment on this",
    "comentarios en", "comentários em", "kommentare zu", "commentaires sur", "gedanken zu",
)  # fmt: skip
_COMMENT_MARKS: Final = re.compile(
    r"(?:reply|replies|like reply|report|responder|antworten|répondre|rispondi|ответить|quote|permalink|flag|upvote"
    r"|(?:show|view|hide) \d{0,4}\s?repl(?:y|ies))$"
    r"|.{1,50}\b(?:says|said|wrote|dice|sagt|schreibt|dit|diz)\s?(?:on .{6,40})?:$"
    r"|.{1,40}\b(?:on|am|le|el) .{6,24} (?:at|um|à) \d{1,2}[:.h]\d{2}.{0,6} (?:says|said)"
)
_ABOUT: Final = (
    "about the author",
    "about us",
    "about the writer",
    "sobre el autor",
    "über den autor",
    "à propos de l'auteur",
    "written by",
)

PROSE_ENDS: Final = frozenset(".!?”\"’'»“)。！？」』।؟۔…")
"""The signs with which sentences end."""
_ELLIPSIS: Final = ("...", "…", "[...]", "[…]", "(...)")


def furniture_kind(line: str) -> str | None:
    """Return what kind of furniture a cleaned line is (`ad`, `caption`, ...), or None when it may be the article."""
    if len(line) > MAX_FURNITURE_CHARS:
        return None
    if len(line) > _SHORT_CHARS and line[0] in _SENTENCE_STARTS and line[-1] in _SENTENCE_ENDS:
        # Most lines are such sentences: a look at the first words tells nearly all that the rules would.
        head = line[:_FIRST_CHARS].lower()
        first, _, rest = head.partition(" ")
        if (
            (first not in _FIRST_WORDS or (first == "the" and not rest.startswith(_THE_ARTICLE)))
            and ": " not in head and "|" not in line
            and not ("serv" in line and _RIGHTS.search(line))
        ):  # fmt: skip
            return None
    text = _lowered(line)
    plain = text.strip(_TRIMMED)
    if not plain:
        return "ornament"
    if plain in _LABELS:
        return "label"
    text = text.lstrip("*-–—•>» \t")
    if _BEGINNING.match(text):
        return next(kind for kind, rule in _BEGINNING_KINDS if rule.match(text))
    # A substring is found ten times as fast as a pattern, and most lines hold none of these.
    if (text.endswith(")") or "/" in text or "|" in text or ": " in text) and _PICTURE_END.search(
        text, max(0, len(text) - 160)
    ):
        return "caption"
    if " contributed " in text and _CONTRIBUTED.match(text):
        return "credit"
    if ("abon" in text or "subscriber" in text or "suscriptor" in text or "assinante" in text) and (
        _FOR_SUBSCRIBERS.match(text)
    ):
        return "promotion"
    if ("serv" in text or "vorbehalten" in text) and any(words in text for words in _RESERVED):
        return "copyright"
    return None


def is_teaser_heading(line: str) -> bool:
    """Return whether a cleaned line heads a list of other articles (`View All`, `Most read`, `Related stories`)."""
    return len(line) <= 60 and _lowered(line).strip(_TRIMMED) in _TEASER_HEADINGS


def heading_kind(line: str) -> int:
    """Return what a cleaned line heads: 0 nothing, 1 other articles, 2 readers' comments, 3 more about the author or
    the outlet."""
    if len(line) > MAX_HEADING_CHARS:
        return 0
    plain = _COUNTED.sub("", _lowered(line)).strip(_TRIMMED)
    if plain in _TEASER_HEADINGS or plain.startswith(_TEASER_BEGINNINGS):
        return 1
    if plain in _COMMENT_HEADINGS or plain.startswith(_COMMENT_BEGINNINGS):
        return 2
    return 3 if plain.startswith(_ABOUT) else 0


def is_comment_mark(line: str) -> bool:
    """Return whether a cleaned line is one that stands around readers' comments: `Reply`, `Ada Green says:`."""
    return len(line) <= 90 and _COMMENT_MARKS.match(_lowered(line).strip(" ·|•")) is not None


def is_truncated(line: str) -> bool:
    """Return whether a line ends in an ellipsis, as the summaries of teasers do."""
    return line.endswith(_ELLIPSIS)


def ends_like_prose(line: str) -> bool:
    """Return whether a line ends as a sentence does."""
    return line[-1:] in PROSE_ENDS


def is_prose(line: str) -> bool:
    """Return whether a line reads as a paragraph of an article: some length, an end, not cut off.

    Chinese and Japanese say in 25 characters what takes 80 in an alphabet.
    """
    return len(line) >= (25 if line.endswith("。") else 80) and ends_like_prose(line) and not is_truncated(line)


def _lowered(line: str) -> str:
    return line.lower().replace("’", "'")
