"""`newsmill trace`: why did this article disappear?"""

from __future__ import annotations

import dataclasses
import os
import sys
import time
from datetime import UTC, datetime

import click
import orjson
from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from newsmill.cli.options import span_option
from newsmill.settings import from_environment
from newsmill.trace import Step, Story, Wanted, search, stories


@click.command()
@click.argument("what", metavar="ID|URL")
@click.option("--since", callback=span_option, metavar="SPAN", help="Read what arrived since then: 30m, 12h, 7d.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each time that it was brought in.")
def command(what: str, since: float | None, as_json: bool) -> None:
    """Show an article's path through all topics: times, each stage's decision and evidence, or where it stopped.

    Give its id (32 hex digits) or its URL. Reads the topics of NEWSMILL_BOOTSTRAP, the partition of its id alone. Exit
    status: 0 found, 1 not found.
    """
    settings = from_environment(os.environ)
    try:
        wanted = Wanted.parse(what)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    console = Console(stderr=True)
    with console.status("reading ...") as status:
        found = search(
            settings,
            wanted,
            since_ms=None if since is None else int((time.time() - since) * 1000),
            on_progress=lambda topic, read: status.update(f"reading {topic}: {read:,} records"),
        )
    told = stories(found)
    if as_json:
        for story in told:
            sys.stdout.buffer.write(orjson.dumps(dataclasses.asdict(story)) + b"\n")
    else:
        for story in told:
            Console().print(tree(story))
    if found.cut:
        click.echo("there are more records than are shown; --since looks at the newest", err=True)
    if not told:
        click.echo(
            f"nothing about {what} (id {wanted.id}) on these topics: it was never fed, or retention has taken it",
            err=True,
        )
        sys.exit(1)


def tree(story: Story) -> Tree:
    """Return the story as a tree: one branch a step, its evidence below it."""
    run = "" if story.run == "live" else f", run {story.run}"
    top = Tree(Text(f"{story.origin}{run}: {story.outcome}", style="bold"))
    before: Step | None = None
    for step in story.steps:
        waited = "" if before is None else f" +{(step.at_ms - before.at_ms) / 1000:.2f} s"
        when = datetime.fromtimestamp(step.at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
        line = Text(f"{when}{waited}  ", style="dim")
        line.append(f"{step.stage or 'brought in'} {step.version}".rstrip(), style="cyan")
        line.append(f"  {_printable(step.text)}", style="default")
        branch = top.add(line)
        branch.add(Text(step.place, style="dim"))
        for detail in step.details:
            branch.add(Text(_printable(detail)))
        before = step
    return top


def _printable(text: str) -> str:
    # Control characters of a scraped text must not reach the terminal.
    return "".join(character if character.isprintable() else " " for character in text)
