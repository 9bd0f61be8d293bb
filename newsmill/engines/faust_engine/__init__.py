"""The faust engine: a stage as a faust-streaming app, at least once.

Called `faust_engine`, so that `import faust` always means the library.
"""

from newsmill.engines.faust_engine.engine import FaustEngine

__all__ = ["FaustEngine"]
