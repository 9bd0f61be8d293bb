"""The embedded engine: all stages chained in one process, no broker.

engine = EmbeddedEngine(stages, source, {topics.CLASSIFIED: [FileSink(path, value_line)]}, state_dir=path)
summary = engine.run()
"""

from newsmill.engines.embedded.checkpoint import Checkpoint, interrupted
from newsmill.engines.embedded.engine import EmbeddedEngine, Progress
from newsmill.engines.embedded.errors import EngineError, StateError
from newsmill.engines.embedded.pool import StagePool
from newsmill.engines.embedded.sink import FileSink, ListSink, PackedSink, Sink, StreamSink
from newsmill.engines.embedded.summary import DeadLetterExample, RunSummary
from newsmill.engines.lines import dead_letter_line, value_line

__all__ = [
    "Checkpoint",
    "DeadLetterExample",
    "EmbeddedEngine",
    "EngineError",
    "FileSink",
    "ListSink",
    "PackedSink",
    "Progress",
    "RunSummary",
    "Sink",
    "StagePool",
    "StateError",
    "StreamSink",
    "dead_letter_line",
    "interrupted",
    "value_line",
]
