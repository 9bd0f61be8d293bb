"""The committed JSON Schemas: up to date, valid, described, and compatible with what was released."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from schemas import jsonschema, topics
from schemas.compatibility import broken_for_readers, broken_for_writers
from schemas.raw import ALIASES
from workers.ingest.refusal import REASONS

RELEASED = [
    pytest.param(path, id=f"{path.parent.name}-{path.name}")
    for path in sorted(jsonschema.RELEASED.rglob(f"*{jsonschema.SUFFIX}"))
]


def schema(topic: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(jsonschema.generate()[f"{topic}{jsonschema.SUFFIX}"])
    return found


def test_the_committed_files_are_those_that_are_generated() -> None:
    generated, committed = jsonschema.generate(), jsonschema.read(jsonschema.DIRECTORY)
    differing = sorted(n for n in {*generated, *committed} if generated.get(n) != committed.get(n))
    assert differing == [], f"schemas/json is out of date; run: {jsonschema.COMMAND}"


def test_every_topic_but_dead_letters_has_a_schema() -> None:
    names = {f"{topic.name}{jsonschema.SUFFIX}" for topic in topics.TOPICS if topic.name != topics.DEAD_LETTERS}
    assert set(jsonschema.generate()) == names


@pytest.mark.parametrize("name", sorted(jsonschema.generate()))
def test_a_schema_is_valid_and_says_of_every_field_what_it_is(name: str) -> None:
    found = json.loads(jsonschema.generate()[name])
    Draft202012Validator.check_schema(found)
    for place, field in described(found):
        assert field.get("description", "").strip(), f"{place} has no description"
        assert "  " not in field["description"], f"{place} has the source's indentation"


def described(found: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, kind in [("", found), *found.get("$defs", {}).items()]:
        yield name, kind
        for field, described in kind["properties"].items():
            # A field that is a message of its own is described there.
            yield f"{name}.{field}", found["$defs"][described["$ref"][8:]] if "$ref" in described else described


def test_there_is_something_released() -> None:
    assert RELEASED


@pytest.mark.parametrize("path", RELEASED)
def test_what_was_released_still_holds(path: Path) -> None:
    """Scrapers write news.raw. What we write is read by others and, while versions change and from records that are
    kept, by newer stages, too. A break on purpose removes the released version, and says so in the changelog."""
    new = jsonschema.generate().get(path.name)
    assert new is not None, f"{path.name} was released and is gone"
    topic, old = path.name.removesuffix(jsonschema.SUFFIX), json.loads(path.read_bytes())
    breaks = broken_for_writers(old, json.loads(new))
    if topic != topics.RAW:
        breaks += broken_for_readers(old, json.loads(new))
    assert breaks == []


# -- the command


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(jsonschema, "DIRECTORY", tmp_path)
    monkeypatch.setattr(jsonschema, "RELEASED", tmp_path / "released")
    return tmp_path


def test_the_command_writes_and_checks(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert jsonschema.main(["--check"]) == 1
    assert "run: python -m schemas.jsonschema" in capsys.readouterr().err
    (elsewhere / "news.gone.schema.json").write_text("{}")
    (elsewhere / "README.md").write_text("kept")
    assert jsonschema.main([]) == 0
    assert jsonschema.main(["--check"]) == 0
    assert jsonschema.read(elsewhere) == jsonschema.generate()
    assert (elsewhere / "README.md").read_text() == "kept"


def test_a_release_is_kept_and_never_changed(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert jsonschema.main(["--release", "1.2.3"]) == 0
    kept = jsonschema.read(elsewhere / "released" / "1.2.3")
    assert kept == jsonschema.generate()
    assert jsonschema.main(["--release", "1.2.3"]) == 2
    assert "never changed" in capsys.readouterr().err


# -- what is written about news.raw


def readme() -> str:
    return (jsonschema.DIRECTORY / "README.md").read_text(encoding="utf-8")


def test_the_readme_names_every_field_with_its_other_names() -> None:
    for name, aliases in ALIASES.items():
        (row,) = (line for line in readme().splitlines() if line.startswith(f"| `{name}` |"))
        assert re.findall(r"`([^`]+)`", row.rsplit("|", 2)[1]) == list(aliases)


def test_the_readme_names_every_reason_of_ingest() -> None:
    assert re.findall(r"^\| `([a-z_]+)` \| [^|]+ \|$", readme(), re.MULTILINE) == list(REASONS)
