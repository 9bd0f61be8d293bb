"""Clusters: what joins them, what doesn't, and that the order of arrival doesn't decide who belongs together."""

from __future__ import annotations

import itertools
from collections import defaultdict

from hypothesis import given, settings
from hypothesis import strategies as st

CUTS = (slice(None), slice(0, 4), slice(0, 5), slice(1, None), slice(0, 3))


def member_sets(box, emits, articles):
    """Sets of article ids that are one cluster, joins included."""
    above: dict[str, str] = {}

    def root(cluster: str) -> str:
        while above.get(cluster, cluster) != cluster:
            cluster = above[cluster]
        return cluster

    clusters = []
    for emit, article in zip(emits, articles, strict=True):
        entry = box.entry(emit)
        clusters.append((article.id, entry.cluster_id))
        for other in entry.joins:
            above[root(other)] = root(entry.cluster_id)
    members = defaultdict(set)
    for article_id, cluster in clusters:
        members[root(cluster)].add(article_id)
    return sorted(map(sorted, members.values()))


def test_an_article_that_two_clusters_hold_makes_them_one(bench, box):
    text = box.stories["flood"]["paragraphs"]
    middle = text[1:4]
    first = box.article(
        "flood", url="https://a.example/1", headline="", paragraphs=[*middle, *box.stories["museum"]["paragraphs"]]
    )
    second = box.article(
        "flood",
        url="https://b.example/1",
        minutes=1,
        headline="",
        paragraphs=[*middle, *box.stories["strike"]["paragraphs"]],
    )
    bench = box.Bench(similarity=0.9)
    apart = bench.feed(first, second)
    assert [emit.kind for emit in apart] == ["unique", "unique"]
    # Both hold it wholly, so they share it with each other: one story after all.
    bench.stage.options = box.Bench(evidence=-1.0).stage.options
    (emit,) = bench.feed(box.article("flood", url="https://c.example/1", minutes=2, headline="", paragraphs=middle))
    joined = box.duplicate(emit)
    assert (joined.cluster_id, joined.joins) == (first.id, (second.id,))
    follower = box.article(
        "strike", url="https://d.example/1", minutes=3, paragraphs=box.stories["strike"]["paragraphs"]
    )
    (emit,) = bench.feed(follower)
    assert box.duplicate(emit).match.article_id == second.id
    assert box.duplicate(emit).cluster_id == first.id


def test_a_round_up_joins_one_cluster_and_leads_nobody_into_it(bench, box):
    stories = ["bridge", "flood", "museum"]
    whole = {name: box.stories[name]["paragraphs"] for name in stories}
    first = box.article("bridge", url="https://a.example/1")
    second = box.article("flood", url="https://a.example/2", minutes=1)
    parts = [line for name in stories for line in whole[name]]
    round_up = box.article(url="https://b.example/1", minutes=2, headline="The day in three stories", paragraphs=parts)
    later = box.article("museum", url="https://c.example/1", minutes=3)
    emits = bench.feed(first, second, round_up, later)
    assert [emit.kind for emit in emits[:2]] == ["unique", "unique"]
    entry = box.entry(emits[2])
    assert entry.joins == ()
    if emits[2].kind == "near_copy":
        assert entry.match.rule == "near_copy.covers"
        assert emits[3].kind == "unique"


stories_of = st.sampled_from(["bridge", "strike", "flood", "museum"])
headlines = st.sampled_from(["Take one", "Take two"])


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(stories_of, st.integers(0, 4), st.integers(0, 3), headlines), min_size=2, max_size=10),
    st.randoms(use_true_random=False),
)
def test_shuffled_arrival_gives_the_same_clusters(box, picks, chance):
    """Copies, exact copies in other outlets and in the same, revisions and recrawls, in two orders. An outlet has two
    addresses for each story."""
    articles = []
    for n, (story, cut, outlet, headline) in enumerate(picks):
        source, text = f"o{outlet}.example", box.stories[story]["paragraphs"][CUTS[cut]]
        url = f"https://{source}/{story}/{n % 2}"
        articles.append(box.article(story, url=url, headline=headline, paragraphs=text, source=source))
    shuffled = list(articles)
    chance.shuffle(shuffled)
    found = [member_sets(box, box.Bench().feed(*order), order) for order in (articles, shuffled)]
    assert found[0] == found[1]
    assert len(found[0]) >= len({story for story, *_ in picks})


@settings(max_examples=60, deadline=None)
@given(
    st.permutations(
        ["bridge", "flood", "museum", "round-up", "copy of the round-up", "bridge, trimmed", "museum, trimmed"]
    )
)
def test_a_round_up_makes_no_two_stories_one_in_any_order(box, order):
    whole = {name: box.stories[name]["paragraphs"] for name in ("bridge", "flood", "museum")}
    together = [line for name in ("bridge", "flood", "museum") for line in whole[name]]
    texts = {
        **whole,
        "round-up": together,
        "copy of the round-up": [*together, "More news tomorrow at six, from all over the county."],
        "bridge, trimmed": whole["bridge"][:4],
        "museum, trimmed": whole["museum"][:4],
    }
    articles = [
        box.article(url=f"https://o{n}.example/1", headline=name, paragraphs=texts[name], source=f"o{n}.example")
        for n, name in enumerate(order)
    ]
    clusters = member_sets(box, box.Bench().feed(*articles), articles)
    name_of = {article.id: article.headline for article in articles}
    told = sorted(
        sorted(name_of[member] for member in cluster if "round-up" not in name_of[member]) for cluster in clusters
    )
    assert [names for names in told if names] == [
        ["bridge", "bridge, trimmed"],
        ["flood"],
        ["museum", "museum, trimmed"],
    ]
    homes = [n for n, cluster in enumerate(clusters) for member in cluster if "round-up" in name_of[member]]
    assert len(homes) == 2
    assert homes[0] == homes[1]


def test_what_a_second_outlet_publishes_links_what_one_outlet_alone_would_not(box):
    """One outlet's two articles over one text are judged more strictly than those of two: an exact copy elsewhere makes
    them one, before or after."""
    flood, own, other = (box.stories[name]["paragraphs"] for name in ("flood", "museum", "strike"))
    text = [*own[:2], *flood[:3]]
    first = box.article(url="https://a.example/1", headline="One", paragraphs=text, source="a.example")
    elsewhere = box.article(url="https://b.example/1", headline="One", paragraphs=text, source="b.example")
    second = box.article(
        url="https://a.example/2", headline="Two", paragraphs=[*flood[:3], *other[:2]], source="a.example"
    )
    apart = box.Bench().feed(first, second)
    assert [emit.kind for emit in apart] == ["unique", "unique"]
    for order in itertools.permutations([first, second, elsewhere]):
        emits = box.Bench().feed(*order)
        assert len(member_sets(box, emits, order)) == 1


def test_a_revision_brings_in_what_its_new_text_is_linked_with(bench, box):
    text = box.stories["strike"]["paragraphs"]
    first = box.article("strike", url="https://a.example/1", paragraphs=text[:3])
    other = box.article("strike", url="https://b.example/1", minutes=1, paragraphs=text[3:], source="b.example")
    whole = box.article("strike", url="https://a.example/1", minutes=2, paragraphs=text)
    *apart, revision = bench.feed(first, other, whole)
    assert [emit.kind for emit in apart] == ["unique", "unique"]
    assert revision.kind == "revision"
    assert box.unique(revision).joins == (other.id,)


def test_a_page_that_shows_another_story_joins_it_with_nothing(bench, box):
    first = box.article("strike", url="https://a.example/")
    other = box.article("flood", url="https://b.example/1", minutes=1, source="b.example")
    changed = box.article("flood", url="https://a.example/", minutes=2, headline="Now")
    *_, revision = bench.feed(first, other, changed)
    assert revision.kind == "revision"
    assert box.unique(revision).joins == ()
