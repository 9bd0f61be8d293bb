"""Writes output records, and returns when the broker has confirmed every one of them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import ClassVar

from aiokafka.errors import KafkaError

from newsmill import clients
from newsmill.engines.faust_engine.transport import Producer
from newsmill.engines.result import Output
from newsmill.errors import NewsmillError
from newsmill.settings import Settings


class WriteError(NewsmillError):
    """The broker did not confirm what was written. Some of it may be in the topics."""

    exit_code: ClassVar[int] = 1


class Outbox:
    """Writes through the aiokafka producer beneath Faust, in record batches that are cut here.

    Faust's own sending makes several objects and two futures for each record; and a record batch that expires in its
    queue does not hold back the next one of the same partition.
    """

    def __init__(self, settings: Settings, producer: Producer) -> None:
        self._settings = settings
        self._producer = producer

    async def write(self, outputs: Sequence[Output]) -> dict[tuple[str, int], int]:
        """Write `outputs`; return the offset of the last record by (topic, partition) once all are confirmed.

        Of one partition, a record is only sent when those before it are confirmed or go with it in one batch: what is
        there after a failure is a beginning of `outputs`, without gaps.

        Raises WriteError when that fails, or takes longer than `commit_timeout_s`.
        """
        if not outputs:
            return {}
        try:
            async with asyncio.timeout(self._settings.commit_timeout_s):
                places = await self._by_place(outputs)
                written = await asyncio.gather(*(self._write_place(*place, own) for place, own in places.items()))
        except TimeoutError:
            raise WriteError(f"writing took longer than {self._settings.commit_timeout_s:g} s") from None
        except KafkaError as error:
            raise WriteError(f"a record could not be written: {error!r}") from error
        return dict(zip(places, written, strict=True))

    async def _by_place(self, outputs: Sequence[Output]) -> dict[tuple[str, int], list[Output]]:
        places: dict[tuple[str, int], list[Output]] = {}
        kafka = self._producer.kafka
        names = {topic: clients.physical(self._settings, topic) for topic in {output.topic for output in outputs}}
        for topic in names.values():
            await kafka.client._wait_on_metadata(topic)
        for output in outputs:
            topic = names[output.topic]
            partition = output.partition
            if partition is None:
                partition = kafka._partition(topic, None, None, None, output.key, None)
            places.setdefault((topic, partition), []).append(output)
        return places

    async def _write_place(self, topic: str, partition: int, outputs: Sequence[Output]) -> int:
        kafka = self._producer.kafka
        last, rest = -1, list(outputs)
        while rest:
            batch = kafka.create_batch()
            count = 0
            for output in rest:
                added = batch.append(
                    key=output.key, value=output.value, timestamp=None, headers=[(k, v) for k, v in output.headers]
                )
                if added is None:
                    break
                count += 1
            batch.close()
            confirmed = await (await kafka.send_batch(batch, topic, partition=partition))
            last, rest = confirmed.offset + count - 1, rest[count:]
        return last
