"""Play a deed: do it, wait for what must warn, put it right, wait until nothing warns any more."""

from __future__ import annotations

import time
from dataclasses import dataclass

from tests.support.gameday.alerts import Firing
from tests.support.gameday.day import Day
from tests.support.gameday.deeds import Deed
from tests.support.gameday.panels import biggest_change, figure, linked, show, turned

RESOLVED_SECONDS = 3 * 3600.0
"""Longest until nothing fires any more, of production time: windows of an hour must pass."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What came of a deed. Times are seconds since the Unix epoch."""

    deed: Deed
    done: float
    undone: float
    over: float
    fired: tuple[Firing, ...]
    missing: tuple[str, ...]
    shown: dict[str, str]
    """By alert: what the panel that it leads to showed, before and when it fired."""
    turned: tuple[str, ...]
    """Figures of the overview that changed colour until the deed was put right."""


def quiet(day: Day, named: tuple[str, ...] = ()) -> None:
    """Wait until nothing fires; with `named`, none of these."""
    day.until(
        lambda: not [found for found in day.alerts.firing() if not named or found.name in named],
        "nothing fires",
        RESOLVED_SECONDS / day.speed + 60,
    )


def play(day: Day, deed: Deed, named: tuple[str, ...] = ()) -> Scene:
    """Play `deed`; with `named` look at these alerts alone. Fails when what it has set off does not end."""
    quiet(day, named)
    day.stay(60)
    done = time.time()
    undo = deed.do(day)
    limit = done + deed.seconds / day.speed + 5

    def missing() -> set[str]:
        return set(deed.expected) - {found.name for found in day.alerts.fired(done)}

    day.until(lambda: (deed.expected and not missing()) or time.time() > limit, "it is time", deed.seconds + 60)
    day.stay(deed.linger)
    undone = time.time()
    not_fired = tuple(sorted(missing()))
    undo()
    quiet(day, named)
    fired = tuple(found for found in day.alerts.fired(done) if not named or found.name in named)
    return Scene(
        deed,
        done,
        undone,
        time.time(),
        fired,
        not_fired,
        {found.name: _shown(day, found, done) for found in fired},
        tuple(turned(day.server, done, undone, day.speed)),
    )


def _shown(day: Day, found: Firing, done: float) -> str:
    panel, variables = linked({"annotations": found.annotations})
    before, after = (show(day.server, panel, at, day.speed, variables) for at in (done, found.since))
    legend, then, now = biggest_change(before, after)
    name = f"{panel.title}, {legend}" if legend else panel.title
    return f"{name}: {figure(then, panel.unit)} -> {figure(now, panel.unit)}"


def table(scenes: list[Scene], speed: float) -> str:
    """Return the scenes as a table in Markdown. Times are measured ones; in brackets what they are in production at
    most."""
    lines = [
        "| what is done | alert | fires after | its panel, before and then | figures of the overview that turn | what "
        "puts it right | nothing fires after |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for scene in scenes:
        # Of several partitions or workers that warn alike, the first one.
        alerts = list({found.name: found for found in reversed(scene.fired)}.values())[::-1]
        rows = [
            (
                f"{found.name.removeprefix('Newsmill')} ({found.labels['severity']})",
                span(found.since - scene.done, speed),
                scene.shown[found.name],
            )
            for found in alerts
        ] + [(f"**{name.removeprefix('Newsmill')} does not fire**", "-", "-") for name in scene.missing]
        for number, row in enumerate(rows or [("none, and none should", "-", "-")]):
            first = not number
            about = scene.deed.name if first else ""
            colours = "; ".join(scene.turned) or "none" if first else ""
            end = (scene.deed.remedy, span(scene.over - scene.undone, speed)) if first else ("", "")
            lines.append(f"| {' | '.join((about, *row, colours, *end))} |")
    return "\n".join(lines)


def span(seconds: float, speed: float) -> str:
    """Return a length of time, and in brackets what it is in production at most.

    >>> span(12.4, 10)
    '12 s (2.1 min)'
    """
    if speed == 1:
        return f"{seconds:.0f} s"
    return f"{seconds:.0f} s ({seconds * speed / 60:.1f} min)"
