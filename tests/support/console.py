"""`newsmill console` as a program, workers beside it, and what they are fed: invented news, some of it hostile."""

from __future__ import annotations

import contextlib
import json
import os
import random
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from newsmill.settings import Settings
from schemas.messages import ClassifiedArticle, Entities, Entity, Mention, Subject, Subjects
from tests.support.gateway_process import PATIENCE, ROOT, free_port
from workers.pipeline import STAGES

SCRIPT = "<script>document.title = 'owned'</script><img src=x onerror=\"document.title = 'owned'\">"
"""What must stay text wherever it is shown."""

HOSTILE_ID = "e" * 32


class Program:
    """One command of newsmill, in a process of its own. Its output goes to `log`."""

    def __init__(self, arguments: Sequence[str], settings: Settings, log: Path, **more: str) -> None:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("NEWSMILL_")}
        self._arguments = arguments
        self._log = log
        self._environment = {
            **clean,
            "PYTHONPATH": str(ROOT),
            "NEWSMILL_BOOTSTRAP": settings.bootstrap,
            "NEWSMILL_NAMESPACE": settings.namespace,
            "NEWSMILL_STATE_DIR": settings.state_dir,
            **more,
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "newsmill", *self._arguments], env=self._environment, stdout=log, stderr=log
            )

    def wait_for(self, url: str) -> None:
        """Wait until `url` answers with 200."""
        deadline = time.monotonic() + PATIENCE
        while True:
            assert self._process is not None
            assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < deadline, self._log.read_text()
            with contextlib.suppress(urllib.error.URLError, OSError), urllib.request.urlopen(url, timeout=5):
                return
            time.sleep(0.1)

    def stop(self) -> int | None:
        """Send SIGTERM, and return the exit status; None when it does not run."""
        if self._process is None:
            return None
        process, self._process = self._process, None
        process.terminate()
        return process.wait(PATIENCE)


@contextlib.contextmanager
def workers(settings: Settings, folder: Path, stages: Sequence[str] = tuple(STAGES)) -> Iterator[list[str]]:
    """Run a worker of each stage; yields the addresses of their metrics."""
    running, urls = [], []
    try:
        for stage in stages:
            port = free_port()
            program = Program(["worker", stage], settings, folder / f"{stage}.log", NEWSMILL_METRICS_PORT=str(port))
            program.start()
            running.append(program)
            urls.append(f"http://127.0.0.1:{port}")
        for program, url in zip(running, urls, strict=True):
            program.wait_for(f"{url}/readyz")
        yield urls
    finally:
        for program in running:
            program.stop()


@contextlib.contextmanager
def console(settings: Settings, urls: Sequence[str], folder: Path) -> Iterator[str]:
    """Run `newsmill console`; yields its address."""
    port = free_port()
    named = [part for url in urls for part in ("--worker", url)]
    program = Program(["console", "--port", str(port), *named], settings, folder / "console.log")
    try:
        program.start()
        program.wait_for(f"http://127.0.0.1:{port}/healthz")
        yield f"http://127.0.0.1:{port}"
    finally:
        assert program.stop() == 0


_TOWNS = ("Port Alder", "Birchfield", "Cray Bridge", "Dunmore", "Eskwater", "Farrow Hill", "Glenrath", "Holm Quay")
_DAYS = ("Monday", "Tuesday", "Friday")
_PAPERS = ("courier", "ledger", "times")
_TALK = (
    ("Residents", "Officials", "Neighbours", "Critics", "Visitors", "Teachers", "Shopkeepers"),
    ("welcomed", "doubted", "had long awaited", "asked questions about", "praised", "criticised"),
    ("the plan", "the decision", "the news", "the figures", "the delay", "the cost", "the result"),
    ("in a long meeting", "as winter comes", "as prices rise", "after years of talks", "before the holidays"),
)
_PEOPLE = ("Edda Thornquist", "Ravi Sandhurst", "Mara Oyelaran", "Tomas Brandvold", "Ines Calloway", "Piet Hargreave")
_STORIES = tuple(
    tuple(part.strip() for part in line.split("|"))
    for line in """
{town} reopens its harbour after the storm | ferries | the harbour | The harbour master, {who}, counted {n} ferries.
Council of {town} votes for a budget of {n} million | budget | the council | Councillor {who} promised {m} new buses.
{town} United win {m}-0 and go top of the league | football | the club | The coach, {who}, praised the defence.
Hospital in {town} opens a ward for {n} patients | operations | the hospital | Doctor {who} has hired {m} surgeons.
Court in {town} sends a broker to prison for fraud | fraud | the court | Judge {who} spoke of {n} pensioners.
Scientists at {town} measure the oldest ice of the valley | ice | the university | Geologist {who} drilled {m} cores.
Wind farm off {town} to power {n} thousand homes | electricity | the company | Engineer {who} has built {m} turbines.
Film about the bakers of {town} wins the festival | film | the jury | The director, {who}, shot it in {n} days.
""".strip().splitlines()
)
"""Headline, what it is about, who invited, what was said."""


def news(count: int, seed: int = 1) -> Iterator[bytes]:
    """Yield documents of invented outlets: about four in five are articles, the others copies and things refused."""
    chance = random.Random(seed)
    before: list[dict[str, str]] = []
    for number in range(count):
        if before and chance.random() < 0.14:
            copied = chance.choice(before[-12:])
            yield json.dumps(copied | {"url": f"https://mirror{number % 7}.example/{number}"}).encode()
            continue
        if chance.random() < 0.05:
            yield chance.choice(
                (b'{"url": "https://alder.example/broken", "text": 7}', b"\xff\xd8\xff\xe0 no text\x00")
            )
            continue
        title, word, host, said = chance.choice(_STORIES)
        town, who = chance.choice(_TOWNS), chance.choice(_PEOPLE)
        n, m = chance.randint(12, 97), chance.randint(2, 9)
        lines = [
            said.format(town=town, who=who, n=n, m=m),
            f"{who} spoke on {chance.choice(_DAYS)} in {town}, where {host} had invited reporters to talk of {word}.",
            *(_sentence(chance, word) for _ in range(chance.randint(3, 6))),
        ]
        document = {
            "url": f"https://{town.split()[-1].lower()}-{chance.choice(_PAPERS)}.example/{number}",
            "title": title.format(town=town, n=n, m=m),
            "text": "\n\n".join(lines),
        }
        before.append(document)
        yield json.dumps(document).encode()


def _sentence(chance: random.Random, word: str) -> str:
    who, does, what, why = (chance.choice(part) for part in _TALK)
    return f"{who} {does} {what} of the {word} {why}, {chance.choice(_PEOPLE)} told the {chance.choice(_TOWNS)} paper."


def hostile_article() -> ClassifiedArticle:
    """An article whose every text is markup, as if a stage had let it through."""
    now = datetime(2026, 11, 24, 12, tzinfo=UTC)
    return ClassifiedArticle(
        id=HOSTILE_ID,
        source=f"{SCRIPT}.example",
        headline=f"Hostile {SCRIPT} \u202eenil desrever",
        body=f"{SCRIPT} was said in Port Alder.\n\n<style>*{{display:none}}</style>",
        language="en",
        language_confidence=1.0,
        word_count=9,
        content_hash="b" * 32,
        ingested_at=now,
        processing={"ingest": SCRIPT},
        url="javascript:document.title='owned'",
        authors=(SCRIPT,),
        verdict="unique",
        revision=1,
        cluster_id=HOSTILE_ID,
        entities=Entities(
            status="ok",
            items=(
                Entity(
                    name=SCRIPT,
                    type="PER",
                    salience=1.0,
                    confidence=1.0,
                    mentions=(Mention(field="body", start=0, end=len(SCRIPT)),),
                ),
            ),
        ),
        subjects=Subjects(
            status="ok",
            taxonomy="x",
            items=(Subject(id="medtop:01000000", name=SCRIPT, level=1, probability=0.5),),
        ),
    )
