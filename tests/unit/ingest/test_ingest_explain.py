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


def test_subjects_come_with_the_words_and_the_sentence_that_speak_for_them(tmp_path: Path) -> None:
    verdict = "A judge sentenced the man to four years in prison for burglary, the court said."
    text = f"Burglar is jailed\n\n{verdict} The police had found the stolen jewels in his garage in March."
    (tmp_path / "court.txt").write_text(text, encoding="utf-8")
    output = CliRunner().invoke(command, ["--subjects", str(tmp_path / "court.txt")]).output
    head, _, reasons = output.partition("crime, law and justice  medtop:02000000")
    assert head.splitlines()[-1].strip().startswith("0.")
    assert "judge" in reasons.splitlines()[1]
    assert f"“{verdict}”" in reasons


def test_a_language_without_subjects_is_said(tmp_path: Path) -> None:
    (tmp_path / "fi.txt").write_text("Tuomari tuomitsi miehen vankeuteen murrosta, kertoi oikeus maanantaina. " * 3)
    output = CliRunner().invoke(command, ["--subjects", str(tmp_path / "fi.txt")]).output
    assert output.splitlines()[-1] == "no subject: unsupported language (language fi)"
