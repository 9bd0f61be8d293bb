from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from newsmill.cli.explain import command

A = "The harbour board of Port Ellery voted on Tuesday to rebuild the north pier, which a storm tore away in March."
B = "Fishermen had asked for a longer breakwater instead, since boats still lie open to the swell from the east."
PAGE = f"Port Ellery rebuilds its pier\n\nBy Ada Green\n\n{A}\n\nad-image\n\n{B}\n\nMost read\n\nGulls close school\n"


def test_what_goes_is_shown_where_it_stood_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "pier.txt").write_text(PAGE, encoding="utf-8")
    result = CliRunner().invoke(command, [str(tmp_path / "pier.txt")])
    assert result.exit_code == 0, result.output
    assert result.output.splitlines() == [
        "Port Ellery rebuilds its pier",
        "unknown · Ada Green",
        "",
        "- [byline] By Ada Green",
        A,
        "- [label] ad-image",
        B,
        "- [teaser] Most read",
        "- [teaser] Gulls close school",
    ]


def test_colours_strike_out(tmp_path: Path) -> None:
    (tmp_path / "pier.txt").write_text(PAGE, encoding="utf-8")
    output = CliRunner().invoke(command, ["--colour", str(tmp_path / "pier.txt")], color=True).output
    assert "\x1b[9;90mad-image\x1b[0m\x1b[1;90m  label\x1b[0m" in output
    assert "ad-image" not in CliRunner().invoke(command, ["--kept", str(tmp_path / "pier.txt")]).output


def test_refused_documents_say_why(tmp_path: Path) -> None:
    (tmp_path / "bad.ndjson").write_text('{"text": 5}\n', encoding="utf-8")
    result = CliRunner().invoke(command, [str(tmp_path / "bad.ndjson")])
    assert result.exit_code == 1
    assert result.output.startswith("refused bad_field")
