"""Names and numbers of two texts that differ, in words."""

from __future__ import annotations

from workers.dedup.differences import differences
from workers.dedup.letters import words


def test_names_and_numbers() -> None:
    found = differences(
        "Storm cuts power to 4,200 homes\n\nThe storm hit Alder Bay on Monday, Marta Kelder said.",
        "Storm cuts power to 310 homes\n\nThe storm hit Birch Bay on Friday, Marta Kelder said.",
    )
    assert found.names == (("Alder", "Monday"), ("Birch", "Friday"))
    assert found.common_names == 3
    assert found.numbers == (("4200",), ("310",))
    assert found.beside == (("homes", "4200", "310"), ("power", "4200", "310"))


def test_a_number_that_both_have_beside_a_word_is_no_difference() -> None:
    found = differences("about 12 metres or 14 metres wide", "about 14 metres or 20 metres wide")
    assert found.numbers == (("12",), ("20",))
    assert found.common_numbers == 1
    # 14 stands before metres in both; after it ("or" is too short to count) another number does.
    assert found.beside == (("about", "12", "14"), ("metres", "14", "20"))


def test_words_are_those_that_dedup_counts() -> None:
    """As many words, numbers and names as the hashes are made of."""
    text = "On 1.250 roads, from Alder to Birch, 2.5m cars (up 3%) were seen by MIRA; \u00c9lan-Co. paid \uff15\uff10."
    found, made = differences(text, ""), words([text])
    assert len(found.numbers[0]) == int(made.number.sum())
    assert len(found.names[0]) == int(made.named.sum())


def test_nothing_to_compare() -> None:
    found = differences("", "")
    assert found.names == found.numbers == ((), ())
    assert found.beside == ()
