"""The articles whose log and snapshot are kept in `upgrade/`, one file for each version of dedup that wrote them.

A new version: keep the files that are there, and add its own by `python -m pytest tests/unit/dedup -k write_upgrade`
with NEWSMILL_WRITE_GOLDEN=1.
"""

from __future__ import annotations

from typing import Any


def history(box: Any) -> list[Any]:
    """Articles that get every verdict."""
    text, flood = box.stories["bridge"]["paragraphs"], box.stories["flood"]["paragraphs"]
    return [
        box.article(),
        box.article(url="https://herald.example/9", minutes=10, source="herald.example"),
        box.article(url="https://post.example/3", minutes=20, paragraphs=text[:4], source="post.example"),
        box.article(minutes=30, paragraphs=[*text, "The vote on the levy was put off."]),
        box.article(minutes=40),
        box.article("flood", url="https://post.example/4", minutes=50, paragraphs=flood[:4], source="post.example"),
        box.article("museum", url="https://post.example/5", minutes=55, source="post.example"),
    ]
