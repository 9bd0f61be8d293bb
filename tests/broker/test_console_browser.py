"""The console in a real Chromium, on a real Kafka with workers, fed with the samples and with what is hostile."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, expect

from newsmill.console.readers import status_view
from newsmill.local import LocalKafka
from newsmill.status import Picture, StageLine
from newsmill.status.scrapes import Scrape
from schemas import headers as h
from schemas import topics
from schemas.codec import encode
from tests.support import chromium
from tests.support.console import HOSTILE_ID, SCRIPT, Program, console, hostile_article, news, workers
from tests.support.gateway_process import ROOT
from tests.support.kafka import Place

pytestmark = [
    pytest.mark.broker,
    # Playwright closes the loop of its own that it makes for a test that is not asynchronous only at the end.
    pytest.mark.filterwarnings("ignore:unclosed event loop:ResourceWarning"),
]

PATIENCE_MS = 60_000
VIOLATIONS = """
window.violations = [];
addEventListener("securitypolicyviolation", (event) => window.violations.push(
  event.violatedDirective + " " + event.blockedURI));
"""

expect.set_options(timeout=PATIENCE_MS)


@dataclass(frozen=True)
class Scene:
    """A console with everything beside it. `place` is where to feed more."""

    url: str
    place: Place


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with ExitStack() as stack:
        try:
            running = stack.enter_context(chromium.running())
        except chromium.NoChromium as error:
            pytest.skip(str(error))
        yield running


@pytest.fixture(scope="module")
def scene(browser: Browser, kafka: LocalKafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("console")
    place = Place(kafka.bootstrap, "tconsole", folder / "state", raw=2, classified=2)
    with workers(place.settings, folder) as urls, console(place.settings, urls, folder) as url:
        feed = Program(["feed", str(ROOT / "samples")], place.settings, folder / "feed.log")
        feed.start()
        place.feed(
            topics.RAW,
            [f'{{"url": "https://alder.example/x", "text": 7, "x": "{SCRIPT[:20]}'.encode(), SCRIPT.encode()],
        )
        place.feed(topics.RAW, [b"\xff\xd8\xff\xe0\x00JFIF" + bytes(range(256)) * 40])
        place.feed(topics.CLASSIFIED, [encode(hostile_article())], key=lambda _: HOSTILE_ID.encode())
        refused = [(h.DEAD_STAGE, b"ingest"), (h.DEAD_REASON, SCRIPT.encode()), (h.DEAD_DETAIL, SCRIPT.encode() * 3)]
        place.feed(topics.DEAD_LETTERS, [b"\x1b[31m" + SCRIPT.encode()], headers=tuple(refused))
        yield Scene(url, place)
        feed.stop()


@pytest.fixture
def open_page(browser: Browser, scene: Scene) -> Iterator[Callable[..., Page]]:
    """Open the console in a window of its own. At the end nothing has gone wrong in it, and it is the page it was."""
    pages: list[Page] = []
    said: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            said.append(message.text)

    def opened(path: str = "/", **options: Any) -> Page:
        context = browser.new_context(**({"viewport": {"width": 1440, "height": 1000}} | options))
        context.set_default_timeout(PATIENCE_MS)
        context.add_init_script(VIOLATIONS)
        page = context.new_page()
        page.on("console", note)
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(scene.url + path)
        pages.append(page)
        return page

    yield opened
    for page in pages:
        assert page.evaluate("window.violations") == []
        assert "newsmill console" in page.title()
        page.context.close()
    assert said == []


def rows(page: Page, view: str = "article") -> Locator:
    return page.locator(f"#{view}-rows a")


def test_numbers_and_charts_move(open_page: Callable[..., Page], scene: Scene) -> None:
    page = open_page()
    expect(page.locator("#connection-text")).to_have_text("live")
    expect(page.locator(".stage h3")).to_have_text(["ingest", "dedup", "entities", "classify"])
    expect(page.locator(".stage .up")).to_have_text(["1 of 1 ready"] * 4)
    expect(page.locator("#health-text")).to_have_text("All is well")
    line = page.locator(".stage").first.locator(".plot.done path.line")
    before = line.get_attribute("d")
    scene.place.feed(topics.RAW, news(40, seed=3))
    expect(page.locator(".stage").first.locator(".plot.done .now")).to_have_text(re.compile("[1-9]"))
    assert line.get_attribute("d") != before
    label = page.locator(".stage svg").first.get_attribute("aria-label") or ""
    assert re.match(r"done: now [\d.]+ records/s, in the last \d+ min between", label), label


def test_articles_come_by_themselves_and_one_shows_its_entities_and_subjects(
    open_page: Callable[..., Page], scene: Scene
) -> None:
    page = open_page()
    page.locator("#article-rows a", has_text="Kansas wheat goes in late").first.click()
    detail = page.locator("#article-detail")
    expect(detail.locator(".title")).to_have_text("Kansas wheat goes in late, but wet")
    expect(detail.locator(".body mark.loc", has_text="Garden City")).to_have_count(1)
    expect(detail.locator(".body mark.org", has_text="Chicago Board of Trade")).to_have_count(1)
    expect(detail.locator(".subjects li").first).to_contain_text(re.compile(r"economy, business and finance\s*0\.\d\d"))
    names = detail.get_by_role("region", name="Entities").locator("tbody th")
    expect(names.filter(has_text="Kansas State University")).to_have_count(1)
    # What comes now is shown without a reload, once nobody points at the list or has scrolled in it.
    page.mouse.move(1, 1)
    page.locator("#article-rows").evaluate("list => list.scrollTo(0, 0)")
    text = "Ferries sail again. " * 40
    document = {"url": "https://alder.example/ferries", "title": "Ferries to Port Alder sail again", "text": text}
    scene.place.feed(topics.RAW, [json.dumps(document).encode()])
    expect(rows(page).filter(has_text="Ferries to Port Alder sail again")).to_have_count(1)


def test_a_story_shows_its_copies_with_verdict_and_similarity(open_page: Callable[..., Page]) -> None:
    page = open_page()
    page.locator("#article-rows a", has=page.locator(".copies"), has_text="Kansas wheat").first.click()
    copy = page.get_by_role("region", name="Copies of this story").locator("tbody tr")
    expect(copy).to_have_count(1)
    assert "exact copy" in copy.inner_text()
    assert "1.00" in copy.inner_text()
    copy.get_by_role("link", name="trace").click()
    expect(page.locator(".story h3").first).to_contain_text("Not passed on: exact copy")


def test_texts_in_other_languages_say_which(open_page: Callable[..., Page]) -> None:
    page = open_page()
    german = page.locator("#article-rows .headline[lang=de]", has_text="Hohenhorn")
    expect(german.first).to_have_attribute("dir", "auto")
    german.first.click()
    expect(page.locator("#article-detail .body")).to_have_attribute("lang", "de")
    expect(page.locator("html")).to_have_attribute("lang", "en")


def test_a_hostile_article_is_nothing_but_text(open_page: Callable[..., Page]) -> None:
    page = open_page()
    rows(page).filter(has_text="Hostile").click()
    detail = page.locator("#article-detail")
    expect(detail.locator(".title")).to_contain_text(f"Hostile {SCRIPT}")
    expect(detail.locator("mark.per")).to_have_text(SCRIPT)
    assert page.locator("main script, main img, main style, main [onerror], main [style*=display]").count() == 0
    assert detail.locator("a[href^=javascript]").count() == 0


def test_a_hostile_dead_letter_is_nothing_but_text_and_bytes(open_page: Callable[..., Page]) -> None:
    page = open_page("/#dead-letters")
    rows(page, "dead").filter(has_text="<script>").click()
    expect(page.locator("#dead-detail .why")).to_contain_text(SCRIPT)
    # An escape sequence is no text: the bytes are in hex at first, and can be seen as text.
    expect(page.locator("#raw-bytes")).to_contain_text("0000  1b 5b 33 31 6d 3c 73 63")
    page.get_by_role("button", name="Text", exact=True).click()
    expect(page.locator("#raw-bytes")).to_have_text("\\u{1b}[31m" + SCRIPT)
    assert page.locator("main script, main img").count() == 0


def test_bytes_that_are_no_text_are_shown_in_hex_and_cut(open_page: Callable[..., Page]) -> None:
    page = open_page("/#dead-letters")
    rows(page, "dead").filter(has_text="10.0 KiB").click()
    expect(page.locator(".raw .size")).to_have_text("the first 4.0 KiB of 10.0 KiB")
    expect(page.locator("#raw-bytes")).to_contain_text("ff d8 ff e0 00 4a 46 49 46 00")


def test_search_finds_an_article_by_its_address_and_by_its_id(open_page: Callable[..., Page], scene: Scene) -> None:
    page = open_page()
    field = page.get_by_role("searchbox", name="Article id or URL")
    scene.place.feed(
        topics.RAW, [b'{"url": "https://alder.example/tram", "text": "The tram to Holm Quay runs again."}']
    )
    expect(rows(page).filter(has_text="The tram to Holm Quay")).to_have_count(1)
    field.fill("https://alder.example/tram?utm_source=x")
    field.press("Enter")
    expect(page.locator(".story h3")).to_have_text("Came out")
    expect(page.locator(".story .steps b")).to_have_text(["brought in", "ingest", "dedup", "entities", "classify"])
    (found,) = re.findall(r"id ([0-9a-f]{32})", page.locator(".story").inner_text())
    field.fill(found)
    field.press("Enter")
    expect(page.locator("#trace-status")).to_contain_text(f"{found} was brought in once")
    field.fill("https://nobody.example/knows")
    field.press("Enter")
    expect(page.locator("#trace-status")).to_contain_text("Nothing about https://nobody.example/knows")


def test_what_can_not_be_searched_for_is_told(open_page: Callable[..., Page]) -> None:
    # Chromium itself writes an answer of 400 to its console.
    page = open_page()
    page.evaluate('window.fetch = async () => new Response(\'{"detail": "this is no id"}\', { status: 400 })')
    page.get_by_role("searchbox").fill("no id")
    page.get_by_role("button", name="Trace").click()
    expect(page.locator("#trace-status")).to_have_text("This is no id.")


def test_all_of_it_can_be_reached_with_the_keyboard(open_page: Callable[..., Page]) -> None:
    page = open_page()
    expect(rows(page).nth(3)).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.keyboard.press("j")
    expect(rows(page).nth(0)).to_be_focused()
    first = rows(page).nth(0).locator(".headline").inner_text()
    expect(page.locator("#article-detail .title")).to_have_text(first)
    page.keyboard.press("j")
    expect(rows(page).nth(1)).to_have_attribute("aria-current", "true")
    page.keyboard.press("k")
    expect(rows(page).nth(0)).to_have_attribute("aria-current", "true")
    page.keyboard.press("2")
    expect(page.get_by_role("heading", name="Newest dead letters")).to_be_visible()
    page.keyboard.press("j")
    expect(page.locator("#dead-detail .title")).to_be_visible()
    page.keyboard.press("p")
    expect(page.get_by_role("button", name="Pause")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#connection-text")).to_have_text("paused")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type("p1?")
    expect(page.get_by_role("searchbox")).to_have_value("p1?")
    page.keyboard.press("Escape")
    page.keyboard.press("1")
    expect(page.get_by_role("heading", name="Newest articles")).to_be_visible()


def test_single_keys_can_be_turned_off(open_page: Callable[..., Page]) -> None:
    page = open_page()
    page.get_by_role("button", name="Keys").click()
    page.get_by_label("Single keys work").uncheck()
    page.get_by_role("button", name="Close").click()
    page.keyboard.press("2")
    page.reload()
    page.keyboard.press("2")
    expect(page.locator("#view-articles")).to_be_visible()


def test_a_list_stands_still_while_it_is_paused_and_says_what_is_new(
    open_page: Callable[..., Page], scene: Scene
) -> None:
    page = open_page()
    expect(rows(page).first).to_be_visible()
    page.get_by_role("button", name="Pause").click()
    before = rows(page).first.inner_text()
    text = "The lighthouse keeper has retired. " * 20
    document = {"url": "https://alder.example/light", "title": "Lighthouse without a keeper", "text": text}
    scene.place.feed(topics.RAW, [json.dumps(document).encode()])
    button = page.locator("#articles-new")
    expect(button).to_contain_text("new article")
    assert rows(page).first.inner_text() == before
    button.click()
    expect(rows(page).filter(has_text="Lighthouse without a keeper")).to_have_count(1)
    expect(button).to_be_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [(1440, 1000), (320, 640)], ids=["wide", "narrow"])
def test_axe_finds_nothing(open_page: Callable[..., Page], scheme: str, size: tuple[int, int]) -> None:
    # Trusted types are for the page; axe, which is put into it, makes markup of its own.
    page = open_page(
        color_scheme=scheme, viewport={"width": size[0], "height": size[1]}, bypass_csp=True, reduced_motion="reduce"
    )
    page.locator("#article-rows a", has_text="Kansas wheat").first.click()
    expect(page.locator("#article-detail .title")).to_be_visible()
    checked = [_axe(page)]
    page.locator("#partitions summary").evaluate("summary => summary.click()")
    page.goto(page.url.partition("#")[0] + "#dead-letters")
    rows(page, "dead").first.click()
    expect(page.locator("#raw-bytes")).to_be_visible()
    checked.append(_axe(page))
    page.get_by_role("searchbox").fill(HOSTILE_ID)
    page.keyboard.press("Enter")
    expect(page.locator(".story")).to_be_visible()
    checked.append(_axe(page))
    page.get_by_role("button", name="Keys").click()
    checked.append(_axe(page))
    assert checked == [[]] * 4


def _axe(page: Page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [f"{one['id']} ({one['impact']}): {[node['html'] for node in one['nodes'][:3]]}" for one in found]


def test_the_schemes_differ(open_page: Callable[..., Page]) -> None:
    page = open_page()
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    page.emulate_media(color_scheme="light")
    light = page.evaluate(ground)
    page.emulate_media(color_scheme="dark")
    assert page.evaluate(ground) != light


@pytest.mark.parametrize(
    "options",
    [
        {"viewport": {"width": 320, "height": 640}},
        # A window of 1280 by 720 at 200 %.
        {"viewport": {"width": 640, "height": 360}, "device_scale_factor": 2},
    ],
    ids=["320 px", "200 %"],
)
def test_nothing_has_to_be_scrolled_sideways(open_page: Callable[..., Page], options: dict[str, Any]) -> None:
    page = open_page(**options)

    def fits() -> bool:
        found: bool = page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        return found

    expect(rows(page).first).to_be_visible()
    assert fits()
    rows(page).first.click()
    expect(page.locator("#article-detail .title")).to_be_visible()
    expect(rows(page).first).to_be_hidden()
    assert fits()
    page.get_by_role("link", name="Back to the list").click()
    expect(rows(page).first).to_be_visible()
    page.locator("#partitions summary").click()
    assert fits()
    page.get_by_role("link", name="Dead letters").click()
    rows(page, "dead").filter(has_text="10.0 KiB").click()
    expect(page.locator("#raw-bytes")).to_be_visible()
    assert fits()
    page.get_by_role("searchbox").fill(HOSTILE_ID)
    page.keyboard.press("Enter")
    expect(page.locator(".story")).to_be_visible()
    assert fits()


def test_when_kafka_is_away_the_page_says_so_and_goes_on_by_itself(open_page: Callable[..., Page]) -> None:
    page = open_page()
    update = {
        "first": True,
        "troubles": {"stages": "no broker answers"},
        "status": None,
        **{name: [] for name in ("articles", "duplicates", "dead_letters", "samples")},
    }
    body = f"retry: 100\ndata: {json.dumps(update)}\n\n"
    page.route("**/api/events", lambda route: route.fulfill(content_type="text/event-stream", body=body))
    page.reload()
    expect(page.locator("#health-text")).to_contain_text("Kafka can't be read now: no broker answers")
    expect(page).to_have_title(re.compile(r"^\(1\) "))
    page.unroute("**/api/events")
    expect(page.locator("#health-text")).to_have_text("All is well")
    expect(rows(page).first).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_source_that_breaks_is_named_in_plain_text_and_is_no_problem_of_the_pipeline(
    open_page: Callable[..., Page], scheme: str
) -> None:
    page = open_page(color_scheme=scheme, bypass_csp=True, viewport={"width": 320, "height": 640})
    expect(page.locator("#health-text")).to_have_text("All is well")
    expect(page.locator("#sources")).to_be_hidden()
    broken = {f"{n:02} {SCRIPT}": ("no_dates", "short_bodies") for n in range(22)}
    worker = Scrape("http://127.0.0.1:1", 0.0, "ingest", "kafka", "1", ready=True, healthy=True, broken_sources=broken)
    status = status_view(Picture(0.0, (StageLine("ingest", None, (worker,), (None,) * 3),), (0, 0)), ())
    update = {
        "first": True,
        "troubles": {},
        "status": status,
        **{name: [] for name in ("articles", "duplicates", "dead_letters", "samples")},
    }
    body = f"retry: 100\ndata: {json.dumps(update)}\n\n"
    page.route("**/api/events", lambda route: route.fulfill(content_type="text/event-stream", body=body))
    page.reload()
    expect(page.locator("#source-rows li")).to_have_count(20)
    expect(page.locator("#source-rows li").first).to_have_text(re.compile(r"^00 <script>.*: no dates, short bodies$"))
    expect(page.locator("#sources")).to_contain_text("and 2 more")
    expect(page.locator("#sources")).to_contain_text("docs/operations.md#a-source-breaks")
    expect(page.locator("#health-text")).to_have_text("All is well")
    assert _axe(page) == []
    page.unroute("**/api/events")
    expect(page.locator("#sources")).to_be_hidden()
