"""`newsmill settings`: every setting, its value here, its default and what it is for."""

from __future__ import annotations

import dataclasses
import os

import click

from newsmill.settings import PREFIX, Settings, from_environment


@click.command()
def command() -> None:
    """Print all settings: name, value, default and meaning. Secrets are masked."""
    values = from_environment(os.environ).shown()
    defaults = Settings().shown()
    for field in dataclasses.fields(Settings):
        value, default = values[field.name], defaults[field.name]
        changed = "" if value == default else f" (default: {default or 'empty'})"
        click.echo(f"{PREFIX}{field.name.upper()}={value}")
        click.echo(f"    {field.metadata['help']}{changed}")
