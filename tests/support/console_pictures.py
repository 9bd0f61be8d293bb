"""Take the pictures of the console in docs/images: `make console-pictures`. Everything in them is invented."""

from __future__ import annotations

import random
import tempfile
import threading
import time
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from newsmill.local import LocalKafka
from newsmill.local.kafka import QUICK_START
from schemas import headers as h
from schemas import topics
from tests.support import chromium
from tests.support.console import Program, console, news, workers
from tests.support.gateway_process import ROOT
from tests.support.kafka import Place

IMAGES = ROOT / "docs" / "images"
SECONDS = 240
"""How long articles trickle in before the pictures are taken, so that the charts have something to show."""

WIDE = {"width": 1440, "height": 1000}
NARROW = {"width": 360, "height": 780}
ARTICLE = "Kansas wheat goes in late"


def _trickle(place: Place, stop: threading.Event) -> None:
    """Feed invented news, now more, now less, until `stop`."""
    chance = random.Random(2)
    documents = news(1_000_000)
    producer = place.producer()
    second = 0
    while not stop.wait(1):
        second += 1
        most = 14 if second % 80 > 60 else 4
        for number in range(chance.randint(0, most)):
            headers = [(h.INGESTED_AT, str(time.time_ns() // 1_000_000).encode())]
            producer.send(place.physical(topics.RAW), key=b"source %d" % number, value=next(documents), headers=headers)
        producer.flush()
    producer.close()


def _take(browser: Browser, url: str) -> None:
    wide = browser.new_context(viewport=WIDE, reduced_motion="reduce").new_page()
    wide.goto(url)
    _open(wide)
    for scheme in ("light", "dark"):
        wide.emulate_media(color_scheme=scheme)
        wide.screenshot(path=IMAGES / f"console-{scheme}.png")
    wide.emulate_media(color_scheme="light")
    wide.get_by_role("link", name="trace this article").click()
    expect(wide.locator(".story")).to_be_visible(timeout=30_000)
    wide.screenshot(path=IMAGES / "console-trace.png")
    narrow = browser.new_context(viewport=NARROW, device_scale_factor=2, reduced_motion="reduce").new_page()
    narrow.goto(url)
    _open(narrow)
    narrow.screenshot(path=IMAGES / "console-narrow.png")


def _open(page: Page) -> None:
    row = page.locator("#article-rows a", has_text=ARTICLE, has=page.locator(".copies")).first
    row.click(timeout=60_000)
    expect(page.locator("#article-copies tbody tr")).to_have_count(1)
    page.mouse.move(1, 1)


def main() -> None:
    """Run everything on a Kafka of its own, and take the pictures."""
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with LocalKafka(folder / "kafka", jvm_options=[QUICK_START]) as kafka, chromium.running() as browser:
            place = Place(kafka.bootstrap, "demo", folder / "state", raw=4, unique=4, tagged=4, classified=4)
            with workers(place.settings, folder) as urls, console(place.settings, urls, folder) as url:
                stop = threading.Event()
                feeding = threading.Thread(target=_trickle, args=(place, stop))
                feeding.start()
                try:
                    time.sleep(SECONDS)
                    samples = Program(["feed", str(ROOT / "samples")], place.settings, folder / "feed.log")
                    samples.start()
                    _take(browser, url)
                    samples.stop()
                finally:
                    stop.set()
                    feeding.join()


if __name__ == "__main__":
    main()
