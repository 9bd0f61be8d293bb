"""What is wrong in a picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from newsmill.status.picture import GatewayLine, Picture, StageLine

LATE_SECONDS: Final = 300.0
"""A stage that is this far behind is a problem."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong. `runbook` is the heading in docs/operations.md that says what to do."""

    stage: str
    text: str
    runbook: str


def problems(picture: Picture, before: Picture | None = None, *, late_seconds: float = LATE_SECONDS) -> list[Problem]:
    """Return what is wrong; `before` is an earlier picture, against which partitions that stand still are seen."""
    found = [
        Problem("", f"{url} does not answer: {why}", "a-worker-does-not-answer") for url, why in picture.silent.items()
    ]
    for gateway in picture.gateways:
        found += _of_gateway(gateway)
    for line in picture.stages:
        found += _of_stage(line, late_seconds)
    if before is not None:
        found += _stuck(before, picture)
    return found


def _of_gateway(line: GatewayLine) -> list[Problem]:
    url, refused = line.scrape.url, line.refused[0]
    if not line.scrape.ready:
        return [Problem("gateway", f"{url}/readyz fails and says why", "the-gateway-turns-senders-away")]
    if refused:
        text = f"{url} refuses {refused:,.1f} requests a second for no fault of theirs"
        return [Problem("gateway", text, "the-gateway-turns-senders-away")]
    return []


def stuck_partitions(before: Picture, now: Picture) -> set[tuple[str, int]]:
    """Return (stage, partition) of those that wait in both pictures and have not moved between them."""
    earlier = {
        (line.name, partition.number): partition
        for line in before.stages
        if line.group is not None
        for partition in line.group.partitions
    }
    return {
        (line.name, partition.number)
        for line in now.stages
        if line.group is not None
        for partition in line.group.partitions
        if (then := earlier.get((line.name, partition.number))) is not None
        and partition.committed == then.committed
        and then.end > (then.committed or 0)
        and partition.end > then.end
    }


def _stuck(before: Picture, now: Picture) -> list[Problem]:
    seconds = now.at - before.at
    return [
        Problem(stage, f"partition {number} has not moved for {seconds:.0f} s while its input grows", "nothing-moves")
        for stage, number in sorted(stuck_partitions(before, now))
    ]


def _of_stage(line: StageLine, late_seconds: float) -> list[Problem]:
    found = []
    if line.group is None or not line.group.partitions:
        return [Problem(line.name, "its topic does not exist: `newsmill topics create`", "set-up")]
    waiting = sum(partition.lag or 0 for partition in line.group.partitions)
    unread = any(partition.committed is None and partition.end for partition in line.group.partitions)
    if not line.group.members:
        if waiting or unread:
            found.append(Problem(line.name, "no worker runs, and input waits", "a-worker-does-not-answer"))
    elif orphans := [p.number for p in line.group.partitions if p.member is None and line.group.state == "Stable"]:
        text = f"nobody has partition {', '.join(map(str, orphans))}"
        found.append(Problem(line.name, text, "rebalances-without-end"))
    for worker in line.workers:
        if not worker.healthy:
            found.append(
                Problem(line.name, f"{worker.url}/healthz fails: input waits and nothing moves", "nothing-moves")
            )
        elif not worker.ready:
            found.append(Problem(line.name, f"{worker.url}/readyz fails and says why", "a-worker-is-not-ready"))
        if worker.lag_seconds > late_seconds:
            text = f"{worker.url} is {worker.lag_seconds:.0f} s behind"
            found.append(Problem(line.name, text, "lag-grows"))
    return found
