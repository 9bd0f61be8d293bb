"""`newsmill explain`: what ingest makes of a document, with what it removes struck out and the reason beside it; and
what the article is about, with the words and sentences that say so."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from typing import Final

import click
from rich.console import Console
from rich.text import Text

from newsmill.feed import FORMATS, Document, FileSource, expand
from newsmill.settings import from_environment
from newsmill.worker import stage_options
from schemas import topics
from workers import classify, ingest
from workers.classify.explain import explain_subjects
from workers.ingest.draft import Draft
from workers.ingest.language import FastTextIdentifier, identify
from workers.ingest.text import RECURS
from workers.stage import Record, Reject

_COLOURS: Final = {
    "ad": "yellow",
    "promotion": "yellow",
    "teaser": "magenta",
    "related": "magenta",
    "comment": "blue",
    "caption": "cyan",
    "byline": "green",
    "date": "green",
    "repeat": "red",
    "headline_again": "red",
    RECURS: "red",
}
"""Colour of a reason; others are grey."""


@click.command()
@click.argument("files", nargs=-1, required=True)
@click.option("--format", type=click.Choice(FORMATS), help="Format of the input, where suffix or content mislead.")
@click.option("--colour/--no-colour", default=None, help="Default: colours on a terminal alone.")
@click.option("--kept", is_flag=True, help="Without what is removed.")
@click.option("--subjects", is_flag=True, help="With the subjects, and what speaks for each.")
def command(files: tuple[str, ...], format: str | None, colour: bool | None, kept: bool, subjects: bool) -> None:
    """Show what ingest keeps of the documents in FILES (`-`: standard input).

    FILES are one stream: a line that many documents of one source have goes from those that come after. Lines that go
    are struck out, with the reason behind them; off a terminal they begin with `- [reason]`. Of an HTML page only what
    the extractor found is shown, not all that is on the page.

    Exit status: 0, or 1 when a document was refused.
    """
    console = Console(force_terminal=colour, no_color=colour is False, highlight=False, soft_wrap=True)
    options = stage_options(from_environment(os.environ))
    stage = ingest.load(outlets=options.ingest_outlets)
    classifier = classify.load(options.classify_rules) if subjects else None
    languages = FastTextIdentifier()
    refused = False
    source = FileSource(expand(files, format), ingested_ms=time.time_ns() // 1_000_000, stdin=None)
    for number, document in enumerate(source.read({})):
        if number:
            console.print()
        prepared = stage.settle(_record(document, number))
        stage.commit()
        if isinstance(prepared, Reject):
            refused = True
            console.print(Text.assemble(("refused ", "bold red"), f"{prepared.reason}: {prepared.detail}"))
            continue
        for line in _lines(prepared, struck=console.is_terminal, kept=kept):
            console.print(line)
        if classifier is not None:
            for line in _subjects(classifier, languages, prepared):
                console.print(line)
    sys.exit(1 if refused else 0)


def _record(document: Document, number: int) -> Record:
    return Record(topics.RAW, 0, number, None, document.value, document.headers)


def _lines(draft: Draft, *, struck: bool, kept: bool) -> Iterator[Text]:
    yield Text(draft.headline, style="bold")
    about = [draft.source, *draft.authors]
    if outlet := draft.outlet:
        about[0] += f" (line {outlet.line} of the outlets: {outlet.place})"
    if draft.published:
        published = draft.published
        about.append(f"{published.at.isoformat()} ({published.origin}, {published.confidence:.2f})")
    yield Text(" · ".join(about), style="dim")
    yield Text()
    rows = [(number, Text(text)) for number, text in zip(draft.numbers, draft.paragraphs, strict=True)]
    if not kept:
        rows += [(cut.line, _removed(cut.text, cut.reason, struck)) for cut in draft.removed]
    for _number, row in sorted(rows, key=lambda pair: pair[0]):
        yield row


def _subjects(stage: classify.ClassifyStage, languages: FastTextIdentifier, draft: Draft) -> Iterator[Text]:
    """Yield for each subject its probability, name and id, the terms that speak for it, and the strongest sentence."""
    body = "\n\n".join(draft.paragraphs)
    language = identify(languages, f"{draft.headline}\n{body}", draft.declared_language).code
    reasons = explain_subjects(stage, draft.headline, body, language)
    found = stage.subjects(draft.headline, body, language)
    yield Text()
    for custom in found.custom:
        yield Text.assemble((custom.name, "bold"), (f"  {custom.id}", "dim"))
    if not reasons:
        status = found.status
        yield Text(f"no subject: {status.replace('_', ' ')} (language {language})", style="dim")
    for reason in reasons:
        indent = "  " * reason.level
        yield Text.assemble(
            f"{indent}{reason.probability:.2f} ", (reason.name, "bold"), (f"  {reason.id}", "dim"),
        )  # fmt: skip
        if reason.terms:
            yield Text(f"{indent}     {', '.join(term.text for term in reason.terms)}", style="dim")
        if reason.sentences:
            yield Text(f"{indent}     “{reason.sentences[0].text}”", style="dim italic")


def _removed(text: str, reason: str, struck: bool) -> Text:
    colour = _COLOURS.get(reason, "bright_black")
    if not struck:
        return Text(f"- [{reason}] {text}")
    return Text.assemble((text, f"strike {colour}"), (f"  {reason}", f"bold {colour}"))
