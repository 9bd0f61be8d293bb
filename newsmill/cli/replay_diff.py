"""`newsmill replay diff RUN`: what a run says against what is live."""

from __future__ import annotations

import os

import click
import orjson

from newsmill.replay import diff
from newsmill.settings import from_environment


@click.command()
@click.argument("run")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def command(run: str, as_json: bool) -> None:
    """Compare the topics of RUN with the live ones, by origin: gained, lost, and which fields have changed.

    Versions of stages aside: a new version that says the same is no change.
    """
    found = diff.report(from_environment(os.environ), run)
    if as_json:
        click.echo(orjson.dumps(found.plain()))
        return
    for topic in diff.COMPARED:
        kinds = {kind: found.kinds[topic, kind] for kind in ("gained", "lost", "changed")}
        if not any(kinds.values()) and not found.same[topic]:
            continue
        click.echo(
            f"{topic}: {found.same[topic]:,} the same, " + ", ".join(f"{n:,} {kind}" for kind, n in kinds.items())
        )
        for (where, name), count in sorted(found.fields.items()):
            if where == topic:
                click.echo(f"    {name}: {count:,}")
    for (live, own), count in sorted(found.verdicts.items()):
        click.echo(f"verdict {live} -> {own}: {count:,}")
    for (kind, reason), count in sorted(found.reasons.items()):
        click.echo(f"dead letters {kind}, {reason}: {count:,}")
    for (topic, kind), samples in found.samples.items():
        for one in samples:
            fields = f" ({', '.join(one.fields)})" if one.fields else ""
            click.echo(f"  {topic} {kind}{fields}: {_printable(one.origin)}")


def _printable(text: str) -> str:
    # Whoever feeds documents chooses their origin: its control characters must not reach the terminal.
    return "".join(character if character.isprintable() else " " for character in text)
