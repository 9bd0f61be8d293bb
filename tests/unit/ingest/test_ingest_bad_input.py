from __future__ import annotations

import pytest

from schemas.codec import decode
from schemas.limits import MAX_RECORD_BYTES
from schemas.messages import Article
from tests.cases.bad_input import CASES, Case
from workers.ingest import IngestStage
from workers.stage import Emit, Record, Reject


def test_the_table_is_whole() -> None:
    assert len(CASES) >= 60
    assert len({case.name for case in CASES}) == len(CASES)
    unseen = set(IngestStage.reasons) - {case.expected for case in CASES}
    assert unseen == {"html_unreadable"}  # shown in test_ingest_html.py: it needs a failing extractor


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_each_bad_input_ends_in_an_article_or_its_reason(case: Case, stage: IngestStage) -> None:
    (outcome,) = stage.process([Record("news.raw", 0, 0, None, case.read(), case.headers, 1_795_500_000_000)])
    if isinstance(outcome, Reject):
        assert (outcome.reason, len(outcome.detail) < 1_000) == (case.expected, True), outcome.detail
        return
    assert case.expected == "article"
    assert isinstance(outcome, Emit)
    (message,) = outcome.messages
    assert len(message.value) < MAX_RECORD_BYTES
    article = decode(message.value, Article)
    assert article.body.strip() == article.body != ""
    assert article.headline
    assert "\x00" not in article.body + article.headline
    assert "secret" not in message.value.decode()
