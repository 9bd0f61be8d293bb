from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.ingest.characters import clean_line, clean_lines, folded, folded_lines
from workers.ingest.furniture import furniture_kind
from workers.ingest.headline import byline, from_text, is_headline
from workers.ingest.identity import content_hash, word_count
from workers.ingest.repeats import repeats
from workers.ingest.text import clean_text

A = (
    "The harbour board of Port Ellery voted on Tuesday to rebuild the north pier, which a storm tore away in March. "
    "Work begins in spring and will take two years."
)
B = (
    "Fishermen had asked for a longer breakwater instead, since boats still lie open to the swell from the east. "
    "The board promised to look at their plan again."
)
C = (
    "“We lost eleven boats in one night, and nobody in the capital so much as wrote us a letter,” said Ines Marlow, "
    "who has fished from here since she was twelve."
)
PULL = "“We lost eleven boats in one night, and nobody in the capital so much as wrote us a letter.”"


def cleaned(*paragraphs: str) -> list[str]:
    return clean_text("\n\n".join(paragraphs)).paragraphs


def test_prose_is_left_alone() -> None:
    short = "He paused."
    assert cleaned(A, short, B, "“No.”", C) == [A, short, B, "“No.”", C]


def test_a_pull_quote_that_is_said_again_in_the_text_goes_wherever_it_stands() -> None:
    assert cleaned(PULL, PULL, A, B, C) == [A, B, C]
    assert cleaned(A, C, B, PULL) == [A, C, B]


def test_a_quote_that_is_said_once_stays() -> None:
    assert cleaned(A, PULL, B) == [A, PULL, B]


def test_a_short_quote_that_is_said_twice_stays() -> None:
    assert cleaned(A, "“Never again!”", B, "“Never again!”") == [A, "“Never again!”", B, "“Never again!”"]


def test_a_refrain_stays() -> None:
    refrain = "“Carry me over, carry me over, over the water to Ellery town where the lanterns are lit.”"
    song = [A, refrain, B, refrain, C, refrain]
    assert cleaned(*song) == song


def test_a_standfirst_that_comes_again_as_the_first_paragraph_goes_once() -> None:
    assert cleaned(A, A, B, C) == [A, B, C]
    assert cleaned(A, B, C, A, B, C) == [A, B, C]


def test_a_final_list_of_teasers_goes_with_its_headings() -> None:
    teasers = [
        "Opinion",
        "View All",
        "Mayor of Ellery resigns over ferry",
        "The ferry had not sailed since spring, and…",
    ]
    assert cleaned(A, B, *teasers) == [A, B]


def test_a_final_list_of_teasers_is_known_by_its_cut_off_summaries() -> None:
    teasers = ["Mayor resigns over ferry", "The ferry had not sailed...", "Gulls close school", "Teachers of the ..."]
    assert cleaned(A, B, *teasers) == [A, B]


def test_the_article_goes_on_after_a_box_in_its_middle() -> None:
    assert cleaned(A, "Related stories", "Mayor resigns over ferry", "Gulls close school", B, C) == [A, B, C]


def test_a_teaser_heading_above_the_article_takes_nothing_along() -> None:
    found = clean_text("\n\n".join(["Top stories", "Port Ellery rebuilds", A, B]))
    assert (found.headline, found.paragraphs) == ("Port Ellery rebuilds", [A, B])


def test_a_line_about_cookies_is_no_headline() -> None:
    found = clean_text(
        "\n\n".join(["We use cookies to improve your experience. Accept all", "Port Ellery rebuilds", A, B])
    )
    assert (found.headline, found.paragraphs) == ("Port Ellery rebuilds", [A, B])


@pytest.mark.parametrize(
    "line", ["Grandma's cookies win the fair", "The court said that Google uses cookies to follow people"]
)
def test_other_lines_about_cookies_stay(line: str) -> None:
    assert furniture_kind(line) is None


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("ad-image", "label"),
        ("— ADVERTISEMENT —", "label"),
        ("Story continues below advertisement", "label"),
        ("Share this article", "label"),
        ("Read more: Mayor of Ellery resigns over ferry", "related"),
        ("ALSO READ | Gulls close school", "related"),
        ("Lesen Sie auch: Möwen schließen Schule", "related"),
        ("Lee también: Las gaviotas cierran la escuela", "related"),
        ("À lire aussi : les mouettes ferment l’école", "related"),
        ("Image: Title: north pier", "caption"),
        ("Photo: Ada Green", "caption"),
        ("(Photo by Ada Green/Ellery Post)", "caption"),
        ("The north pier in March (AP Photo/Ada Green)", "caption"),
        ("The north pier, as it stood in March. Photo: Ellery Post", "caption"),
        ("© 2026 Ellery Post", "copyright"),
        ("Copyright 2026 Ellery Post. No part may be copied.", "copyright"),
        ("Ellery Post. Alle Rechte vorbehalten.", "copyright"),
        ("Sign up for our free morning newsletter and never miss a story", "promotion"),
        ("Subscribe to the Ellery Briefing", "promotion"),
        ("Get the day’s news delivered to your inbox.", "promotion"),
        ("Follow us on Instagram and Facebook", "promotion"),
        ("Suscríbete a nuestro boletín", "promotion"),
        ("12 comments", "counter"),
        ("4 min read", "counter"),
        ("* * *", "ornament"),
        ("We use cookies to improve your experience. Accept all", "promotion"),
        ("Diese Webseite verwendet Cookies", "promotion"),
        ('{"@context":"https://schema.org","@type":"NewsArticle"}', "ornament"),
        ('[{"@type":"NewsArticle","headline":"' + "Port rebuilds " * 40 + '"}]', "ornament"),
    ],
)
def test_furniture_is_known(line: str, kind: str) -> None:
    assert furniture_kind(line) == kind


@pytest.mark.parametrize(
    "line",
    [
        "Advertisement spending fell by a tenth last year, the agency said.",
        "Copyright law was changed in spring.",
        "Read more than one book a week, teachers were told.",
        "Photo editors were the first to go.",
        "He promised to sign up for the army.",
        "To register, families must write to the board.",
        "More than 300 people came.",
        "Share prices fell.",
        "“Follow us,” the rescuers said.",
        "Newsletters are back, and so is paper.",
        "She works for Reuters and/or AFP, her brother said.",
        "(This story corrects the name of the pier.)",
        "Image is everything in this trade.",
    ],
)
def test_prose_that_speaks_of_furniture_is_none(line: str) -> None:
    assert furniture_kind(line) is None


def test_every_kind_of_newline_ends_a_line() -> None:
    assert clean_lines("a\r\nb\rc\nd\x85e\u2028f\u2029g\vh\fi") == list("abcdefghi")


def test_characters_are_cleaned_and_quotes_left() -> None:
    assert clean_line("\ufeff “Cafe\u0301”\u00a0– soft\u00adly\t\u200bit\u2003’s \x07") == "“Café” – softly it ’s"


def test_joiners_and_direction_marks_stay() -> None:
    assert clean_line("👩\u200d👧 می\u200cخواهم \u200f") == "👩\u200d👧 می\u200cخواهم \u200f"


def test_mojibake_is_repaired_and_honest_accents_left() -> None:
    assert clean_lines("The harbour masterâ€™s cafÃ©") == ["The harbour master’s café"]
    honest = "Île d’Oléron, São Tomé, “Ångström”, naïve, «été»"
    assert clean_lines(honest) == [honest]


def test_entities_are_resolved() -> None:
    assert clean_lines("Fish &amp; chips &#8211; &eacute;t&eacute;; AT&T stays") == ["Fish & chips – été; AT&T stays"]


def test_a_line_break_ends_a_paragraph() -> None:
    assert clean_text(f"{A}\n{B}\n{C}").paragraphs == [A, B, C]


def test_lines_broken_at_a_fixed_width_are_joined() -> None:
    wrapped = (
        "The harbour board of Port Ellery voted on Tuesday to rebuild the\n"
        "north pier, which a storm tore away in March, and to lengthen the\n"
        "breakwater if money is left.\n\n"
        "Fishermen had asked for a longer breakwater instead, since boats\n"
        "still lie open to the swell from the east in the winter months\n"
        "of the year."
    )
    paragraphs = clean_text(wrapped).paragraphs
    assert len(paragraphs) == 2
    assert paragraphs[0].endswith("and to lengthen the breakwater if money is left.")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("Port Ellery rebuilds its pier", True),
        ("Will Port Ellery ever rebuild its pier?", True),
        ("港务局决定重建北码头", True),
        ("ADA GREEN", False),
        ("ADA MARIA GREEN", False),
        ("The board voted on Tuesday.", False),
        ("The board voted:", False),
        (A, False),
    ],
)
def test_what_is_a_headline(line: str, expected: bool) -> None:
    assert is_headline(line, A) is expected
    assert is_headline(line, None) is False


def test_a_headline_is_made_of_the_first_sentence() -> None:
    assert from_text([A]) == A[: A.index(". ") + 1]
    assert from_text(["Mr. J. Green of the U.S. board met Dr. Marlow. They spoke."]) == (
        "Mr. J. Green of the U.S. board met Dr. Marlow."
    )
    cut = from_text(["word " * 100])
    assert len(cut) <= 160
    assert cut.endswith("word…")


def test_bylines() -> None:
    assert byline("By Ada Green and Ines Marlow") == "Ada Green and Ines Marlow"
    assert byline("Von Ada Green") == "Ada Green"
    assert byline("By the time they came") is None
    assert byline("By Tuesday all was over.") is None


def test_word_count_of_alphabets_and_ideographs() -> None:
    assert word_count(["Two words", "and three more"]) == 5
    assert word_count(["港务局周二，投票。"]) == 7
    assert word_count(["東京 Tokyo 2026"]) == 4


def test_content_hash_ignores_case_accents_punctuation_and_spacing() -> None:
    one = content_hash("The Café", [folded("“It’s  closed,” she said."), folded("Ends.")])
    assert one == content_hash("the cafe\u0301 ", [folded('"It\'s closed" she SAID'), folded("ends")])
    assert one != content_hash("The Café", [folded("It is closed, she said."), folded("Ends.")])
    assert folded("Straße ﬁn ²") == "strassefin2"


def test_the_sample_page(shared: Path) -> None:
    text = (shared / "samples" / "scraped-article-1.txt").read_text(encoding="utf-8")
    found = clean_text(text)
    paragraphs = found.paragraphs
    assert len(paragraphs) == 6
    assert found.headline == text.splitlines()[0]
    assert paragraphs[0].startswith("The Trump administration is in talks")
    assert paragraphs[-1].endswith("protection in other nations en route.")
    assert sum("members of the Tren de Aragua gang, I bet" in paragraph for paragraph in paragraphs) == 1


# ---- what is done to all lines at once -------------------------------------------------------------------------------

ODD = st.text(
    st.one_of(st.sampled_from("aé’“ß\xa0\t\r\n\x85\u2028&;Ã©łŁ字\u0301\u0345ᏸ½ ."), st.characters(codec=None)),
    max_size=60,
)


@settings(deadline=None)
@given(ODD)
def test_plain_text_is_cleaned_as_any_text_is(text: str) -> None:
    odd = clean_lines(text + "\n\u200b")  # the zero-width space sends all of it the long way, and leaves nothing
    assert [line for line in clean_lines(text) if line] == [line for line in odd if line]


@settings(deadline=None)
@given(st.lists(ODD.map(lambda text: text.replace("\n", "")), max_size=5))
def test_lines_are_folded_together_as_each_alone(lines: list[str]) -> None:
    plain = [unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", line).casefold()) for line in lines]
    wanted = ["".join(letter for letter in line if letter.isalnum()) for line in plain]
    assert folded_lines(lines) == [folded(line) for line in lines] == wanted


@settings(deadline=None)
@given(
    st.lists(st.sampled_from(["One rope held. ", "The tide turned at nine on the bar", "“No,” he said. "]), max_size=9)
)
def test_a_paragraph_within_a_longer_one_goes(parts: list[str]) -> None:
    whole = "Nobody on the quay had seen such a swell since the winter of the great ice, the pilots say: " + "".join(
        parts
    )
    piece = whole[:110]
    assert repeats([whole, piece], [folded(whole), folded(piece)]) == {1}
