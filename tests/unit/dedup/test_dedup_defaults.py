"""The defaults of dedup are the same wherever they can be set."""

from __future__ import annotations

from newsmill.settings import Settings
from newsmill.worker import stage_options
from workers import pipeline
from workers.dedup import DedupOptions, DedupStage


def test_defaults_agree():
    for stage in (pipeline.load("dedup"), pipeline.load("dedup", stage_options(Settings()))):
        assert isinstance(stage, DedupStage)
        assert stage.options == DedupOptions(max_entries=2_000_000)
