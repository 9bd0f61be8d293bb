import pytest

from workers.classify import load
from workers.classify.rules import MAX_DEPTH, MAX_MATCHES, MAX_TERMS, RuleError, parse

HEADLINE = "Wind farm off Portmere halted"
BODY = "The turbines in the sea stand still. A court is to rule on noise; whales are said to flee. Café owners rejoice."
ENVIRONMENT = "medtop:06000000"


def matches(query: str, topics: frozenset[str] = frozenset()) -> bool:
    return bool(parse(f'desk:x "X" = {query}').apply(HEADLINE, BODY, topics))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("sea", True),
        ("SEA", True),
        ("seas", False),
        ("turbine*", True),
        ("turbine", False),
        ('"wind farm"', True),
        ('"farm wind"', False),
        ('"farm off portmere"', True),
        # A phrase doesn't span headline and body.
        ('"halted the turbines"', False),
        ("headline:wind", True),
        ("headline:sea", False),
        ('headline:"wind farm"', True),
        ("headline:port*", True),
        ("café", True),
        ("sea AND whales", True),
        ("sea AND lake", False),
        ("lake OR whales", True),
        ("NOT lake", True),
        ("NOT NOT lake", False),
        # AND binds closer than OR, NOT closer than AND.
        ("sea OR lake AND pond", True),
        ("(sea OR lake) AND pond", False),
        ("NOT lake AND pond", False),
        ("NOT (lake AND pond)", True),
        (ENVIRONMENT, False),
    ],
)
def test_what_a_query_finds(query, expected):
    assert matches(query) is expected


def test_a_rule_can_ask_for_a_media_topic():
    assert matches(f"{ENVIRONMENT} AND sea", frozenset({ENVIRONMENT}))
    assert not matches(f"NOT {ENVIRONMENT}", frozenset({ENVIRONMENT}))


def test_comments_blank_lines_and_lines_that_go_on():
    rules = parse(
        '# ours\n\ndesk:a "A # not a comment" = sea # yes\n    AND\n\n\t(lake OR whales)\n\ndesk:b "B" = pond\n'
    )
    assert [rule.subject.name for rule in rules.rules] == ["A # not a comment", "B"]
    assert [subject.id for subject in rules.apply(HEADLINE, BODY, frozenset())] == ["desk:a"]


@pytest.mark.parametrize(
    ("source", "place", "part"),
    [
        ("desk:a = sea", (1, 1), "a name in double quotes"),
        ('desk "A" = sea', (1, 1), "is no id"),
        ('medtop:01000000 "A" = sea', (1, 1), "is no id"),
        ('desk:a "A" = sea\n\ndesk:a "B" = lake', (3, 1), "already, in line 1"),
        ("   sea", (1, 1), "none above"),
        ('desk:a "A" =', (1, 13), "expected a word"),
        ('desk:a "A" = sea lake', (1, 18), "did not expect 'lake'"),
        ('desk:a "A" = sea AND', (1, 21), "expected a word"),
        ('desk:a "A" = sea\n  AND OR lake', (2, 7), "not 'OR'"),
        ('desk:a "A" = (sea OR lake', (1, 26), "closing bracket"),
        ('desk:a "A" = sea)', (1, 17), "did not expect ')'"),
        ('desk:a "A" = "sea', (1, 14), "expected a word"),
        ('desk:a "A" = ""', (1, 14), "no word in it"),
        ('desk:a "A" = se*a', (1, 14), "asterisk"),
        ('desk:a "A" = *', (1, 14), "no word in it"),
        ('desk:a "A" = wind-farm', (1, 14), "double quotes"),
        ('desk:a "A" = headline:', (1, 14), "no word in it"),
        (f'desk:a "A" = {"(" * (MAX_DEPTH + 2)}sea', (1, MAX_DEPTH + 15), "deep"),
        (f'desk:a "A" = {"sea OR " * MAX_TERMS}sea', (1, 14 + 7 * MAX_TERMS), "more than"),
    ],
)
def test_a_mistake_is_told_with_line_and_column(source, place, part):
    with pytest.raises(RuleError) as caught:
        parse(source)
    assert str(caught.value).startswith(f"line {place[0]}, column {place[1]}: ")
    assert part in str(caught.value)


def test_the_stage_puts_custom_subjects_beside_the_media_topics(articles):
    stage = load('desk:ferry "Ferries" = ferr* AND medtop:09000000\ndesk:no "No" = zebra')
    item = articles["strike"]
    found = stage.subjects(item["headline"], item["body"], "en")
    assert [subject.id for subject in found.custom] == ["desk:ferry"]
    assert found.items == load().subjects(item["headline"], item["body"], "en").items
    assert stage.version != load().version


def test_rules_work_in_other_languages_too():
    found = load('desk:salt "Sal" = sal AND mar').subjects("La sal del mar", "La sal viene del mar.", "es")
    assert (found.status, found.items, [subject.id for subject in found.custom]) == (
        "unsupported_language",
        (),
        ["desk:salt"],
    )


def test_an_article_gets_a_bounded_number_of_custom_subjects():
    rules = parse("\n".join(f'desk:{n} "N" = sea' for n in range(MAX_MATCHES + 5)))
    assert [subject.id for subject in rules.apply(HEADLINE, BODY, frozenset())] == [
        f"desk:{n}" for n in range(MAX_MATCHES)
    ]
