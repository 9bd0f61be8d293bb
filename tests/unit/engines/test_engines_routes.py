"""The table of languages: which partition of news.articles an article goes to."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from newsmill import routes
from newsmill.engines.embedded.chain import Chain
from newsmill.engines.runner import Runner
from newsmill.metrics import Metrics
from newsmill.settings import SettingsError, from_environment
from schemas import topics
from tests.support.stages import EchoStage, SpeakingStage
from workers.stage import Outcome, Record


def test_a_table_is_read() -> None:
    table = routes.parse(" en=0, de=1,fr=1 ,*=2")
    assert table is not None
    assert [table.partition(topics.ARTICLES, language) for language in ("en", "de", "fr", "pt", "und")] == [
        0, 1, 1, 2, 2,
    ]  # fmt: skip
    assert table.partition(topics.UNIQUE, "en") is None
    assert table.partition(topics.ARTICLES, None) is None
    assert routes.parse("") is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("en=0,de=1", "*=PARTITION is missing"),
        ("en=0,en=1,*=0", "en is there twice"),
        ("english=0,*=0", "is not a language"),
        ("en,*=0", "is not LANGUAGE=PARTITION"),
        ("en=-1,*=0", "is not LANGUAGE=PARTITION"),
        ("en=one,*=0", "is not LANGUAGE=PARTITION"),
        ("en=0,*=0,", "is not LANGUAGE=PARTITION"),
    ],
)
def test_a_wrong_table_is_refused_with_the_reason(text: str, problem: str) -> None:
    with pytest.raises(SettingsError) as caught:
        from_environment({"NEWSMILL_DEDUP_ROUTES": text})
    assert "NEWSMILL_DEDUP_ROUTES" in str(caught.value)
    assert problem in str(caught.value)


def test_a_partition_that_is_not_there_is_refused() -> None:
    table = routes.parse("en=0,*=2")
    assert table is not None
    table.check(3)
    with pytest.raises(routes.RoutesError, match=r"names partition 2, and news\.articles has 2"):
        table.check(2)


def test_the_engines_put_articles_where_the_table_says() -> None:
    inputs = [Record(topics.RAW, 0, n, b"k%d" % n, language) for n, language in enumerate((b"de", b"en", b"xx"))]
    runner = Runner(SpeakingStage(), Metrics(), routes=routes.parse("en=0,de=1,*=2"))
    assert [output.partition for output in runner.run(inputs).outputs] == [1, 0, 2]
    without = Runner(SpeakingStage(), Metrics())
    assert [output.partition for output in without.run(inputs).outputs] == [None] * 3


def test_a_replay_hands_them_on_there() -> None:
    class Reader(EchoStage):
        name = "dedup"
        source = topics.ARTICLES
        sinks = (topics.UNIQUE,)
        seen: list[tuple[int, bytes | None]] = []  # noqa: RUF012  (a new class for each test)

        def process(self, batch: Sequence[Record]) -> Sequence[Outcome]:
            self.seen += [(record.partition, record.value) for record in batch]
            return super().process(batch)

    chain = Chain(
        [SpeakingStage(), Reader()],
        Metrics(),
        dead_letter_limit=100,
        partition=lambda topic, key: 7,
        routes=routes.parse("en=0,de=1,*=2"),
    )
    chain.run([Record(topics.RAW, 0, n, b"k", language) for n, language in enumerate((b"de", b"en", b"xx"))], {})
    assert Reader.seen == [(1, b"de"), (0, b"en"), (2, b"xx")]
