"""Whether a JSON Schema may take the place of an earlier one, with regard to who reads and who writes.

Two questions, each about documents that one side writes and the other side reads:

- `broken_for_writers`: does the new schema still take all that the old one took? (news.raw: scrapers write, we read)
- `broken_for_readers`: does whoever codes against the old schema understand all that the new one gives? (the others)

A document fits a reader when the reader's schema takes it; fields that the reader does not know are ignored. The
keywords that `schemas.jsonschema` generates are understood, and any other is an error: a change is never passed because
it was not looked at. Source of the terms: backward and forward compatibility as schema registries have them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

Schema = Mapping[str, Any]

ALIASES_KEYWORD: Final = "x-aliases"
"""Annotation of a field: other names under which it is read."""

_SAYS_NOTHING: Final = frozenset(
    {"$schema", "$id", "$defs", "title", "description", "examples", "default", ALIASES_KEYWORD}
)
_LOWER: Final = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_UPPER: Final = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_EQUAL: Final = ("pattern", "format")
_UNDERSTOOD: Final = frozenset(
    {"$ref", "type", "enum", "const", "anyOf", "properties", "required", "additionalProperties", "items"}
    | _SAYS_NOTHING
    | {*_LOWER, *_UPPER, *_EQUAL}
)
_KINDS: Final = ("array", "boolean", "integer", "null", "number", "object", "string")
_ONLY_FOR: Final = {
    "minimum": ("integer", "number"),
    "exclusiveMinimum": ("integer", "number"),
    "maximum": ("integer", "number"),
    "exclusiveMaximum": ("integer", "number"),
    "minLength": ("string",),
    "maxLength": ("string",),
    "pattern": ("string",),
    "format": ("string",),
    "minItems": ("array",),
    "maxItems": ("array",),
    "items": ("array",),
    "minProperties": ("object",),
    "maxProperties": ("object",),
    "properties": ("object",),
    "required": ("object",),
    "additionalProperties": ("object",),
}
"""Keywords say something about values of these types alone, and nothing about others."""


class UnknownKeyword(ValueError):
    """A schema uses what this check does not understand. The text names the place and the keyword."""


def broken_for_writers(old: Schema, new: Schema) -> list[str]:
    """Return what `new` refuses, or no longer reads, of what `old` took: a line for each place; empty when nothing.

    Raises UnknownKeyword.
    """
    return _Comparison(writer=old, reader=new, reader_is_new=True).run()


def broken_for_readers(old: Schema, new: Schema) -> list[str]:
    """Return what of `new` would surprise a reader of `old`: a line for each place; empty when nothing.

    Raises UnknownKeyword.
    """
    return _Comparison(writer=new, reader=old, reader_is_new=False).run()


@dataclass(frozen=True, slots=True)
class _Comparison:
    writer: Schema
    reader: Schema
    reader_is_new: bool

    def run(self) -> list[str]:
        return list(dict.fromkeys(self._compare(self.writer, self.reader, "", frozenset())))

    def _compare(self, writer: Schema, reader: Schema, path: str, above: frozenset[tuple[str, str]]) -> Iterator[str]:
        pair = (writer.get("$ref", ""), reader.get("$ref", ""))
        if all(pair):
            if pair in above:
                return  # a type that holds itself: it is being compared further up
            above = above | {pair}
        writer, reader = _resolved(writer, self.writer, path), _resolved(reader, self.reader, path)
        if self.reader_is_new:
            for alias in writer.get(ALIASES_KEYWORD, ()):
                if alias not in reader.get(ALIASES_KEYWORD, ()):
                    yield f"{_at(path)}: the name {alias} is no longer read"
        if "default" in writer and "default" in reader and writer["default"] != reader["default"]:
            yield f"{_at(path)}: the default is another, so a missing field means something else"
        yield from self._choices(writer, reader, path, above)
        written, taken = _alternatives(writer, self.writer, path), _alternatives(reader, self.reader, path)
        for one in written:
            yield from self._one_of(one, taken, path, above)

    def _choices(self, writer: Schema, reader: Schema, path: str, above: frozenset[tuple[str, str]]) -> Iterator[str]:
        """Compare `anyOf` beside a `type`: conditions of which one must hold, such as "html or text is there"."""
        if not _is_condition(reader):
            return
        for one in writer["anyOf"] if _is_condition(writer) else [{}]:
            given = {
                "type": writer.get("type", "object"),
                "required": [*writer.get("required", ()), *one.get("required", ())],
                "properties": {**writer.get("properties", {}), **one.get("properties", {})},
            }
            if all(any(self._unmet(given, other, path, above)) for other in reader["anyOf"]):
                yield f"{_at(path)}: {', '.join(one.get('required', ())) or 'what is required'} is not enough"

    def _unmet(self, given: Schema, condition: Schema, path: str, above: frozenset[tuple[str, str]]) -> Iterator[str]:
        for name in condition.get("required", ()):
            if name not in given["required"]:
                yield name
        for name, field in condition.get("properties", {}).items():
            yield from self._compare(given["properties"].get(name, {}), field, _at(path, name), above)

    def _one_of(self, one: Schema, taken: list[Schema], path: str, above: frozenset[tuple[str, str]]) -> Iterator[str]:
        candidates = [other for other in taken if _takes(one["type"], other["type"])]
        if not candidates:
            yield f"{_at(path)}: {self._says(one['type'])}"
            return
        problems = [list(self._same_type(one, other, path, above)) for other in candidates]
        if all(problems):
            yield from min(problems, key=len)

    def _says(self, kind: str) -> str:
        return f"type {kind} is no longer taken" if self.reader_is_new else f"type {kind} is new"

    def _same_type(self, writer: Schema, reader: Schema, path: str, above: frozenset[tuple[str, str]]) -> Iterator[str]:
        yield from self._values(writer, reader, path)
        yield from _bounds(writer, reader, path)
        if reader["type"] == "array" and "items" in reader:
            yield from self._compare(writer.get("items", {}), reader["items"], f"{path}[]", above)
        if reader["type"] == "object":
            yield from self._fields(writer, reader, path, above)

    def _values(self, writer: Schema, reader: Schema, path: str) -> Iterator[str]:
        taken, written = _enumerated(reader), _enumerated(writer)
        if taken is None:
            return
        if written is None:
            yield f"{_at(path)}: any {writer['type']} instead of a fixed set of values"
            return
        for value in written:
            if value not in taken:
                yield f"{_at(path)}: value {value!r} is {'no longer taken' if self.reader_is_new else 'new'}"

    def _fields(self, writer: Schema, reader: Schema, path: str, above: frozenset[tuple[str, str]]) -> Iterator[str]:
        written, taken = writer.get("properties", {}), reader.get("properties", {})
        old, new = (written, taken) if self.reader_is_new else (taken, written)
        for name in old:
            if name not in new:
                yield f"{_at(path, name)}: the field is gone"
        for name in reader.get("required", ()):
            if name not in writer.get("required", ()):
                yield f"{_at(path, name)}: {'now required' if self.reader_is_new else 'no longer sure to be there'}"
        for name, field in written.items():
            if name in taken:
                yield from self._compare(field, taken[name], _at(path, name), above)
        more_written = writer.get("additionalProperties", True)
        more_taken = reader.get("additionalProperties", True)
        if more_taken is False and more_written is not False:
            yield f"{_at(path)}: fields that are not listed are refused"
        elif isinstance(more_taken, Mapping) and more_written is not False:
            of = {} if more_written is True else more_written
            yield from self._compare(of, more_taken, f"{_at(path)}{{}}", above)


def _bounds(writer: Schema, reader: Schema, path: str) -> Iterator[str]:
    tighter: tuple[tuple[tuple[str, ...], Callable[[Any, Any], bool]], ...] = (
        (_LOWER, lambda mine, theirs: theirs is None or theirs < mine),
        (_UPPER, lambda mine, theirs: theirs is None or theirs > mine),
        (_EQUAL, lambda mine, theirs: theirs != mine),
    )
    for keywords, is_tighter in tighter:
        for keyword in keywords:
            if keyword in reader and is_tighter(reader[keyword], writer.get(keyword)):
                given = f"is {writer[keyword]!r}" if keyword in writer else "is not bounded"
                yield f"{_at(path)}: {keyword} {given} on the writing side, {reader[keyword]!r} on the reading side"


def _resolved(schema: Schema, root: Schema, path: str) -> dict[str, Any]:
    """Follow `$ref`; what stands beside it (a description, a default) stays."""
    found = dict(schema)
    while (reference := found.pop("$ref", None)) is not None:
        found = {**root["$defs"][reference.rpartition("/")[2]], **found}
    if unknown := sorted(set(found) - _UNDERSTOOD):
        raise UnknownKeyword(f"{_at(path)}: this check does not understand {', '.join(unknown)}")
    return found


def _is_condition(schema: Schema) -> bool:
    return "anyOf" in schema and "type" in schema


def _alternatives(schema: Schema, root: Schema, path: str) -> list[Schema]:
    """Return `schema` as a list of schemas with one `type` each."""
    if "anyOf" in schema and not _is_condition(schema):
        return [
            alternative
            for one in schema["anyOf"]
            for alternative in _alternatives(_resolved(one, root, path), root, path)
        ]
    found: list[Schema] = []
    for kind in _types(schema):
        own = {k: v for k, v in schema.items() if kind in _ONLY_FOR.get(k, _KINDS)}
        found.append({**own, "type": kind})
    return found


def _types(schema: Schema) -> list[str]:
    named = schema.get("type")
    if isinstance(named, str):
        return [named]
    if isinstance(named, list):
        return named
    if (values := _enumerated(schema)) is not None:
        kinds = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}
        return list(dict.fromkeys(kinds[type(value)] for value in values))
    return [kind for kind in _KINDS if kind != "integer"]  # "number" holds the integers


def _enumerated(schema: Schema) -> list[Any] | None:
    if "const" in schema:
        return [schema["const"]]
    values: list[Any] | None = schema.get("enum")
    return values


def _takes(written: str, taken: str) -> bool:
    return written == taken or (written == "integer" and taken == "number")


def _at(path: str, name: str = "") -> str:
    return f"{path}.{name}".strip(".") or "the document"
