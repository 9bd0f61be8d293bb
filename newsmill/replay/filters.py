"""Which records of a range are meant."""

from __future__ import annotations

import fnmatch
import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from newsmill.replay.errors import ReplayError
from schemas import headers as h
from schemas import topics
from schemas.keys import source_key
from workers.pipeline import STAGES
from workers.stage import Record

_COMPARED: Final[dict[str, Callable[[tuple[int, ...], tuple[int, ...]], bool]]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "=": operator.eq,
}
_MADE_BY: Final = re.compile(r"([a-z][a-z0-9_-]*)\s*(<=|>=|!=|<|>|=)\s*(\d+(?:\.\d+)*)(?:\+\S*)?")


class FilterError(ReplayError):
    """A filter that can't be read, or says nothing about the topic."""


@dataclass(frozen=True, slots=True)
class MadeBy:
    """Records that a version of a stage has made. The hash of weights behind `+` has no order and is left out."""

    stage: str
    compare: str
    version: tuple[int, ...]

    def takes(self, processing: Any) -> bool:
        """Whether `processing` (stage -> version) of a record names such a version."""
        found = processing.get(self.stage) if isinstance(processing, dict) else None
        return isinstance(found, str) and _COMPARED[self.compare](*_padded(_numbers(found), self.version))


@dataclass(frozen=True, slots=True)
class Filters:
    """What a record has to be. Of several values of one kind any will do; of several kinds all are needed.

    `sources`: keys of news.raw (`schemas.keys.source_key`), else names of outlets. `urls`: patterns with `*`, `?` and
    `[...]`, in which `*` also passes slashes. `languages`: as the record has it (ISO 639-1). `keys`: of the record.
    `headers`: (name, value).
    """

    sources: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    made_by: tuple[MadeBy, ...] = ()
    _sources: frozenset[bytes] = field(init=False)
    _urls: tuple[Callable[[str], object], ...] = field(init=False)
    _keys: frozenset[bytes] = field(init=False)
    _headers: frozenset[tuple[str, bytes]] = field(init=False)

    def __post_init__(self) -> None:
        made: dict[str, Any] = {
            "_sources": frozenset(source_key(None, source) for source in self.sources),
            "_urls": tuple(re.compile(fnmatch.translate(url)).match for url in self.urls),
            "_keys": frozenset(key.encode() for key in self.keys),
            "_headers": frozenset((name, value.encode()) for name, value in self.headers),
        }
        for name, value in made.items():
            object.__setattr__(self, name, value)

    @property
    def any(self) -> bool:
        """Whether anything is left out at all."""
        return bool(self.sources or self.urls or self.languages or self.keys or self.headers or self.made_by)

    def check(self, topic: str) -> None:
        """Raise FilterError when records of `topic` can't say what is asked for."""
        if topic == topics.RAW and self.made_by:
            raise FilterError(
                f"no stage has made the records of {topic}, so --made-by says nothing about them; choose the topic "
                "that the next stage reads, for example --topic news.articles"
            )

    def takes(self, record: Record) -> bool:
        """Whether `record` is meant. What can't be read is not, where its content is asked for."""
        if self._keys and record.key not in self._keys:
            return False
        if self._headers and not self._headers.intersection(record.headers):
            return False
        if not (self._sources or self._urls or self.languages or self.made_by):
            return True
        by_key = self._sources and h.get(record.headers, h.LOCATOR) is None and record.topic.endswith(topics.RAW)
        if by_key and record.key not in self._sources:
            return False
        if by_key and not (self._urls or self.languages or self.made_by):
            return True
        plain = plain_object(record.value)
        return plain is not None and self._content(plain, by_source=bool(self._sources) and not by_key)

    def _content(self, plain: dict[str, Any], *, by_source: bool) -> bool:
        url, language = plain.get("url"), plain.get("language")
        if by_source:
            source = plain.get("source")
            name = source_key(url if isinstance(url, str) else None, source if isinstance(source, str) else None)
            if name not in self._sources:
                return False
        if self._urls and not (isinstance(url, str) and any(matches(url) for matches in self._urls)):
            return False
        if self.languages and language not in self.languages:
            return False
        return not self.made_by or any(one.takes(plain.get("processing")) for one in self.made_by)


def parse_made_by(text: str) -> MadeBy:
    """Return what `STAGE<VERSION` says; also with <=, =, !=, >= and >. Raises FilterError.

    >>> parse_made_by("dedup<2.1").version
    (2, 1)
    """
    match = _MADE_BY.fullmatch(text.strip())
    if match is None:
        raise FilterError(f"--made-by is {text!r}: write for example 'dedup<2.1.0' (also <=, =, !=, >=, >)")
    if match[1] not in STAGES:
        raise FilterError(f"--made-by is {text!r}: {match[1]} is no stage; there are {', '.join(STAGES)}")
    return MadeBy(match[1], match[2], _numbers(match[3]))


def parse_headers(texts: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Return (name, value) of each `NAME=VALUE`. Raises FilterError."""
    found = []
    for text in texts:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise FilterError(f"--header is {text!r}: write NAME=VALUE")
        found.append((name, value))
    return tuple(found)


def _numbers(version: str) -> tuple[int, ...]:
    """Return the numbers that a version begins with.

    >>> _numbers("1.2.0+3f00aa11")
    (1, 2, 0)
    """
    numbers = []
    for part in version.partition("+")[0].split("."):
        if not part.isdecimal():
            break
        numbers.append(int(part))
    return tuple(numbers)


def _padded(left: tuple[int, ...], right: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Make both equally long: 2.1 is 2.1.0."""
    length = max(len(left), len(right))
    return left + (0,) * (length - len(left)), right + (0,) * (length - len(right))


def plain_object(value: bytes | None) -> dict[str, Any] | None:
    """Return the JSON object that `value` is; None where it is none."""
    try:
        plain = orjson.loads(value or b"")
    except orjson.JSONDecodeError:
        return None
    return plain if isinstance(plain, dict) else None
