"""The stage's output on our own articles, recorded with its version: output must not change under the same version.

After a change that is meant: raise `DECLARED_VERSION` (new weights change the version by themselves), look at the
difference, and record anew with `NEWSMILL_RECORD_GOLDEN=1 pytest tests/unit/entities/test_entities_golden.py`.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import orjson

HERE = Path(__file__).parent
EXPECTED = HERE / "golden_entities.json"


def test_output_changes_only_with_the_version(stage) -> None:
    articles = orjson.loads((HERE / "golden_articles.json").read_bytes())
    output = [msgspec.to_builtins(stage.entities(one["headline"], one["body"], one["language"])) for one in articles]
    if os.environ.get("NEWSMILL_RECORD_GOLDEN"):
        recorded = {"version": stage.version, "entities": output}
        EXPECTED.write_bytes(orjson.dumps(recorded, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    expected = orjson.loads(EXPECTED.read_bytes())
    assert expected["version"] == stage.version, "another version: look at the new output and record it"
    assert orjson.loads(orjson.dumps(output)) == expected["entities"], "output changed: raise DECLARED_VERSION"
