"""The HTML report in a real browser: nothing leaves it, and it works by keyboard and on a phone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from chromium import launched, needs_chromium
from handmade import make_turn, sprint_turns
from playwright.sync_api import Browser, Page
from recorded_folders import write_result

from voicebench.audio.wav_writer import write_wav
from voicebench.measuring.call_session import check_call, run_calls
from voicebench.report.console.tuning_table import TradeOffRow, tuning_sheet
from voicebench.report.html import html_report
from voicebench.report.html.charts import Spec
from voicebench.report.html.trend_page import trend_html
from voicebench.report.html.tuning_page import SweepPage, tuning_html
from voicebench.results.history import run_history
from voicebench.results.run import read_run
from voicebench.settings import load_settings

pytestmark = [
    pytest.mark.slow,
    needs_chromium,
    # Playwright leaves an event loop's sockets to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
HOSTILE = '</script><script>window.pwned=1</script><img src=x onerror="window.pwned=1">'


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    results = tmp_path_factory.mktemp("results")
    turns = [*sprint_turns(), make_turn(prompt=HOSTILE, chunks=((116, HOSTILE),))]
    folder = write_result(results, turns)
    (folder / "audio").mkdir()
    tone = np.sin(np.arange(24_000) / 8).astype(np.float32) / np.float32(4)
    for number in (1, 2):
        write_wav(folder / "audio" / f"turn-{number:03d}.wav", tone, 16_000)
    path = results / "report.html"
    path.write_text(html_report([read_run(folder)]), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched() as browser:
        yield browser


@pytest.fixture
def requests() -> list[str]:
    """The URLs that the page asked for."""
    return []


@pytest.fixture
def trouble() -> list[str]:
    """What the page wrote to its console, and its errors."""
    return []


@pytest.fixture
def page(browser: Browser, report: Path, requests: list[str], trouble: list[str]) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1200, "height": 900})
    opened = context.new_page()
    opened.on("console", lambda message: trouble.append(message.text))
    opened.on("pageerror", lambda error: trouble.append(str(error)))
    opened.on("request", lambda request: requests.append(request.url))
    opened.goto(report.as_uri())
    yield opened
    context.close()


def attribute(page: Page, selector: str, name: str) -> str:
    """Return an attribute of the first element that the selector finds."""
    value = page.locator(selector).first.get_attribute(name)
    assert value is not None
    return value


def order(page: Page) -> list[str]:
    heads = page.locator(".fall tbody th").all_inner_texts()
    return [head.strip() for head in heads]


def test_no_request_leaves_the_file_and_nothing_is_complained_of(
    page: Page, report: Path, requests: list[str], trouble: list[str]
) -> None:
    page.wait_for_timeout(200)
    assert [url for url in requests if not url.startswith("data:")] == [report.as_uri()]
    assert trouble == []


def test_the_words_of_a_result_run_nothing(page: Page) -> None:
    assert page.evaluate("window.pwned") is None
    assert page.locator("img").count() == 0


def test_what_the_policy_forbids_does_not_run(page: Page, trouble: list[str]) -> None:
    page.evaluate(
        "document.body.append(Object.assign(document.createElement('script'), "
        "{textContent: 'window.pwned = 1'}))"
    )
    assert page.evaluate("window.pwned") is None
    assert "Content Security Policy" in trouble[0]


def test_turns_are_sorted_by_keyboard_and_put_back(page: Page) -> None:
    assert order(page) == ["1", "2", "3", "4", "5", "6", "7", "8", "9"]
    button = page.get_by_role("button", name="slowest first")
    button.focus()
    page.keyboard.press("Enter")
    assert order(page) == ["8", "1", "7", "2", "6", "4", "5", "3", "9"]
    assert button.get_attribute("aria-pressed") == "true"
    page.get_by_role("button", name="in order").press("Space")
    assert order(page) == ["1", "2", "3", "4", "5", "6", "7", "8", "9"]


def test_the_whole_turns_can_be_shown(page: Page) -> None:
    picture = page.locator("svg.turn").first
    before = picture.get_attribute("viewBox")
    page.get_by_role("button", name="whole turns").click()
    assert picture.get_attribute("viewBox") != before
    assert page.locator(".tick.whole").first.is_visible()
    assert not page.locator(".tick.start").first.is_visible()


def test_the_playhead_stands_where_the_listener_hears(page: Page) -> None:
    page.locator(".fall details").first.click()
    page.evaluate("document.querySelector('audio').load()")
    page.wait_for_function("document.querySelector('audio').readyState >= 1")
    page.evaluate("document.querySelector('audio').currentTime = 0.5")
    page.wait_for_selector(".playhead.on", state="attached")
    drawn = attribute(page, ".playhead", "d")
    end, span = (float(attribute(page, ".fall", f"data-{name}")) for name in ("end", "span"))
    heard = json.loads(attribute(page, "audio", "data-heard"))
    assert heard[0] == [0, 338]
    assert float(drawn.removeprefix("M").split()[0]) == pytest.approx((338 + 500) / end * span)


def test_the_cursor_of_a_call_runs_over_both_tracks(
    page: Page, trouble: list[str], tmp_path: Path
) -> None:
    named = {
        "call.url": "sim:wait=200ms,reply=30ms,voice=40ms,speech=900ms",
        "call.voice": "synthetic",
        "call.calls": 1,
        "call.warmup": 0,
        "run.results": str(tmp_path),
        "run.save_audio": True,
    }
    job = check_call(load_settings(None, named))
    recorded = run_calls(job, lambda _line: None, lambda _call, _turns: None)
    path = tmp_path / "call.html"
    path.write_text(html_report([read_run(recorded.path)]), encoding="utf-8")
    page.goto(path.as_uri())
    page.evaluate("document.querySelector('figure.call audio').load()")
    page.wait_for_function("document.querySelector('figure.call audio').readyState >= 1")
    end, span = (float(attribute(page, "figure.call", f"data-{name}")) for name in ("end", "span"))
    for second in (1.0, 2.5):
        page.evaluate(f"document.querySelector('figure.call audio').currentTime = {second}")
        at = round(1000 * second / end * span)
        page.wait_for_function(
            "at => Math.abs(parseFloat(document.querySelector('figure.call .playhead')"
            ".getAttribute('d').slice(1)) - at) < 1",
            arg=at,
        )
    drawn = page.locator("figure.call svg").first
    assert attribute(page, "figure.call .playhead", "d").endswith(
        f"v{(drawn.get_attribute('viewBox') or '').split()[3]}"
    )
    assert trouble == []


def test_the_first_stop_of_the_keyboard_skips_to_the_content(page: Page) -> None:
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"


def test_a_screen_reader_finds_the_parts_and_the_pictures(page: Page) -> None:
    tree = page.locator("body").aria_snapshot()
    assert 'heading "Verdicts" [level=2]' in tree
    assert 'img "1: first token 60.0 ms, reply complete 221 ms' in tree
    assert 'button "in order" [pressed]' in tree
    assert "navigation" in tree
    assert "main" in tree


@pytest.mark.parametrize("width", [320, 360, 768])
def test_a_phone_needs_no_scrolling_sideways(browser: Browser, report: Path, width: int) -> None:
    context = browser.new_context(viewport={"width": width, "height": 740})
    opened = context.new_page()
    opened.goto(report.as_uri())
    assert opened.evaluate("document.documentElement.scrollWidth") <= width
    context.close()


def test_no_kind_of_page_is_wider_than_a_phone_and_its_answers_come_first(
    browser: Browser, tmp_path: Path
) -> None:
    def undrawn(_spec: Spec) -> str:
        return "<svg viewBox='0 0 400 200'></svg>"

    long = "a-name-without-any-blank-that-a-phone-has-to-break-somewhere-in-the-middle"
    runs = [
        read_run(write_result(tmp_path, sprint_turns(), name=f"{long}-{number}")) for number in "12"
    ]
    candidate = TradeOffRow(long, 8, 0, 300.0, None, 320.0, 0.0, 2.0, 6.0, "best")
    sheet = tuning_sheet([candidate], "Measured in turn", long)
    values = [runs[0].columns.values["first_audio_ms"]]
    pages = {
        "two": html_report(runs, drawer=undrawn),
        "trend": trend_html(run_history(tmp_path), drawer=undrawn),
        "sweep": tuning_html(SweepPage(long, [candidate], values, sheet, long), drawer=undrawn),
    }
    opened = browser.new_page(viewport={"width": 390, "height": 844})
    for name, content in pages.items():
        path = tmp_path / f"{name}.html"
        path.write_text(content, encoding="utf-8")
        opened.goto(path.as_uri())
        assert opened.evaluate("document.documentElement.scrollWidth") <= 390, name
        first = opened.locator(".answers dd b").first.bounding_box()
        assert first is not None, name
        assert first["y"] + first["height"] < 844, name
    opened.close()


@pytest.mark.parametrize(("scheme", "dark"), [("light", False), ("dark", True)])
def test_the_page_takes_the_reader_s_colours(
    browser: Browser, report: Path, scheme: Literal["light", "dark"], dark: bool
) -> None:
    context = browser.new_context(color_scheme=scheme)
    opened = context.new_page()
    opened.goto(report.as_uri())
    paper = opened.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(int(part) for part in paper.strip("rgb()").split(",")) < 200) == dark
    line = opened.evaluate(
        "getComputedStyle(document.querySelector('figure path[stroke^=var]')).stroke"
    )
    assert line == ("rgb(108, 176, 255)" if dark else "rgb(31, 111, 191)")
    context.close()
