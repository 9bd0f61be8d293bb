"""Labelled articles of web pages of many outlets: training data beside the tuning articles, of other kinds of news.

The file of labels has lines of article id, tab, `medtop:` ids between commas, and no texts. An id is `page-` and the id
of a row of webpages.ndjson.gz (which `python -m workers.ingest.webpages` makes of saved pages), or `extraction-` and
the first 12 digits of a key of extraction/ground-truth.json (the article extraction benchmark). MODEL_CARD.md says
where both come from.
"""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any, Final

import orjson

from workers.classify.articles import GoldError, Labelled, up_to_level_2
from workers.classify.taxonomy import Taxonomy

PAGES: Final = "webpages.ndjson.gz"
EXTRACTION: Final = "extraction/ground-truth.json"
_KEY_DIGITS: Final = 12


def read_collected(labels: Path, data: Path, taxonomy: Taxonomy) -> list[Labelled]:
    """Return the articles in `labels`, in its order, with the texts that the folder `data` has for them.

    Raises GoldError when a file of texts is missing, a line has another form, an article is missing or a subject is
    unknown.
    """
    texts = _pages(_there(data / PAGES)) | _extraction(_there(data / EXTRACTION))
    found = []
    for number, line in enumerate(labels.read_text("utf-8").splitlines(), 1):
        try:
            id, subjects = line.split("\t")
            headline, body = texts[id]
            found.append(Labelled(id, headline, body, up_to_level_2(subjects.split(","), taxonomy)))
        except (KeyError, ValueError) as error:
            raise GoldError(f"{labels.name}, line {number}: {type(error).__name__}: {error}") from error
    return found


def _there(path: Path) -> Path:
    if not path.exists():
        raise GoldError(f"{path} is missing: workers/classify/MODEL_CARD.md, section Training data, says how to get it")
    return path


def _pages(path: Path) -> dict[str, tuple[str, str]]:
    texts = {}
    with gzip.open(path) as lines:
        for line in lines:
            page: dict[str, Any] = orjson.loads(line)
            texts[f"page-{page['id']}"] = (page["title"] or "", "\n".join(page["paragraphs"]))
    return texts


def _extraction(path: Path) -> dict[str, tuple[str, str]]:
    articles: dict[str, dict[str, str]] = orjson.loads(path.read_bytes())
    return {f"extraction-{key[:_KEY_DIGITS]}": ("", article["articleBody"]) for key, article in articles.items()}
