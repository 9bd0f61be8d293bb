from __future__ import annotations

import unicodedata
from datetime import timedelta

import msgspec
import pytest

from schemas import topics
from schemas.codec import encode
from schemas.keys import digest
from workers.dedup import DedupOptions, DedupStage
from workers.stage import Record, Reject

WEATHER = (
    "Here is the outlook for {town} and the district for the coming days, as prepared by the regional weather office.",
    "Saturday will be {sky} at first, with a high of {a} degrees and a low of {b} degrees along the coast. Winds will "
    "be moderate and come from the west, with gusts of up to {c} kilometres an hour on the exposed headlands.",
    "Sunday will be a little warmer, with a high of {d} degrees inland. The chance of rain is {e} per cent, and up to "
    "{f} millimetres may fall in the hills before the evening, as a weak front passes over the northern valleys.",
    "Sunrise on Saturday is at 6:{g} and sunset at 7:{h}. High water at the harbour is at 4:{i} and again at 5:{j}.",
    "The pollen count is high and the air quality index stands at {k}. Drivers should allow extra time on the pass.",
)


def test_first_article_is_unique_and_keeps_everything(bench, box):
    article = box.article()
    (emit,) = bench.feed(article)
    assert emit.kind == "unique"
    assert [m.topic for m in emit.messages] == [topics.UNIQUE]
    assert emit.messages[0].key == article.id.encode()
    unique = box.unique(emit)
    assert (unique.verdict, unique.revision, unique.cluster_id, unique.match) == ("unique", 1, article.id, None)
    assert unique.processing == {"ingest": "1.0.0", "dedup": bench.stage.version}
    for name in set(article.__struct_fields__) - {"processing"}:
        assert getattr(unique, name) == getattr(article, name)
    entry = box.entry(emit)
    assert emit.log.topic == topics.DEDUP_LOG
    assert emit.log.key == article.id.encode()
    assert (entry.id, entry.event_time, entry.url) == (article.id, article.fetched_at, article.url)
    assert entry.fingerprint


def test_exact_copy_names_the_first_article(bench, box):
    first = box.article(url="https://courier.example/1")
    copy = box.article(url="https://herald.example/9", minutes=30, source="herald.example")
    _, emit = bench.feed(first, copy)
    duplicate = box.duplicate(emit)
    assert [m.topic for m in emit.messages] == [topics.DUPLICATES]
    assert duplicate.verdict == emit.kind == "exact_copy"
    assert (duplicate.id, duplicate.source, duplicate.cluster_id) == (copy.id, "herald.example", first.id)
    assert duplicate.match.article_id == first.id
    assert duplicate.match.url == first.url
    assert duplicate.match.first_seen == first.fetched_at
    assert (duplicate.match.similarity, duplicate.match.containment) == (1.0, 1.0)
    assert duplicate.match.rule == "exact_copy.same_text"
    assert duplicate.processing["dedup"] == bench.stage.version


def test_near_copy_with_new_headline_credit_and_a_local_line(bench, box):
    first = box.article()
    text = [*box.stories["bridge"]["paragraphs"], "Readers of the Herald have called for a footbridge since 2011."]
    text[0] = "LINDMOUTH (Norpress) -- " + text[0]
    copy = box.article(url="https://herald.example/9", minutes=30, headline="Bridge shuts", paragraphs=text)
    _, emit = bench.feed(first, copy)
    duplicate = box.duplicate(emit)
    assert duplicate.verdict == emit.kind == "near_copy"
    assert duplicate.cluster_id == duplicate.match.article_id == first.id
    assert duplicate.match.rule == "near_copy.similarity"
    assert duplicate.match.similarity > 0.85
    assert duplicate.match.containment > 0.95


@pytest.mark.parametrize("longer_first", [True, False])
def test_trimmed_copy_is_found_in_both_orders(bench, box, longer_first):
    whole = box.article(url="https://courier.example/1")
    trimmed = box.article(url="https://herald.example/2", paragraphs=box.stories["bridge"]["paragraphs"][:2])
    order = [whole, trimmed] if longer_first else [trimmed, whole]
    _, emit = bench.feed(*order)
    duplicate = box.duplicate(emit)
    match = duplicate.match
    assert match.rule == ("near_copy.contained" if longer_first else "near_copy.covers")
    part, whole_share = (match.contained, match.covers) if longer_first else (match.covers, match.contained)
    assert whole_share < 0.5 < 0.9 < part == match.containment
    assert match.similarity < 0.5


def test_reordered_and_dropped_paragraphs_are_a_near_copy(bench, box):
    text = box.stories["strike"]["paragraphs"]
    first = box.article("strike")
    copy = box.article("strike", url="https://herald.example/2", paragraphs=[text[0], text[4], text[2], text[1]])
    assert [e.kind for e in bench.feed(first, copy)] == ["unique", "near_copy"]


def test_copy_of_a_copy_joins_the_cluster_of_the_first(bench, box):
    text = box.stories["flood"]["paragraphs"]
    first = box.article("flood", url="https://a.example/1", paragraphs=text[:4])
    second = box.article("flood", url="https://b.example/1", minutes=1, paragraphs=text[1:], source="b.example")
    third = box.article("flood", url="https://c.example/1", minutes=2, paragraphs=text[4:], source="c.example")
    emits = bench.feed(first, second, third)
    assert [e.kind for e in emits] == ["unique", "near_copy", "near_copy"]
    assert box.duplicate(emits[2]).match.article_id == second.id
    assert box.duplicate(emits[2]).cluster_id == first.id


def test_other_stories_are_unique(bench, box):
    articles = [box.article(name, url=f"https://courier.example/{name}") for name in box.stories]
    assert {e.kind for e in bench.feed(*articles)} == {"unique"}


def test_a_quoted_paragraph_does_not_make_a_copy(bench, box):
    quoting = [*box.stories["museum"]["paragraphs"][:4], box.stories["bridge"]["paragraphs"][1]]
    first, second = box.article(), box.article(url="https://b.example/2", headline="Clock is back", paragraphs=quoting)
    assert [e.kind for e in bench.feed(first, second)] == ["unique", "unique"]


def test_issues_of_a_template_are_not_copies(bench, box):
    def issue(number: int):
        facts = {c: str(11 + (number * 37 + n * 13) % 79) for n, c in enumerate("abcdefghijk")}
        sky = ("dry and bright", "cloudy with showers", "wet and windy")[number % 3]
        text = [line.format(town="Lindmouth", sky=sky, **facts) for line in WEATHER]
        return box.article(
            url=f"https://courier.example/weather-{number}",
            minutes=number * 1440,
            headline="The weekend weather for Lindmouth",
            paragraphs=text,
        )

    assert [e.kind for e in bench.feed(*(issue(n) for n in range(5)))] == ["unique"] * 5


def test_revision_goes_on_with_the_evidence_of_the_one_before(bench, box):
    first = box.article()
    text = [*box.stories["bridge"]["paragraphs"], "Update: the vote on the levy was put off to 2 May."]
    second = box.article(minutes=60, paragraphs=text)
    third = box.article(minutes=90, paragraphs=text[1:])
    emits = bench.feed(first, second, third)
    revised, again = box.unique(emits[1]), box.unique(emits[2])
    assert [e.kind for e in emits] == ["unique", "revision", "revision"]
    assert (revised.verdict, revised.revision, revised.cluster_id) == ("revision", 2, first.id)
    assert revised.match.article_id == first.id
    assert revised.match.first_seen == first.fetched_at
    assert 0.9 < revised.match.similarity <= 1.0
    assert (revised.changes.headline, revised.changes.words, revised.changes.paragraphs_removed) == (False, 12, 0)
    assert (revised.changes.paragraphs_added, revised.changes.parts) == (1, ("end",))
    assert (again.changes.paragraphs_added, again.changes.paragraphs_removed) == (0, 1)
    assert revised.match.rule == "revision.same_id_other_text"
    assert again.revision == 3
    assert again.match.first_seen == first.fetched_at


def test_recrawl_of_the_current_and_of_an_earlier_revision(bench, box):
    old, new = box.article(), box.article(minutes=60, headline="Bridge at Lindmouth closes until January")
    emits = bench.feed(old, new, box.article(minutes=70, headline=new.headline), box.article(minutes=80))
    assert [e.kind for e in emits] == ["unique", "revision", "recrawl", "recrawl"]
    current, earlier = box.duplicate(emits[2]), box.duplicate(emits[3])
    assert current.match.article_id == earlier.match.article_id == old.id
    assert current.match.rule == "recrawl.same_id_and_text"
    assert box.entry(emits[2]).revision == 2
    assert box.entry(emits[3]).revision == 1
    assert box.entry(emits[3]).fingerprint == ""


def test_only_the_latest_revisions_are_known(bench, box):
    articles = [box.article(minutes=n, headline=f"Bridge closes, take {n}") for n in range(12)]
    emits = bench.feed(*articles, articles[11], articles[4], articles[3])
    assert [e.kind for e in emits] == ["unique"] + ["revision"] * 11 + ["recrawl", "recrawl", "revision"]
    assert box.unique(emits[-1]).revision == 13


def test_revision_of_a_copy_stays_in_its_cluster(bench, box):
    first = box.article()
    copy = box.article(url="https://herald.example/2", minutes=1)
    changed = box.article(url="https://herald.example/2", minutes=2, headline="The bridge, explained")
    emits = bench.feed(first, copy, changed)
    assert [e.kind for e in emits] == ["unique", "exact_copy", "revision"]
    assert box.unique(emits[2]).revision == 2
    assert box.unique(emits[2]).cluster_id == first.id
    assert box.unique(emits[2]).match.similarity > 0.9


def test_forward_copies_sends_near_copies_both_ways(box):
    text = box.stories["bridge"]["paragraphs"]
    articles = [
        box.article(),
        box.article(url="https://b.example/1", paragraphs=text[:4]),
        box.article(url="https://c.example/1"),
    ]
    emits = box.Bench(forward_copies=True).feed(*articles)
    assert [e.kind for e in emits] == ["unique", "near_copy", "exact_copy"]
    assert [m.topic for m in emits[1].messages] == [topics.UNIQUE, topics.DUPLICATES]
    forwarded, small = box.unique(emits[1]), box.duplicate(emits[1])
    assert (forwarded.verdict, forwarded.cluster_id) == ("near_copy", articles[0].id)
    assert forwarded.match == small.match
    assert [m.topic for m in emits[2].messages] == [topics.DUPLICATES]


def test_typography_case_and_unicode_form_do_not_matter(bench, box):
    text = box.stories["bridge"]["paragraphs"]
    styled = [p.replace('"', "”").replace("21,400", "21400").replace(" kilometres", " kilometres") for p in text]
    styled[3] = styled[3].upper()
    styled.append("Herald desk")
    headline = unicodedata.normalize("NFD", "Zur Brücke")
    other = box.article(url="https://b.example/1", headline=headline, paragraphs=styled)
    first = box.article(headline="Zur Brücke")
    _, emit = bench.feed(first, other)
    assert emit.kind == "near_copy"
    assert box.duplicate(emit).match.similarity > 0.97


def test_scripts_without_spaces_or_capitals(bench, box):
    text = (
        "港口大桥因钢梁出现裂缝将于四月关闭至少九个月，当地道路管理部门星期二宣布。检查人员去年十一月首次发现裂缝。",
        "工程师表示，继续修补并不可靠，唯一负责任的办法是拆下活动桥跨进行彻底维修，费用约为六千二百万克朗。",
        "每天约有两万一千辆汽车经过该桥，关闭期间车辆须绕行高架桥，渡轮公司承诺增加班次，商户担心夏季生意。",
    )
    other = (
        "医院护士在深夜谈判后取消罢工，管理层同意增加休息日和夜班津贴，"
        "工会将在下星期三之前就协议进行投票表决，院长表示预算压力很大。"
    )
    first = box.article(url="https://a.example/1", headline="港口大桥关闭", paragraphs=text)
    copy = box.article(url="https://b.example/1", headline="大桥将关闭九个月", paragraphs=text[:2])
    third = box.article(url="https://c.example/1", headline="罢工取消", paragraphs=[other])
    assert [e.kind for e in bench.feed(first, copy, third)] == ["unique", "near_copy", "unique"]


def test_texts_too_short_to_compare_are_unique_unless_equal(bench, box):
    def short(n: int, text: str):
        return box.article(url=f"https://a.example/{n}", headline="", paragraphs=[text])

    emits = bench.feed(short(1, ""), short(2, "No play."), short(3, "No play today."), short(4, "no play"))
    assert [e.kind for e in emits] == ["unique", "unique", "unique", "exact_copy"]


def test_ingested_time_stands_in_for_a_missing_fetch_time(bench, box):
    article = msgspec.structs.replace(box.article(), fetched_at=None)
    (emit,) = bench.feed(article)
    assert box.entry(emit).event_time == article.ingested_at


@pytest.mark.parametrize("value", [None, b"", b"{", b"[]", b'{"id": "x"}', b"\xff\xfe"])
def test_what_is_no_article_is_rejected_alone(box, value):
    bench = box.Bench()
    batch = [bench.record(box.article()), Record(topics.ARTICLES, 0, 1, b"k", value), bench.record(box.article(), 2)]
    outcomes = bench.stage.process(batch)
    assert isinstance(outcomes[1], Reject)
    assert outcomes[1].reason == "bad_article"
    assert outcomes[1].detail
    assert [outcomes[0].kind, outcomes[2].kind] == ["unique", "recrawl"]


def test_prepared_work_changes_nothing(box):
    article = box.article()
    plain, prepared = box.Bench(), box.Bench()
    record = plain.record(article)
    work = prepared.stage.prepare(record)
    given = Record(record.topic, 0, record.offset, record.key, record.value, record.headers, 0, work)
    assert prepared.stage.process([given]) == plain.stage.process([record])


def test_a_very_long_url_is_not_kept_as_evidence(bench, box):
    url = "https://courier.example/" + "x" * 3000
    _, emit = bench.feed(box.article(url=url), box.article(url="https://b.example/1"))
    assert box.duplicate(emit).match.url is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"window": timedelta(0)},
        {"max_entries": 0},
        {"similarity": -0.1},
        {"containment": 1.1},
        {"evidence": float("nan")},
    ],
)
def test_options_are_checked(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        DedupOptions(**wrong)


def test_every_output_uses_a_declared_name(bench, box):
    stage = DedupStage()
    assert (stage.name, stage.source, stage.log_topic) == ("dedup", topics.ARTICLES, topics.DEDUP_LOG)
    emits = bench.feed(box.article(), box.article(url="https://b.example/1"))
    for emit in emits:
        assert emit.kind in stage.kinds
        assert {m.topic for m in emit.messages} <= set(stage.sinks)
    assert digest("https://courier.example/1") == box.article().id
    assert encode(box.article())
