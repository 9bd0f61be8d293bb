"""Clusters: what joins them, what doesn't, and that the order of arrival doesn't decide who belongs together."""

from __future__ import annotations

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


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["bridge", "strike", "flood", "museum"]), st.integers(0, 4)), min_size=2, max_size=9
    ),
    st.randoms(use_true_random=False),
)
def test_shuffled_arrival_gives_the_same_clusters(box, picks, chance):
    articles = []
    for n, (story, cut) in enumerate(picks):
        source, text = f"o{n}.example", box.stories[story]["paragraphs"][CUTS[cut]]
        url = f"https://{source}/1"
        articles.append(box.article(story, url=url, headline=f"Take {n}", paragraphs=text, source=source))
    shuffled = list(articles)
    chance.shuffle(shuffled)
    found = [member_sets(box, box.Bench().feed(*order), order) for order in (articles, shuffled)]
    assert found[0] == found[1]
    assert len(found[0]) == len({story for story, _ in picks})
