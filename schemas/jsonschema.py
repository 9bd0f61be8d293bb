"""JSON Schemas (draft 2020-12) of all messages, generated from the typed ones: python -m schemas.jsonschema

The files in schemas/json are what other teams code against. `--release VERSION` keeps a copy of them under
schemas/json/released: from then on the tests refuse a change that would break whoever codes against that version.
"""

from __future__ import annotations

import argparse
import inspect
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from schemas.compatibility import ALIASES_KEYWORD
from schemas.raw import ALIASES, RawInput
from schemas.topics import TOPICS

DIRECTORY: Final = Path(__file__).parent / "json"
RELEASED: Final = DIRECTORY / "released"
SUFFIX: Final = ".schema.json"
COMMAND: Final = "python -m schemas.jsonschema"

_DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
_DEFINITIONS: Final = "#/$defs/"


def generate() -> dict[str, bytes]:
    """Return the schema of each topic that carries messages: file name -> JSON text in UTF-8, names sorted.

    Dead letters have none: a dead letter is the refused record as it was.
    """
    return {
        f"{topic.name}{SUFFIX}": _text(schema_of(topic.message, f"urn:newsmill:schema:{topic.name}"))
        for topic in TOPICS
        if topic.message is not None
    }


def schema_of(message: type[msgspec.Struct], identifier: str) -> dict[str, Any]:
    """Return the JSON Schema of `message` with the `$id` `identifier`, as plain Python."""
    (_,), definitions = msgspec.json.schema_components([message], ref_template=_DEFINITIONS + "{name}")
    root = definitions.pop(message.__name__)
    if message is RawInput:
        root["anyOf"] = _something_to_read()
        for field, aliases in ALIASES.items():
            root["properties"][field][ALIASES_KEYWORD] = list(aliases)
    schema = {"$schema": _DRAFT, "$id": identifier, **root}
    if definitions:
        schema["$defs"] = definitions
    cleaned: dict[str, Any] = _clean(schema)
    return cleaned


def write(directory: Path, files: Mapping[str, bytes]) -> None:
    """Make `directory` hold exactly these schemas; other files in it stay."""
    directory.mkdir(parents=True, exist_ok=True)
    for path in directory.glob(f"*{SUFFIX}"):
        if path.name not in files:
            path.unlink()
    for name, data in files.items():
        (directory / name).write_bytes(data)


def read(directory: Path) -> dict[str, bytes]:
    """Return the schemas in `directory`, as `generate` does."""
    return {path.name: path.read_bytes() for path in sorted(directory.glob(f"*{SUFFIX}"))}


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the schemas. Return the exit status."""
    parser = argparse.ArgumentParser(prog=COMMAND, description="Generate the JSON Schemas in schemas/json.")
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--check", action="store_true", help="write nothing; exit with 1 when files are out of date")
    choice.add_argument("--release", metavar="VERSION", help="also keep them under schemas/json/released/VERSION")
    options = parser.parse_args(arguments)
    files = generate()
    if options.check:
        if read(DIRECTORY) == files:
            return 0
        print(f"schemas/json is out of date; run: {COMMAND}", file=sys.stderr)
        return 1
    if options.release is not None:
        kept = RELEASED / options.release
        if kept.exists():
            print(f"{kept} exists: what is released is never changed", file=sys.stderr)
            return 2
        write(kept, files)
    write(DIRECTORY, files)
    return 0


def _something_to_read() -> list[dict[str, Any]]:
    """What msgspec's types can't say: html or text must be there, under any of their names, and hold something."""
    page = {"type": "string", "pattern": r"\S"}
    text = {"type": ["array", "string"], "pattern": r"\S", "minItems": 1}
    return [
        {"required": [name], "properties": {name: kind}}
        for field, kind in (("html", page), ("text", text))
        for name in (field, *ALIASES[field])
    ]


def _clean(schema: Any) -> Any:
    """Take the source's indentation out of descriptions; sort what has no order."""
    if isinstance(schema, list):
        return [_clean(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    cleaned = {key: _clean(value) for key, value in schema.items()}
    if isinstance(description := cleaned.get("description"), str):
        paragraphs = inspect.cleandoc(description).split("\n\n")
        cleaned["description"] = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
    if isinstance(required := cleaned.get("required"), list):
        cleaned["required"] = sorted(required)
    return cleaned


def _text(schema: Mapping[str, Any]) -> bytes:
    return (json.dumps(schema, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


if __name__ == "__main__":
    sys.exit(main())
