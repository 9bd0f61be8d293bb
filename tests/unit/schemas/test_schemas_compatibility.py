"""Each kind of change: who is broken by it, and which ones break nobody."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta, Struct, defstruct

from schemas.compatibility import UnknownKeyword, broken_for_readers, broken_for_writers
from schemas.jsonschema import schema_of
from schemas.raw import RawInput


class Part(Struct):
    at: int
    note: str | None = None


class Wider(Struct):
    at: int
    note: str | None = None
    more: str | None = None


class Narrower(Struct):
    at: int


class Nested(Struct):
    below: list[Nested] = []
    size: int = 0


class NestedOther(Struct):
    below: list[NestedOther] = []
    size: str = ""


def of(kind: Any, *default: Any) -> dict[str, Any]:
    """The schema of a message that has a field `f` of this type."""
    message = defstruct("M", [("f", kind, *default)], kw_only=True)
    return schema_of(message, "urn:m")


NOTHING = schema_of(defstruct("M", []), "urn:m")

DEFAULT = "f: the default is another, so a missing field means something else"
OTHERS = ("array", "boolean", "null", "number", "object")

# name, old, new, what breaks for writers (we read), what breaks for readers (we write)
CHANGES: list[tuple[str, Any, Any, list[str], list[str]]] = [
    ("nothing", of(str), of(str), [], []),
    ("a description", of(Annotated[str, Meta(description="a")]), of(Annotated[str, Meta(description="b")]), [], []),
    ("an optional field comes", NOTHING, of(str | None, None), [], []),
    ("a required field comes", NOTHING, of(str), ["f: now required"], []),
    ("an optional field goes", of(str | None, None), NOTHING, ["f: the field is gone"], ["f: the field is gone"]),
    (
        "a required field goes",
        of(str),
        NOTHING,
        ["f: the field is gone"],
        ["f: the field is gone", "f: no longer sure to be there"],
    ),
    ("required becomes optional", of(str), of(str, ""), [], ["f: no longer sure to be there"]),
    ("optional becomes required", of(str, ""), of(str), ["f: now required"], []),
    ("another default", of(str, "a"), of(str, "b"), [DEFAULT], [DEFAULT]),
    ("another type", of(str), of(int), ["f: type string is no longer taken"], ["f: type integer is new"]),
    ("a type more", of(str), of(str | int), [], ["f: type integer is new"]),
    ("null more", of(str), of(str | None), [], ["f: type null is new"]),
    ("a type less", of(str | list[str]), of(str), ["f: type array is no longer taken"], []),
    ("integers to numbers", of(int), of(float), [], ["f: type number is new"]),
    ("numbers to integers", of(float), of(int), ["f: type number is no longer taken"], []),
    ("anything to text", of(Any), of(str), [f"f: type {kind} is no longer taken" for kind in OTHERS], []),
    ("text to anything", of(str), of(Any), [], [f"f: type {kind} is new" for kind in OTHERS]),
    ("a value more", of(Literal["a"]), of(Literal["a", "b"]), [], ["f: value 'b' is new"]),
    ("a value less", of(Literal["a", "b"]), of(Literal["a"]), ["f: value 'b' is no longer taken"], []),
    ("values to text", of(Literal["a"]), of(str), [], ["f: any string instead of a fixed set of values"]),
    ("text to values", of(str), of(Literal["a"]), ["f: any string instead of a fixed set of values"], []),
    (
        "a lower maximum",
        of(Annotated[int, Meta(le=9)]),
        of(Annotated[int, Meta(le=5)]),
        ["f: maximum is 9 on the writing side, 5 on the reading side"],
        [],
    ),
    (
        "a higher maximum",
        of(Annotated[int, Meta(le=5)]),
        of(Annotated[int, Meta(le=9)]),
        [],
        ["f: maximum is 9 on the writing side, 5 on the reading side"],
    ),
    (
        "a minimum comes",
        of(int),
        of(Annotated[int, Meta(ge=0)]),
        ["f: minimum is not bounded on the writing side, 0 on the reading side"],
        [],
    ),
    (
        "a shorter text",
        of(Annotated[str, Meta(max_length=9)]),
        of(Annotated[str, Meta(max_length=5)]),
        ["f: maxLength is 9 on the writing side, 5 on the reading side"],
        [],
    ),
    (
        "fewer items",
        of(Annotated[list[str], Meta(max_length=9)]),
        of(Annotated[list[str], Meta(max_length=5)]),
        ["f: maxItems is 9 on the writing side, 5 on the reading side"],
        [],
    ),
    (
        "another pattern",
        of(Annotated[str, Meta(pattern="^a")]),
        of(Annotated[str, Meta(pattern="^b")]),
        ["f: pattern is '^a' on the writing side, '^b' on the reading side"],
        ["f: pattern is '^b' on the writing side, '^a' on the reading side"],
    ),
    (
        "other items",
        of(list[str]),
        of(list[int]),
        ["f[]: type string is no longer taken"],
        ["f[]: type integer is new"],
    ),
    (
        "other values of a map",
        of(dict[str, str]),
        of(dict[str, int]),
        ["f{}: type string is no longer taken"],
        ["f{}: type integer is new"],
    ),
    ("a field more further down", of(Part), of(Wider), [], []),
    ("a field less further down", of(Part), of(Narrower), ["f.note: the field is gone"], ["f.note: the field is gone"]),
    (
        "further down in a list",
        of(list[Part]),
        of(list[Narrower]),
        ["f[].note: the field is gone"],
        ["f[].note: the field is gone"],
    ),
    (
        "further down, or null",
        of(Part | None),
        of(Narrower | None),
        ["f.note: the field is gone"],
        ["f.note: the field is gone"],
    ),
    ("a message that holds itself", of(Nested), of(Nested), [], []),
    (
        "one that holds itself, changed",
        of(Nested),
        of(NestedOther),
        [f"f.size{DEFAULT[1:]}", "f.size: type integer is no longer taken"],
        [f"f.size{DEFAULT[1:]}", "f.size: type string is new"],
    ),
]


@pytest.mark.parametrize(("old", "new", "writers", "readers"), [c[1:] for c in CHANGES], ids=[c[0] for c in CHANGES])
def test_a_change_is_told_to_those_whom_it_breaks(old: Any, new: Any, writers: list[str], readers: list[str]) -> None:
    assert broken_for_writers(old, new) == writers
    assert broken_for_readers(old, new) == readers


def test_unknown_fields_that_are_refused_break_writers() -> None:
    strict = schema_of(defstruct("M", [("f", str)], forbid_unknown_fields=True), "urn:m")
    assert broken_for_writers(of(str), strict) == ["the document: fields that are not listed are refused"]
    assert broken_for_readers(of(str), strict) == []
    assert broken_for_readers(strict, of(str)) == ["the document: fields that are not listed are refused"]


def raw(**changes: Any) -> dict[str, Any]:
    return {**schema_of(RawInput, "urn:raw"), **changes}


def test_the_names_under_which_a_document_is_read_must_stay() -> None:
    old, new = raw(), raw()
    link = new["properties"]["url"]["x-aliases"]
    new["properties"]["url"]["x-aliases"] = [*link, "address"]
    assert broken_for_writers(old, new) == []
    new["properties"]["url"]["x-aliases"] = link[1:]
    assert broken_for_writers(old, new) == ["url: the name link is no longer read"]


def test_one_of_several_fields_that_is_enough_must_stay_enough() -> None:
    old = raw()
    more = raw(anyOf=[*old["anyOf"], {"required": ["story"], "properties": {"story": {"type": "string"}}}])
    less = raw(anyOf=[one for one in old["anyOf"] if one["required"] != ["maintext"]])
    longer = raw(anyOf=[{**one, "required": [*one["required"], "url"]} for one in old["anyOf"]])
    none = {key: value for key, value in old.items() if key != "anyOf"}
    assert broken_for_writers(old, more) == []
    assert broken_for_writers(old, none) == []
    assert broken_for_writers(old, less) == ["the document: maintext is not enough"]
    assert broken_for_writers(old, longer)[0] == "the document: html is not enough"
    assert broken_for_writers(none, old) == ["the document: what is required is not enough"]


def test_what_is_not_understood_is_never_passed() -> None:
    odd = {**of(str), "dependentRequired": {"f": ["g"]}}
    with pytest.raises(UnknownKeyword, match="the document: this check does not understand dependentRequired"):
        broken_for_writers(of(str), odd)
    odd = of(Annotated[int, Meta(multiple_of=5)])
    with pytest.raises(UnknownKeyword, match=r"f: .*multipleOf"):
        broken_for_readers(odd, of(int))


def test_a_schema_is_about_what_the_codec_takes() -> None:
    """The two must not drift apart: what the schema calls required, msgspec requires."""
    found = of(Annotated[int, Meta(le=5)])
    assert found["required"] == ["f"]
    message = defstruct("M", [("f", Annotated[int, Meta(le=5)])])
    for value in (b"{}", b'{"f": 6}', b'{"f": "5"}'):
        with pytest.raises(msgspec.ValidationError):
            msgspec.json.decode(value, type=message)
