"""A team's own subjects, by rules in a file of its own, beside IPTC's and without training.

A rule is a subject's id, its name and a query:

    # what follows a hash is a comment; an indented line goes on with the rule above
    desk:offshore-wind "Offshore wind" = ("wind farm" OR turbine*) AND (sea OR offshore)
        AND NOT headline:football
    desk:court-sport "Sport in court" = medtop:15000000 AND (verdict OR "pleaded guilty")

A query is made of words, phrases in double quotes, beginnings of words (`turbine*`), `headline:` before one of these
(it must then stand in the headline), ids of Media Topics that the article has been given, AND, OR, NOT and brackets.
NOT binds closest, then AND, then OR. Case does not count. Rules are looked for in every language.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass, field
from typing import Final

from schemas.messages import CustomSubject

MAX_RULES: Final = 1_000
MAX_TERMS: Final = 500
"""Most words and phrases in one rule."""
MAX_DEPTH: Final = 30
"""Deepest nesting of brackets and NOTs."""
MAX_CHARS: Final = 200_000
"""Characters of a body in which rules are looked for: bounds the work."""
MAX_MATCHES: Final = 20
"""Most custom subjects of one article: the first in the file."""

_WORD: Final = re.compile(r"\w+")
_ID: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}:[A-Za-z0-9._-]{1,64}")
_HEAD: Final = re.compile(r'(\S+)[ \t]+"([^"\n]{1,100})"[ \t]*=')
_TOKEN: Final = re.compile(r'[ \t\n]*(?:(?P<bracket>[()])|(?P<phrase>"[^"\n]*")|(?P<word>[^\s()"]+)|(?P<bad>\S))')
_TOPIC: Final = re.compile(r"medtop:\d{8}")


class RuleError(ValueError):
    """A file of rules is wrong. The text begins with line and column, both counted from 1."""

    def __init__(self, line: int, column: int, text: str) -> None:
        super().__init__(f"line {line}, column {column}: {text}")


@dataclass(frozen=True, slots=True)
class Text:
    """An article as rules see it: places of each word in headline and body, and the subjects that it was given."""

    headline: dict[str, list[int]]
    body: dict[str, list[int]]
    topics: Set[str]

    @classmethod
    def read(cls, headline: str, body: str, topics: Set[str] = frozenset()) -> Text:
        """Return the article with its words in lower case."""
        return cls(_places(headline), _places(body[:MAX_CHARS]), topics)


Query = Callable[[Text], bool]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: the subject that it gives and whether an article has it."""

    subject: CustomSubject
    matches: Query


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of a file, in its order."""

    rules: Sequence[Rule] = ()

    def apply(self, headline: str, body: str, topics: Set[str]) -> tuple[CustomSubject, ...]:
        """Return the custom subjects of an article that was given the Media Topics `topics`, in the file's order."""
        if not self.rules:
            return ()
        text = Text.read(headline, body, topics)
        return tuple(rule.subject for rule in self.rules if rule.matches(text))[:MAX_MATCHES]


def parse(source: str) -> Rules:
    """Return the rules in `source` (form: see above). Raises RuleError with line and column of the first mistake."""
    rules: list[Rule] = []
    seen: dict[str, int] = {}
    for line, text in _entries(source):
        head = _HEAD.match(text)
        if head is None:
            raise RuleError(line, 1, 'expected an id, a name in double quotes and "=" (desk:wind "Wind power" = ...)')
        id = head[1]
        if not _ID.fullmatch(id) or id.startswith("medtop:"):
            raise RuleError(line, 1, f"{id!r} is no id: expected PREFIX:NAME, with another prefix than medtop")
        if id in seen:
            raise RuleError(line, 1, f"{id} is there already, in line {seen[id]}")
        if len(rules) == MAX_RULES:
            raise RuleError(line, 1, f"more than {MAX_RULES} rules")
        seen[id] = line
        rules.append(Rule(CustomSubject(id=id, name=head[2]), _Parser(text, head.end(), line).query()))
    return Rules(tuple(rules))


def _entries(source: str) -> Iterator[tuple[int, str]]:
    """Yield the number of a rule's first line and its text, comments blanked, its lines still apart."""
    start, lines = 0, list[str]()
    for number, raw in enumerate(source.splitlines(), 1):
        line = _without_comment(raw).rstrip()
        if line[:1] in (" ", "\t") or not line:
            if line and not lines:
                raise RuleError(number, 1, "an indented line goes on with a rule, and there is none above")
            if lines:
                lines.append(line)
            continue
        if lines:
            yield start, "\n".join(lines)
        start, lines = number, [line]
    if lines:
        yield start, "\n".join(lines)


def _without_comment(line: str) -> str:
    quoted = False
    for place, char in enumerate(line):
        quoted ^= char == '"'
        if char == "#" and not quoted:
            return line[:place]
    return line


@dataclass(slots=True)
class _Parser:
    """Recursive descent over one rule's text, from `place` on. `line`: of the text's first character."""

    text: str
    place: int
    line: int
    terms: int = field(default=0)

    def query(self) -> Query:
        found = self._any(0)
        token = self._peek()
        if token is not None:
            raise self._error(token, f"did not expect {token[0].strip()!r} here")
        return found

    def _any(self, depth: int) -> Query:
        parts = [self._all(depth)]
        while self._take("OR"):
            parts.append(self._all(depth))
        return parts[0] if len(parts) == 1 else lambda text: any(part(text) for part in parts)

    def _all(self, depth: int) -> Query:
        parts = [self._one(depth)]
        while self._take("AND"):
            parts.append(self._one(depth))
        return parts[0] if len(parts) == 1 else lambda text: all(part(text) for part in parts)

    def _one(self, depth: int) -> Query:
        token = self._peek()
        if token is None:
            raise self._error(None, "expected a word, a phrase or a bracket")
        if depth > MAX_DEPTH:
            raise self._error(token, f"nested more than {MAX_DEPTH} deep")
        if self._take("NOT"):
            part = self._one(depth + 1)
            return lambda text: not part(text)
        if self._take("("):
            inside = self._any(depth + 1)
            if not self._take(")"):
                raise self._error(self._peek(), "expected AND, OR or a closing bracket")
            return inside
        return self._term(token)

    def _term(self, token: re.Match[str]) -> Query:
        self.terms += 1
        if self.terms > MAX_TERMS:
            raise self._error(token, f"more than {MAX_TERMS} words and phrases in a rule")
        value = token["word"] or ""
        if token["bad"] or token["bracket"] or value in ("AND", "OR"):
            raise self._error(token, f"expected a word, a phrase or a bracket, not {token[0].strip()!r}")
        self.place = token.end()
        if _TOPIC.fullmatch(value):
            return lambda text: value in text.topics
        if value.startswith("headline:"):
            value = value.removeprefix("headline:")
            if not value:
                token = self._peek() or token
                value = token["phrase"] or ""
                self.place = token.end()
            return self._words(token, value, headline=True)
        return self._words(token, value or token["phrase"], headline=False)

    def _words(self, token: re.Match[str], value: str, *, headline: bool) -> Query:
        prefix = value.endswith("*")
        sought = _WORD.findall(value.casefold())
        if not sought or "*" in value[:-1] or (prefix and len(sought) > 1):
            raise self._error(token, f"{token[0].strip()!r} has no word in it, or an asterisk where none can be")
        if not token["phrase"] and len(sought) > 1:
            raise self._error(token, f"{token[0].strip()!r} is more than one word: put it in double quotes")
        if prefix:
            beginning = sought[0]
            return lambda text: any(word.startswith(beginning) for places in _parts(text, headline) for word in places)
        return lambda text: any(_has(places, sought) for places in _parts(text, headline))

    def _peek(self) -> re.Match[str] | None:
        return _TOKEN.match(self.text, self.place)

    def _take(self, wanted: str) -> bool:
        token = self._peek()
        if token is None or (token["bracket"] or token["word"]) != wanted:
            return False
        self.place = token.end()
        return True

    def _error(self, token: re.Match[str] | None, text: str) -> RuleError:
        place = len(self.text.rstrip()) if token is None else token.start(token.lastgroup or 0)
        before = self.text[:place]
        return RuleError(self.line + before.count("\n"), place - (before.rfind("\n") + 1) + 1, text)


def _parts(text: Text, headline: bool) -> tuple[dict[str, list[int]], ...]:
    return (text.headline,) if headline else (text.headline, text.body)


def _has(places: dict[str, list[int]], sought: Sequence[str]) -> bool:
    if any(word not in places for word in sought):
        return False
    if len(sought) == 1:
        return True
    rest = [set(places[word]) for word in sought[1:]]
    return any(all(start + n in later for n, later in enumerate(rest, 1)) for start in places[sought[0]])


def _places(text: str) -> dict[str, list[int]]:
    places: dict[str, list[int]] = {}
    for number, match in enumerate(_WORD.finditer(text.casefold())):
        places.setdefault(match.group(), []).append(number)
    return places
