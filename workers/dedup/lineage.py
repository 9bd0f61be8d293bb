"""Where a text comes from: the news agencies that it credits, and how many sources a cluster of copies has.

Copies of one text are one confirmation, however many outlets carry it. So a cluster has as many independent sources as
agencies are credited in its articles (one, if none is), and one more for each outlet that wrote most of its article
itself: neither text is mostly the other.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from typing import Final

from schemas.keys import digest

AGENCIES: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    ("AP", ("AP", "Associated Press", "أسوشيتد برس", "美联社")),
    ("Reuters", ("Reuters", "REUTERS", "رويترز", "Рейтер", "路透社", "ロイター")),
    ("AFP", ("AFP", "Agence France-Presse", "أ ف ب", "فرانس برس", "法新社")),
    ("dpa", ("dpa", "dpa-AFX", "Deutsche Presse-Agentur", "DPA", "د ب أ")),
    ("PA", ("PA Media", "PA", "Press Association")),
    ("EFE", ("EFE", "Efe", "Agencia EFE")),
    ("Xinhua", ("Xinhua", "新华社", "新華社", "شينخوا")),
    ("ANSA", ("ANSA", "Ansa")),
    ("Bloomberg", ("Bloomberg", "Bloomberg News")),
    ("UPI", ("UPI", "United Press International")),
    ("TASS", ("TASS", "ТАСС", "Tass")),
    ("RIA Novosti", ("RIA Novosti", "РИА Новости")),
    ("Interfax", ("Interfax", "Интерфакс")),
    ("Kyodo", ("Kyodo", "Kyodo News", "共同通信", "共同")),
    ("Jiji", ("Jiji", "Jiji Press", "時事通信", "時事")),
    ("Yonhap", ("Yonhap", "연합뉴스")),
    ("PTI", ("PTI", "Press Trust of India")),
    ("ANI", ("ANI", "Asian News International")),
    ("IANS", ("IANS",)),
    ("UNI", ("UNI", "United News of India")),
    ("Anadolu", ("Anadolu", "Anadolu Agency", "Anadolu Ajansı", "AA")),
    ("CP", ("The Canadian Press", "Canadian Press", "La Presse Canadienne", "CP")),
    ("AAP", ("AAP", "Australian Associated Press")),
    ("APA", ("APA", "Austria Presse Agentur")),
    ("Keystone-SDA", ("Keystone-SDA", "sda", "SDA", "Keystone-ATS")),
    ("SID", ("SID",)),
    ("epd", ("epd",)),
    ("KNA", ("KNA",)),
    ("ANP", ("ANP",)),
    ("Belga", ("Belga", "BELGA")),
    ("TT", ("TT", "TT Nyhetsbyrån")),
    ("NTB", ("NTB",)),
    ("Ritzau", ("Ritzau", "/ritzau/")),
    ("STT", ("STT",)),
    ("PAP", ("PAP", "Polska Agencja Prasowa")),
    ("CTK", ("ČTK", "CTK")),
    ("TASR", ("TASR",)),
    ("MTI", ("MTI",)),
    ("Agerpres", ("Agerpres", "AGERPRES")),
    ("Tanjug", ("Tanjug", "Танјуг")),
    ("Hina", ("Hina", "HINA")),
    ("BTA", ("BTA", "БТА")),
    ("Ukrinform", ("Ukrinform", "Укрінформ")),
    ("Lusa", ("Lusa", "LUSA")),
    ("Agência Brasil", ("Agência Brasil",)),
    ("Europa Press", ("Europa Press", "EUROPA PRESS")),
    ("Adnkronos", ("Adnkronos", "ADNKRONOS")),
    ("AGI", ("AGI",)),
    ("ANA-MPA", ("ANA-MPA", "ΑΠΕ-ΜΠΕ")),
    ("MENA", ("MENA",)),
    ("WAM", ("WAM",)),
    ("SPA", ("SPA", "واس")),
    ("KUNA", ("KUNA",)),
    ("Petra", ("Petra",)),
    ("IRNA", ("IRNA",)),
    ("Bernama", ("Bernama", "BERNAMA")),
    ("Antara", ("Antara", "ANTARA")),
    ("VNA", ("VNA", "TTXVN")),
    ("CNA", ("CNA", "中央社")),
    ("MONTSAME", ("MONTSAME",)),
    ("APS", ("APS",)),
    ("NAN", ("NAN", "News Agency of Nigeria")),
    ("IPS", ("IPS", "Inter Press Service")),
    ("PR Newswire", ("PRNewswire", "PR Newswire", "Business Wire", "BUSINESS WIRE", "GLOBE NEWSWIRE", "GlobeNewswire")),
)
"""Name and spellings of up to 64 agencies (and of the wire for press releases). Only ever append: the state knows an
agency by its place."""

MOST_ORIGINS: Final = 8
"""Most agencies named for one article."""

_HEAD: Final = 800
"""Characters at the start of a body in which a dateline or an attribution stands."""
_TAIL: Final = 400
"""Characters at its end in which a credit line stands."""
_LONGEST_CREDIT: Final = 120

_SPELLINGS: Final = tuple((spelling, place) for place, (_, all_) in enumerate(AGENCIES) for spelling in all_)
_PLACE_OF: Final = dict(_SPELLINGS)
_WORD: Final = re.compile(r"\w+")
_MARKS: Final = "()[]/,.:;-–—*•&＝=|+（）【】'’\"”“«»。、"
"""What can stand right beside a name. Replacing them is several times faster than finding words by pattern."""
_ASCII_MARKS: Final = {ord(mark): " " for mark in _MARKS if mark.isascii()}
_UNSPACED: Final = tuple(item for item in _SPELLINGS if "\u2fff" < item[0][0] < "\ud7a4")
"""Spellings in scripts without spaces, where a name is not a word of its own."""
_BY_WORD: Final = {
    word: tuple(item for item in _SPELLINGS if _WORD.findall(item[0])[0] == word)
    for word in sorted({_WORD.findall(spelling)[0] for spelling, _ in _SPELLINGS})
}
_LEADS: Final = (
    r"source|sources|via|from|by|with inputs? from|with reporting by|additional reporting by|credit|copyright|©|\(c\)|"
    r"quelle|mit material von|von|fuente|fuentes|con información de|por|fonte|fonti|com informações d[aeo]|da|"
    r"avec|par|bron|door|källa|kilde|lähde|źródło|zdroj|izvor|kaynak|sumber|nguồn|источник|джерело|المصدر|来源|來源|出典"
)
_SAYS: Final = (
    r"reports?|reported|said|says|writes?|has learned|news agency (?:reports?|reported|said)|"
    r"berichtet(?:e)?|meldet(?:e)?|schreibt|rapporte|a rapporté|écrit|informa|informó|reporta|reportó|"
    r"riferisce|scrive|relata|informou|meldt|rapporterar|skriver|сообщает|сообщило|передает|передаёт|bildirdi"
)
_ACCORDING_TO: Final = (
    r"according to|reports?|reported by|told|as per|laut|so|wie|gegenüber|d'après|d’après|selon|según|secondo|segundo|"
    r"volgens|enligt|ifølge|według|podle|по данным|как сообщает|göre|menurut"
)
_SURE: Final = 4
"""From this length on a spelling is a name that means nothing else, and running text may credit it. Shorter ones
(AP, PA, TT) count in brackets, bylines and credit lines alone, but for the few that nobody could mistake."""
_SURE_SHORT: Final = frozenset({"AFP", "dpa", "EFE", "PTI", "ANI", "IANS", "路透社", "新华社", "法新社", "美联社"})
_COMMON: Final = frozenset({"Petra", "Hina", "Antara", "Lusa", "MENA", "Efe", "Ansa"})
"""Long enough, and yet names of other things, too."""


def origins(body: str, authors: Sequence[str]) -> tuple[int, ...]:
    """Return the places in `AGENCIES` of the agencies that an article credits, ascending, at most `MOST_ORIGINS`.

    Looked for are datelines (`PARIS (AFP) -`), credits at the start of a line (`Reuters:`), attributions near the start
    (`Reuters reports`, `laut dpa`), bylines, and credit lines at the end (`Fuente: EFE`).
    """
    head, tail = body[:_HEAD], body[max(_HEAD, len(body) - _TAIL) :]
    byline = "\n".join(author[:_LONGEST_CREDIT] for author in authors)
    window = f"{head}\n{tail}\n{byline}"
    plain = window
    if window.isascii():
        plain = window.translate(_ASCII_MARKS)
    else:
        for mark in _MARKS:
            plain = plain.replace(mark, " ")
    there = [spelling for word in _BY_WORD.keys() & set(plain.split()) for spelling in _BY_WORD[word]]
    if not window.isascii():
        there.extend(_UNSPACED)
    found = {place for spelling, place in there if spelling in window and _credits(spelling, head, tail, byline)}
    return tuple(sorted(found)[:MOST_ORIGINS])


def names(places: Sequence[int]) -> tuple[str, ...]:
    """Return the names of agencies."""
    return tuple(AGENCIES[place][0] for place in places)


def mask(credited: Sequence[str]) -> int:
    """Return a 64-bit set of agencies by name; a name that this version doesn't know is left out."""
    return sum(1 << _PLACES[name] for name in set(credited) if name in _PLACES)


def writer(source: str) -> int:
    """Return the bit, of 64, that stands for an outlet. Two outlets can share one: the count is a lower bound."""
    return int(digest(source)[:8], 16) % 64


def outlet(source: str | None) -> int:
    """Return 16 bits that stand for an outlet, 0 for none."""
    return 0 if source is None else max(1, zlib.crc32(source.encode("utf-8", "surrogatepass")) & 0xFFFF)


def independent(agencies: int, writers: int) -> int:
    """Return how many independent sources a cluster has, of its sets of agencies and of outlets that wrote most of
    their article themselves."""
    return max(1, agencies.bit_count()) + writers.bit_count()


def _credits(spelling: str, head: str, tail: str, byline: str) -> bool:
    if any(
        _LEAD.fullmatch(line[:at])
        for line in byline.splitlines()
        if _is_word(line, at := line.find(spelling), spelling)
    ):
        return True
    sure = spelling in _SURE_SHORT or (len(spelling) >= _SURE and spelling not in _COMMON)
    return _credited(spelling, head, sure) or _credited(spelling, tail, False)


def _credited(spelling: str, text: str, prose: bool) -> bool:
    """Whether one of the first `_MOST_PLACES` occurrences of `spelling` in `text` is a credit; `prose`: running text
    may credit it, too."""
    at = -1
    for _ in range(_MOST_PLACES):
        if (at := text.find(spelling, at + 1)) < 0:
            return False
        end = at + len(spelling)
        before, after = text[max(0, at - _BESIDE) : at], text[end : end + _BESIDE]
        if (spelling, _PLACE_OF[spelling]) in _UNSPACED and (_DATED.match(after) or before.endswith("据")):
            return True
        if not _is_word(text, at, spelling):
            continue
        if _OPENED.search(before) and _CLOSED.match(after):
            return True
        line = before.rpartition("\n")[2] if "\n" in before or len(before) < _BESIDE else None
        if line is not None and _LEAD.fullmatch(line) and _CREDIT_END.match(after):
            return True
        if prose and (_SAID.match(after) or _ACCORDING.search(before)):
            return True
    return False


def _is_word(text: str, at: int, spelling: str) -> bool:
    """Whether `spelling`, found at `at` (-1: not found), is not part of a longer word."""
    end = at + len(spelling)
    return (
        at >= 0
        and (at == 0 or not (text[at - 1].isalnum() and spelling[0].isalnum()))
        and (end == len(text) or not (text[end].isalnum() and spelling[-1].isalnum()))
    )


_MOST_PLACES: Final = 8
_BESIDE: Final = 48
_OPENED: Final = re.compile(r"[(\[（【/](?:[\w .]{1,24}[/,&＝=|+-] ?)?$")
_CLOSED: Final = re.compile(r"(?: ?[/,&＝=|+-][\w .]{1,24})?[)\]）】/]")
_LEAD: Final = re.compile(
    rf"[ \t]*(?:[-—–*•/]{{1,2}}[ \t]*)?(?:(?:{_LEADS})[ \t]*[:：]?[ \t]*)?(?:(?:the|agencia|agence)[ \t]+)?",
    re.IGNORECASE,
)
_CREDIT_END: Final = re.compile(
    r"(?:[ \t]*(?:[/,&+]|and|und|y|et|e)[ \t]*[\w ]{1,24})?"
    r"(?:[ \t]*[:：][ \t]|[ \t]+[-—–]{1,2}[ \t]|[ \t]*[.)/电電]?[ \t]*(?:\n|$))"
)
_DATED: Final = re.compile(r"[一-鿿]{0,8}\d{1,2}月\d{1,2}日[电電]|报道|報道")
_SAID: Final = re.compile(rf" (?:{_SAYS})\b")
_ACCORDING: Final = re.compile(
    rf"\b(?:{_ACCORDING_TO}) (?:(?:the|news agency|nachrichtenagentur|agency) ){{0,2}}$", re.IGNORECASE
)
_PLACES: Final = {name: place for place, (name, _) in enumerate(AGENCIES)}
