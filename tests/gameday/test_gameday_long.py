"""All that can go wrong goes wrong, one after the other, and the right alert fires and ends: `make gameday`.

GAMEDAY_SPEED says how many times faster than in production the rules run (10 unless set), GAMEDAY_ONLY which deeds are
done: words of their names, separated by commas.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from newsmill import clients
from newsmill import topics as admin
from newsmill.local import LocalKafka
from newsmill.settings import Settings
from schemas import topics
from tests.support.chaos.run import BROKER
from tests.support.gameday.day import Day
from tests.support.gameday.deeds import ALL
from tests.support.gameday.play import Scene, play, quiet, table

pytestmark = [pytest.mark.broker, pytest.mark.gameday]

RATE = 12.0
COUNT = 20_000


@pytest.fixture
def day(kafka_ready: None, prometheus_ready: None, tmp_path: Path) -> Iterator[Day]:
    """Four workers on a broker of their own."""
    logger = logging.getLogger("kafka")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    with LocalKafka(tmp_path / "kafka", overrides=BROKER) as kafka:
        settings = Settings(
            bootstrap=kafka.bootstrap, session_timeout_s=3.0, transaction_timeout_s=10.0, stall_s=6.0, log_format="text"
        )
        with admin.admin_client(clients.connection(settings)) as client:
            admin.create(client, partitions={topics.RAW: 2})
        speed = float(os.environ.get("GAMEDAY_SPEED", "10"))
        yield Day(settings, kafka, tmp_path, speed=speed, rate=RATE, count=COUNT, seed=20261124)
    logger.setLevel(before)


def test_the_right_alerts_fire_and_end(day: Day, capsys: pytest.CaptureFixture[str]) -> None:
    only = [word.strip() for word in os.environ.get("GAMEDAY_ONLY", "").split(",") if word.strip()]
    deeds = [deed for deed in ALL if not only or any(word in deed.name for word in only)]
    scenes: list[Scene] = []
    with day.running():
        # Reasons that were never seen are new ones, in a pipeline that has just begun.
        day.stay(600)
        quiet(day)
        for deed in deeds:
            scenes.append(play(day, deed))
            with capsys.disabled():
                print(f"\n{time.strftime('%H:%M:%S')} {table(scenes[-1:], day.speed)}", flush=True)
    with capsys.disabled():
        print("\n" + table(scenes, day.speed))
    assert not {scene.deed.name: scene.missing for scene in scenes if scene.missing}
    calm = [scene for scene in scenes if not scene.deed.expected]
    assert not {scene.deed.name: scene.fired for scene in calm if scene.fired}
