"""Programs that outlive the command that started them, remembered in a file such that no other is ever taken for them.

A process id alone is not enough: ids are used again. So the file also holds when the process started, and a process
counts as the recorded one only if both agree.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import orjson

_HAS_PROC = Path("/proc/self/stat").exists()
_POLL_SECONDS = 0.05


def started(pid: int) -> str | None:
    """Return a text that tells process `pid` from any other that had or will have its id; None if it does not run.

    On Linux it is the boot's id and the start time in clock ticks since boot (proc(5), field 22); elsewhere what `ps`
    says of the start. A process that has ended but was not yet collected by its parent does not run.
    """
    return _started_from_proc(pid) if _HAS_PROC else _started_from_ps(pid)


def _started_from_proc(pid: int) -> str | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The program's name, in brackets, may hold spaces and brackets itself.
    fields = stat[stat.rindex(")") + 2 :].split()
    if fields[0] in "ZX" and _only_thread(pid):
        return None
    return f"{boot}/{fields[19]}"


def _only_thread(pid: int) -> bool:
    # The first thread of a program can be gone while others still end, and hold the program's ports.
    try:
        return len(os.listdir(f"/proc/{pid}/task")) <= 1
    except (FileNotFoundError, ProcessLookupError):
        return True


def _started_from_ps(pid: int) -> str | None:
    answer = subprocess.run(
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False, env={"LC_ALL": "C"}
    )
    state, _, start = answer.stdout.strip().partition(" ")
    return start.strip() if start and not state.startswith("Z") else None


def record(path: Path, pid: int) -> None:
    """Remember the running process `pid` in `path` (JSON, mode 0600), replacing what was there in one step."""
    scratch = path.with_name(path.name + ".new")
    scratch.write_bytes(orjson.dumps({"pid": pid, "started": started(pid)}))
    scratch.chmod(0o600)
    scratch.replace(path)


def recorded(path: Path) -> int | None:
    """Return the id of the process remembered in `path` if that very process still runs, else None.

    A missing or damaged file, a process that has ended, and an id that is another's by now all give None.
    """
    try:
        content = orjson.loads(path.read_bytes())
    except (FileNotFoundError, orjson.JSONDecodeError):
        return None
    if not isinstance(content, dict):
        return None
    pid, start = content.get("pid"), content.get("started")
    # 0 and negative numbers would address groups of processes.
    if not isinstance(pid, int) or pid <= 0 or not isinstance(start, str):
        return None
    return pid if started(pid) == start else None


def wait_gone(path: Path, seconds: float) -> bool:
    """Wait until the process remembered in `path` no longer runs; False if it still does after `seconds`."""
    until = time.monotonic() + seconds
    while recorded(path) is not None:
        if time.monotonic() >= until:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def stop(path: Path, seconds: float) -> bool:
    """Stop the process remembered in `path`: SIGTERM, then SIGKILL after `seconds`. False if it wasn't running.

    The file is removed. A process that is not the recorded one is left alone.
    """
    pid = recorded(path)
    if pid is not None:
        _send(pid, signal.SIGTERM)
        if not wait_gone(path, seconds) and (still := recorded(path)) is not None:
            _send(still, signal.SIGKILL)
            wait_gone(path, seconds)
    path.unlink(missing_ok=True)
    return pid is not None


def _send(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
