from __future__ import annotations

import hashlib
import struct
from datetime import timedelta

import pytest

from workers.dedup import DedupOptions, DedupStage
from workers.dedup.snapshot import MAGIC
from workers.stage import StateVersionError


@pytest.fixture
def filled(bench, box):
    """A stage with a bit of everything in its state."""
    text = box.stories["bridge"]["paragraphs"]
    bench.feed(
        box.article(),
        box.article(url="https://b.example/1", minutes=1),
        box.article(url="https://c.example/1", minutes=2, paragraphs=text[:4]),
        box.article(minutes=3, headline="New"),
        box.article("flood", url="https://d.example/1", minutes=4),
        box.article("flood", url="https://d.example/1", minutes=5),
    )
    return bench


def seal(data: bytes) -> bytes:
    """`data` with a valid checksum in place of its own."""
    return data[:-16] + hashlib.blake2b(data[:-16], digest_size=16).digest()


def test_round_trip_goes_on_as_if_nothing_had_happened(filled, box):
    data = filled.stage.snapshot(0)
    assert data == filled.stage.snapshot(0)
    other = DedupStage()
    other.load_snapshot(0, data)
    assert other.snapshot(0) == data
    assert other.state_size()[0] == filled.stage.state_size()[0]
    text = box.stories["flood"]["paragraphs"]
    articles = [
        box.article("strike", url="https://e.example/1", minutes=6),
        box.article(url="https://f.example/1", minutes=7),
        box.article("flood", url="https://g.example/1", minutes=8, paragraphs=text[:3]),
        box.article(minutes=9),
    ]
    batch = [filled.record(article) for article in articles]
    assert other.process(batch) == filled.stage.process(batch)
    for stage in (other, filled.stage):
        stage.commit()
    assert other.snapshot(0) == filled.stage.snapshot(0)


def test_an_empty_state_has_a_snapshot(box):
    stage = DedupStage()
    other = box.Bench()
    other.feed(box.article())
    other.stage.load_snapshot(0, stage.snapshot(0))
    assert other.stage.state_size()[0] == 0
    assert other.stage.snapshot(0) == stage.snapshot(0)


def refused(data: bytes, box) -> str:
    """The reason why `data` is refused; checks that the state is left alone."""
    bench = box.Bench()
    bench.feed(box.article("museum"))
    before = bench.stage.snapshot(0)
    with pytest.raises(StateVersionError) as error:
        bench.stage.load_snapshot(0, data)
    assert bench.stage.snapshot(0) == before
    return str(error.value)


def test_torn_anywhere(filled):
    data = filled.stage.snapshot(0)
    stage = DedupStage()
    for end in range(len(data)):
        with pytest.raises(StateVersionError):
            stage.load_snapshot(0, data[:end])
    assert stage.state_size() == (0, 0)


def test_a_flipped_bit_anywhere(filled, box):
    data = filled.stage.snapshot(0)
    for at in range(0, len(data), 53):
        assert refused(data[:at] + bytes([data[at] ^ 16]) + data[at + 1 :], box)


def test_sealed_but_torn_or_padded(filled, box):
    """A valid checksum over a wrong length: nothing is believed because of the checksum alone."""
    data = filled.stage.snapshot(0)
    for wrong in (data[:-1000] + data[-16:], data[:-16] + b"\0" * 40 + data[-16:]):
        assert "columns" in refused(seal(wrong), box)


@pytest.mark.parametrize("data", [b"", b"\x80\x04.", b"{}" * 40, MAGIC, MAGIC + b"\xff" * 40])
def test_foreign_bytes(data, box):
    assert refused(data, box)


def test_a_header_that_is_none(box):
    body = MAGIC + struct.pack("<I", 3) + b"abc"
    assert "header" in refused(seal(body + b"\0" * 16), box)


def test_another_stage_version(filled, box, monkeypatch):
    monkeypatch.setattr(DedupStage, "version", "0.9.0")
    data = filled.stage.snapshot(0)
    monkeypatch.undo()
    reason = refused(data, box)
    assert "0.9.0" in reason
    assert DedupStage.version in reason


@pytest.mark.parametrize("options", [{"window": timedelta(days=3)}, {"max_entries": 7}])
def test_options_on_which_the_fold_depends(filled, options):
    with pytest.raises(StateVersionError, match="options"):
        DedupStage(DedupOptions(**options)).load_snapshot(0, filled.stage.snapshot(0))


def test_thresholds_do_not_matter_to_the_fold(filled):
    data = filled.stage.snapshot(0)
    other = DedupStage(DedupOptions(containment=0.7, forward_copies=True))
    other.load_snapshot(0, data)
    assert other.snapshot(0) == data
