"""What `newsmill run` shows: progress while it works, a table of articles, a closing summary."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import click
import orjson
from rich.console import Console
from rich.table import Table

from newsmill.cli.progress import Meter
from newsmill.engines.embedded import Progress as RunProgress
from newsmill.engines.embedded import RunSummary, Sink
from newsmill.engines.result import Output
from newsmill.feed import Input

_MOST_ROWS: Final = 200
_PLAIN_WIDTH: Final = 160
_MOST_NAMES: Final = 4
_MOST_SOURCES: Final = 20


class ProgressReport(Meter):
    """The progress of a run."""

    def __init__(self, inputs: Sequence[Input], *, quiet: bool) -> None:
        super().__init__(inputs, "running", quiet=quiet)

    def __call__(self, progress: RunProgress) -> None:
        """A batch is durable."""
        self.reached(progress.position)
        summary = progress.summary
        self.show(f"{summary.documents} documents, {sum(summary.dead_letters.values())} refused")


class ArticleTable(Sink):
    """Keeps the first articles, to show them as a table. `copies` is the sink for what counts their copies."""

    def __init__(self) -> None:
        self._articles: list[dict[str, Any]] = []
        self._more = 0
        self.copies = _Copies()

    def write(self, outputs: Sequence[Output]) -> None:
        """Keep what the table has room for."""
        for output in outputs:
            if len(self._articles) < _MOST_ROWS:
                self._articles.append(orjson.loads(output.value or b"{}"))
            else:
                self._more += 1

    def show(self) -> None:
        """Print the table on standard output."""
        console = Console(width=None if sys.stdout.isatty() else _PLAIN_WIDTH)
        table = Table(show_lines=False, header_style="bold", expand=True)
        table.add_column("headline", ratio=4)
        table.add_column("source", ratio=2)
        table.add_column("lang", width=4)
        table.add_column("subjects", ratio=2)
        table.add_column("people, organisations, places", ratio=4)
        table.add_column("copies", justify="right", width=6)
        for article in self._articles:
            headline = article.get("headline", "")
            if (revision := article.get("revision", 1)) > 1:
                headline += f" (revision {revision})"
            copies = self.copies.count[article.get("cluster_id", "")] if revision == 1 else 0
            table.add_row(
                _plain(headline),
                _plain(article.get("source", "")),
                article.get("language", ""),
                _plain(_subjects(article.get("subjects", {}))),
                _plain(_names(article.get("entities", {}).get("items", []))),
                str(copies or ""),
            )
        console.print(table)
        if self._more:
            console.print(f"... and {self._more} more")


class BrokenSources(Sink):
    """Follows news.source-health, to say which sources are broken at the end of a run."""

    def __init__(self) -> None:
        self._broken: dict[tuple[str, str], dict[str, Any]] = {}

    def write(self, outputs: Sequence[Output]) -> None:
        """Take what is told of sources."""
        for output in outputs:
            told = orjson.loads(output.value or b"{}")
            problem = (told.get("source", ""), told.get("problem", ""))
            self._broken.pop(problem, None)
            if told.get("status") == "broken":
                self._broken[problem] = told

    def show(self) -> None:
        """Print the sources that broke in this run and have not recovered, on standard error."""
        if self._broken:
            click.echo("    sources that broke (docs/operations.md#a-source-breaks):", err=True)
        for (source, problem), told in sorted(self._broken.items())[:_MOST_SOURCES]:
            click.echo(f"        {_visible(source)}: {problem.replace('_', ' ')} since {told.get('at', '')}", err=True)
        if len(self._broken) > _MOST_SOURCES:
            click.echo(f"        and {len(self._broken) - _MOST_SOURCES} more", err=True)


class _Copies(Sink):
    def __init__(self) -> None:
        self.count: Counter[str] = Counter()

    def write(self, outputs: Sequence[Output]) -> None:
        for output in outputs:
            self.count[orjson.loads(output.value or b"{}").get("cluster_id", "")] += 1


def show_summary(summary: RunSummary) -> None:
    """Print on standard error what the run came to: what each stage made of its input, and why records were refused."""
    stages: dict[str, list[str]] = {}
    for (stage, outcome), count in summary.outcomes.items():
        if outcome != "dead_letter":
            stages.setdefault(stage, []).append(f"{count} {outcome}")
    for (stage, reason), count in summary.dead_letters.items():
        stages.setdefault(stage, []).append(f"{count} refused: {reason}")
    rate = f", {summary.documents / summary.seconds:.1f} a second" if summary.seconds and not summary.resumed else ""
    click.echo(f"newsmill: {summary.documents} documents in {summary.seconds:.1f} s{rate}", err=True)
    for stage, parts in stages.items():
        click.echo(f"    {stage + ':':<10} {', '.join(parts)}", err=True)
    if summary.examples:
        click.echo("    first of those refused:", err=True)
    for example in summary.examples:
        click.echo(f"        {_visible(example.origin)}: {example.reason}: {_visible(example.detail)[:120]}", err=True)


def _subjects(subjects: dict[str, Any]) -> str:
    """Return the names of the subjects; where there are none, why."""
    names = [subject["name"] for subject in subjects.get("items", [])]
    return ", ".join(names) or subjects.get("status", "").replace("_", " ").replace("ok", "")


def _names(items: Sequence[dict[str, Any]]) -> str:
    shown: list[str] = []
    for kind in ("PER", "ORG", "LOC"):
        names = [item["name"] for item in items if item.get("type") == kind][:_MOST_NAMES]
        if names:
            shown.append(", ".join(names))
    return "; ".join(shown)


def _plain(text: str) -> str:
    """Return `text` without control characters and without what Rich would take for markup."""
    return _visible(text).replace("[", "\\[")


def _visible(text: str) -> str:
    """Return `text` without control characters."""
    return "".join(c if c.isprintable() else " " for c in text)
