"""What aiokafka writes after `use_fast_lz4`: Kafka's lz4, at the fast level."""

from __future__ import annotations

import sys

import lz4.frame
import pytest
from aiokafka.producer.message_accumulator import BatchBuilder
from kafka.record import MemoryRecords

from newsmill.engines.faust_engine import compression

LZ4 = 3
HEADER_BYTES = 61

VALUES = [b"The harbour council met on Tuesday and put off its vote, note %d. " % i * 20 for i in range(50)]


def batch() -> bytes:
    builder = BatchBuilder(1_000_000, LZ4, is_transactional=False)
    for value in VALUES:
        builder.append(timestamp=1_700_000_000_000, key=b"k", value=value, headers=[("run", b"live")])
    return bytes(builder._build())


def test_a_batch_is_readable_and_compressed_at_the_fast_level() -> None:
    slow = batch()
    compression.use_fast_lz4()
    fast = batch()
    payload = fast[HEADER_BYTES:]
    assert payload == lz4.frame.compress(lz4.frame.decompress(payload), block_linked=False)
    assert lz4.frame.get_frame_info(payload)["block_linked"] is False
    assert lz4.frame.decompress(slow[HEADER_BYTES:]) == lz4.frame.decompress(payload)
    (read,) = [list(found) for found in iter(MemoryRecords(fast).next_batch, None)]
    assert [record.value for record in read] == VALUES
    assert read[0].headers == [("run", b"live")]


def test_another_aiokafka_is_left_alone(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(compression, "DefaultRecordBatchBuilder", type("Other", (), {"__module__": __name__}))
    compression.use_fast_lz4()
    assert "lz4 may be slow" in caplog.text
    assert not hasattr(sys.modules[__name__], "lz4_encode")
