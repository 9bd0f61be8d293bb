"""What a chaos run came to, for a person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tests.support.chaos.killer import SETTLED_SECONDS, Kill
from tests.support.chaos.supervisor import Slot
from tests.support.chaos.watch import Watch


def recoveries(kills: Sequence[Kill], watch: Watch) -> dict[str, list[float]]:
    """Return by stage the seconds from each kill until the stage committed again, where no other worker of the stage
    was there to go on and something was left to do."""
    found: dict[str, list[float]] = {}
    for kill in kills:
        if kill.alone:
            stage = kill.slot.rpartition("-")[0]
            if (moved := watch.moved_after(stage, kill.at + SETTLED_SECONDS)) is not None:
                found.setdefault(stage, []).append(moved - kill.at)
    return found


def table(slots: Sequence[Slot], kills: Sequence[Kill], watch: Watch) -> str:
    """Return a table: for each worker starts, kills, other exits, and the time to recover of its stage."""
    times = recoveries(kills, watch)
    killed = Counter(kill.slot for kill in kills)
    rows = [f"{'worker':<12}{'starts':>7}{'killed':>7}{'asked':>6}{'by itself':>10}{'recovery p50':>14}{'max':>7}"]
    for slot in slots:
        causes = Counter(exit.cause for exit in slot.exits)
        own = sorted(times.get(slot.stage, [])) if slot.instance == "0" else []
        p50, most = (f"{own[len(own) // 2]:.1f} s", f"{own[-1]:.1f} s") if own else ("", "")
        rows.append(
            f"{slot.name:<12}{slot.starts:>7}{killed[slot.name]:>7}{causes['asked']:>6}{causes['by itself']:>10}"
            f"{p50:>14}{most:>7}"
        )
    return "\n".join(rows)
