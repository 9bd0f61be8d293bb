"""`newsmill dedup`: look into the decisions of dedup."""

from __future__ import annotations

import os
from pathlib import Path

import click

from newsmill import tail
from newsmill.cli.rebuild import rebuilt
from newsmill.errors import NewsmillError
from newsmill.feed import Document, FileSource, expand
from newsmill.settings import Settings, from_environment
from schemas.codec import InvalidMessage, decode
from schemas.messages import Article
from schemas.topics import ARTICLES, RAW


class NotFoundError(NewsmillError):
    """An article to explain is not to be had. The text says where it was looked for."""


@click.group()
def command() -> None:
    """Look into the decisions of dedup."""


@command.command()
@click.argument("first")
@click.argument("second")
def explain(first: str, second: str) -> None:
    """Say why SECOND is or is not a copy of FIRST.

    Each is a file (a raw document as a scraper sends it, a page, a text, or an article as JSON), or the URL or id of an
    article that news.articles still holds. Of a file with several documents, FILE:N is the one in line N (of an array,
    a web feed or WARC the Nth).
    """
    from workers.dedup import DedupOptions
    from workers.dedup.explain import explain as explain_articles
    from workers.dedup.explain import lines

    settings = from_environment(os.environ)
    files = {name: place for name in (first, second) if (place := _place(name)) is not None}
    wanted = [name for name in (first, second) if name not in files]
    held = _articles(settings, wanted) if wanted else {}
    pair = [held[name] if name in held else _from_file(*files[name]) for name in (first, second)]
    options = DedupOptions(
        similarity=settings.dedup_similarity,
        containment=settings.dedup_containment,
        evidence=settings.dedup_evidence,
    )
    for line in lines(explain_articles(pair[0], pair[1], options), options):
        click.echo(line)


@command.command()
@click.option("--state-dir", help="Where the workers' snapshots are.  [default: .newsmill]")
def rebuild(state_dir: str | None) -> None:
    """Rebuild the state of dedup when its log is of an older version.

    The workers of dedup must be stopped. Reads news.dedup-log and the articles that news.articles still holds, learns
    from them anew, and writes a snapshot for each partition, from which a worker started here goes on.
    """
    for partition, entries, anew, gone in rebuilt("dedup", state_dir):
        click.echo(
            f"partition {partition}: {entries} articles in the state, {anew} of them read anew, {gone} "
            "whose text is no longer kept (copies of these are not found)"
        )


def _articles(settings: Settings, wanted: list[str]) -> dict[str, Article]:
    """Return the latest articles with these URLs or ids; raise NotFoundError when there are none."""
    found: dict[str, Article] = {}
    for record in tail.records(settings, ARTICLES, from_beginning=True, follow=False, stopping=lambda: False):
        try:
            article = decode(record.value, Article)
        except InvalidMessage:
            continue
        for name in wanted:
            if name in (article.url, article.id):
                found[name] = article
    missing = [name for name in wanted if name not in found]
    if missing:
        raise NotFoundError(f"{missing[0]} is neither a file nor the URL or id of an article that {ARTICLES} holds")
    return found


def _place(name: str) -> tuple[str, int | None] | None:
    """Return the file that `name` is, and the number of a document in it; None for the URL or id of an article."""
    if Path(name).exists():
        return name, None
    path, _, number = name.rpartition(":")
    if number.isdecimal() and Path(path).exists():
        return path, int(number)
    if "/" in name and "://" not in name:
        raise NotFoundError(f"{name}: no such file")
    return None


def _from_file(name: str, number: int | None) -> Article:
    if Path(name).is_dir():
        raise NotFoundError(f"{name} is a directory: name a file, or a document of one (FILE:N)")
    source = FileSource(expand([name]), ingested_ms=0)
    found = [document for document in source.read({}) if number in (None, document.position.line)]
    if not found:
        raise NotFoundError(f"{name} is no document: empty" if number is None else f"{name} holds no document {number}")
    if len(found) > 1:
        raise NotFoundError(
            f"{name} holds {len(found):,} documents: say which, {name}:{found[0].position.line} to "
            f"{name}:{found[-1].position.line}"
        )
    return _article(found[0])


def _article(document: Document) -> Article:
    from workers import pipeline
    from workers.stage import Emit, Record, Reject

    name = document.origin
    if document.refused:
        raise NotFoundError(f"{name} is no document: {document.problem or f'{document.size:,} bytes'}")
    try:
        return decode(document.value, Article)
    except InvalidMessage:
        outcome = pipeline.load("ingest").process([Record(RAW, 0, 0, None, document.value, document.headers)])[0]
    if isinstance(outcome, Reject):
        raise NotFoundError(f"{name} is no document: {outcome.reason} {outcome.detail}".rstrip())
    if not isinstance(outcome, Emit):
        raise NotFoundError(f"{name} is no document")
    return decode(outcome.messages[0].value, Article)
