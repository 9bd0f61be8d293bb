"""A run that writes files instead of topics, each record exactly once.

Positions, state and the lengths of all files stand in one checkpoint of a state directory, as those of the embedded
engine do. What is under way is hidden beside where it will be (`.<name>.<run>.part`), and gets its name when the run is
complete. On news.replays stands who began it, the frozen range, and how far it is; the offsets that count are those of
the state directory.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Final, Literal

from newsmill.engines.embedded import Checkpoint, FileSink, PackedSink, StateError, dead_letter_line, value_line
from newsmill.engines.embedded import checkpoint as checkpoints
from newsmill.engines.embedded.errors import InUseError, storage_error
from newsmill.engines.embedded.state import State as StateDirectory
from newsmill.engines.result import Output
from newsmill.files import sync_directory
from newsmill.replay.errors import ReplayError
from newsmill.replay.fused import State, Target
from newsmill.replay.journal import Work
from newsmill.replay.session import Session
from newsmill.settings import Settings
from schemas import headers as h
from schemas import topics
from workers.stage import Stage, StatefulStage, StateVersionError

Form = Literal["ndjson", "parquet"]

SUFFIXES: Final[dict[str, Form]] = {
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".parquet": "parquet",
    ".pq": "parquet",
}

NOTE_SECONDS: Final = 5.0
"""How often news.replays is told how far a run into files is."""

_PART: Final = "part"


@dataclass(frozen=True, slots=True)
class Files:
    """Which topics are written, each to which file (an absolute path), in which form."""

    form: Form
    paths: Mapping[str, Path]

    def part(self, topic: str, run: str) -> Path:
        """Return the file in which the records of `topic` are while `run` is under way."""
        path = self.paths[topic]
        return path.with_name(f".{path.name}.{run}.{_PART}")


def choose(into: str, form: Form | None, only: Sequence[str], stages: Sequence[Stage]) -> Files:
    """Return what `--into`, `--as` and `--only` mean for a run through `stages`.

    A name that ends in a known suffix is a file and takes one topic, the last one if none is named; anything else is a
    directory. Raises ReplayError.
    """
    written = [*dict.fromkeys(topic for stage in stages for topic in stage.sinks), topics.DEAD_LETTERS]
    if unknown := [topic for topic in only if topic not in written]:
        raise ReplayError(f"these stages write no {unknown[0]}; --only is one of {', '.join(written)}")
    path = Path(os.path.abspath(into))
    suffix = path.suffix.lower()
    if into.endswith(os.sep) or path.is_dir() or not suffix:
        chosen: Form = form or "ndjson"
        wanted = [topic for topic in written if topic in only] if only else written
        return Files(chosen, {topic: path / f"{topic}.{chosen}" for topic in wanted})
    if suffix not in SUFFIXES:
        raise ReplayError(f"--into {into}: a file ends in {', '.join(SUFFIXES)}; a directory in {os.sep}")
    if form not in (None, SUFFIXES[suffix]):
        raise ReplayError(f"--into {into} is {SUFFIXES[suffix]}, and --as says {form}")
    if len(only) > 1:
        raise ReplayError(f"--into {into} is one file, which takes one topic; name a directory for several")
    last = next(topic for topic in stages[-1].sinks if topic != topics.DUPLICATES)
    return Files(SUFFIXES[suffix], {only[0] if only else last: path})


class FileTarget(Target):
    """Writes into files, a batch and its checkpoint all or nothing. Close it in any case.

    The state directory is locked from here on: one process at a time works on a run into files.

    Args:
        settings: where the state directory is.
        run: name of the run.
        files: what is written.
        stages: those of the run.
        on_step: called between the steps of a batch and of the end (`written`, `synced`, `checkpointed`, `ended`,
            `named`, `told`). Tests use it to die there.

    Raises ReplayError when another process works on the run, or a file is there already that a new run would write.
    """

    def __init__(
        self,
        settings: Settings,
        run: str,
        files: Files,
        stages: Sequence[Stage],
        on_step: Callable[[str], None] = lambda step: None,
    ) -> None:
        self._on_step = on_step
        self._directory = directory_of(settings, run)
        self._run = run
        self._files = files
        self._logs = [stage.log_topic for stage in stages if isinstance(stage, StatefulStage)]
        self._sinks = {topic: _sink(files, topic, run) for topic in files.paths}
        self._versions = {stage.name: stage.version for stage in stages}
        self._session: Session | None = None
        self._identity: dict[str, str] = {}
        self._noted = 0.0
        if not Path(self._directory, checkpoints.FILE).exists():
            self._refuse_existing()  # before anybody is told that there is a run
        with self._explained():
            self._state = StateDirectory(self._directory, self._logs)
        self.before: Checkpoint | None = self._state.checkpoint
        """How far an earlier process has come."""

    def begin(self, session: Session, work: Work, state: State) -> None:
        """Take up the run of `session`, which has begun, where the state directory says that it is; a new one with
        `state`.

        Raises ReplayError where state directory and news.replays do not go together.
        """
        self._session = session
        self._identity = {"run": self._run, "started": work.started.at.isoformat(), "by": work.started.who}
        if self.before is None and work.counts:
            raise ReplayError(
                f"{self._directory} does not hold what is known of {self._run}: go on where it was begun "
                f"({work.started.who}), with the same NEWSMILL_STATE_DIR, or drop the run to begin anew"
            )
        if self.before is not None and self.before.options != self._identity:
            raise ReplayError(
                f"{self._directory} is of another run that was called {self._run}, too. Choose another name with "
                "--run, or remove the directory"
            )
        with self._explained():
            if self.before is None or not self.before.finished:
                for sink in self._sinks.values():
                    sink.open(self.before.outputs.get(str(sink.path), 0) if self.before else 0)
        if self.before is None:
            self._save({}, {}, state)

    @property
    def finished(self) -> bool:
        """Whether an earlier process has written everything, and perhaps not yet given the files their names."""
        return self.before is not None and self.before.finished

    @property
    def state(self) -> State | None:
        """State of the last batch of an earlier process; None where there was none."""
        return State.load(self.before.replay) if self.before is not None else None

    @property
    def positions(self) -> dict[str, int]:
        """Positions of the input behind the last batch."""
        return self.before.totals.get("positions", {}) if self.before is not None else {}

    @property
    def counts(self) -> dict[str, int]:
        """Counts of the run up to the last batch."""
        return self.before.totals.get("counts", {}) if self.before is not None else {}

    def own_log(self, stage: StatefulStage) -> None:
        """Fold what the run has logged so far into `stage`. Raises ReplayError."""
        with self._explained():
            for partition, entries in groupby(self._state.log(stage.log_topic), lambda entry: entry.partition):
                try:
                    stage.restore(partition, entries)
                except StateVersionError as error:
                    raise ReplayError(f"what the run has logged can't be read by this version: {error}") from error

    def write(
        self, outputs: Sequence[Output], positions: Mapping[str, int], counts: Mapping[str, int], state: State
    ) -> None:
        """Raises ReplayError, EngineError, FencedError, TransactionError."""
        by_topic: dict[str, list[Output]] = defaultdict(list)
        for output in outputs:
            by_topic[output.topic].append(output)
        with self._explained():
            for topic, sink in self._sinks.items():
                sink.write(by_topic[topic])
            logs = {topic: by_topic[topic] for topic in self._logs}
            first = {topic: state.offsets.get(topic, 0) - len(entries) for topic, entries in logs.items()}
            self._state.append(logs, first, ())
            self._on_step("written")
            for sink in self._sinks.values():
                sink.sync()
            self._state.sync()
            self._on_step("synced")
            self._save(positions, counts, state)
        self._on_step("checkpointed")
        if self._session is None:
            return
        self._session.measure(outputs, positions, counts)
        # That a process begins is nothing to tell yet.
        if counts and time.monotonic() - self._noted > NOTE_SECONDS:
            self._session.checkpoint([], positions, counts, state=state.dump())
            self._noted = time.monotonic()

    def finish(self, counts: Mapping[str, int]) -> None:
        """Give the files their names. Raises as `write` does."""
        with self._explained():
            if not self.finished:
                self._refuse_existing()
                self._save({}, counts, State(), finished=True)
            self._on_step("ended")
            for sink in self._sinks.values():
                sink.close()
            for topic, path in self._files.paths.items():
                self._complete(topic, self._files.part(topic, self._run), path)
                self._on_step("named")
            self._save({}, counts, State(), finished=True, complete=True)
            for log in self._directory.glob("*.log"):
                log.unlink()
        if self._session is not None:
            self._session.finish(counts)
        self._on_step("told")

    def close(self) -> None:
        """Close all files, and let another process work on the run."""
        for sink in self._sinks.values():
            sink.close()
        self._state.close()

    def _complete(self, topic: str, part: Path, path: Path) -> None:
        try:
            if part.exists():
                if self._files.form == "parquet":
                    from newsmill.parquet import write_file  # an extra that other runs do without

                    write_file(part, path, topic)
                    part.unlink()
                else:
                    os.replace(part, path)
                sync_directory(path.parent)
            elif not path.exists():
                raise ReplayError(f"neither {part} nor {path} is there: drop the run, and begin anew")
        except OSError as error:
            raise storage_error(path, error) from error

    def _refuse_existing(self) -> None:
        for path in self._files.paths.values():
            if path.exists():
                raise ReplayError(f"{path} is there already. Move it away, or name another one with --into")

    def _save(
        self,
        positions: Mapping[str, int],
        counts: Mapping[str, int],
        state: State,
        *,
        finished: bool = False,
        complete: bool = False,
    ) -> None:
        outputs = {str(sink.path): sink.length for sink in self._sinks.values()}
        if complete:
            outputs = {str(path): path.stat().st_size for path in self._files.paths.values()}
        Checkpoint(
            finished=finished,
            ingested_ms=0,
            stages=self._versions,
            options=self._identity,
            logs={} if complete else self._state.lengths,
            outputs=outputs,
            totals={"positions": dict(positions), "counts": dict(counts)},
            replay=state.dump(),
        ).save(self._directory)

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Say what to do about a state directory in the words of a replay."""
        try:
            yield
        except InUseError as error:
            raise ReplayError(
                f"another process works on {self._run}. Wait for it, or stop it: the same command then goes on"
            ) from error
        except StateError as error:
            raise ReplayError(f"{error.what}. Drop the run {self._run}, and begin anew") from error


def _sink(files: Files, topic: str, run: str) -> FileSink:
    path = files.part(topic, run)
    if files.form == "parquet":
        return PackedSink(path)
    return FileSink(path, _dead_letter if topic == topics.DEAD_LETTERS else value_line)


def _dead_letter(output: Output) -> bytes:
    # The same records come to the same file, whatever the run is called.
    return dead_letter_line(replace(output, headers=tuple(one for one in output.headers if one[0] != h.RUN)))


def directory_of(settings: Settings, run: str) -> Path:
    """Return the state directory of a run into files."""
    return settings.path("replay", run)


def written_by(settings: Settings, run: str) -> tuple[list[Path], bool]:
    """Return the files that a run has written here, and whether they are complete: else they are hidden parts.

    Nothing where the state directory is elsewhere, or damaged.
    """
    try:
        found = checkpoints.load(directory_of(settings, run))
    except StateError:
        found = None
    if found is None:
        return [], False
    paths = [Path(path) for path in found.outputs]
    # A process that died while it made a Parquet file has left a beginning of it.
    begun = [path.with_name(f"{path.name}.tmp") for path in paths if path.suffix == f".{_PART}"]
    return [path for path in (*paths, *begun) if path.exists()], not begun
