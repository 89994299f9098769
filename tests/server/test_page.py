"""The page in a real browser: asked, heard, stopped; by keyboard, by name, without a stranger."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from typing import Any, Literal

import httpx
import pytest
from chromium import launched, needs_chromium
from counting_agent import CountingAgent
from playwright.sync_api import Browser, Page, expect
from served_somewhere import QUICK, REPLY, server

from voicebench.server.page_files import FILES, FOLDER

LONG = "sim:ttft=4ms,token=1ms,ttfb=3ms,speed=1x,words=60"


def test_the_page_asks_nobody_but_this_server(client: httpx.Client) -> None:
    for path in FILES:
        answer = client.get(path)
        assert answer.status_code == 200
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy
    for file in FOLDER.iterdir():
        text = file.read_text(encoding="utf-8")
        strangers = set(re.findall(r"https?://[^\s\"'()]+", text)) - {"http://www.w3.org/2000/svg"}
        assert not strangers, file.name


def test_every_file_of_the_page_is_served() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {name for name, _ in FILES.values()}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=20_000)
    with launched() as browser:
        yield browser


@contextmanager
def open_page(browser: Browser, url: str, **options: Any) -> Iterator[Page]:
    """Open the page in a profile of its own; no error and no stranger may come up."""
    context = browser.new_context(**options)
    page = context.new_page()
    page.set_default_timeout(20_000)
    errors: list[str] = []
    asked: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on(
        "console",
        lambda line: errors.append(line.text) if line.type in ("error", "warning") else None,
    )
    page.on("request", lambda request: asked.append(request.url))
    try:
        page.goto(url)
        yield page
    finally:
        context.close()
    # What is refused for want of a key, the browser reports as an error by itself.
    refused = ("401", "403")
    assert [error for error in errors if not any(one in error for one in refused)] == []
    assert [one for one in asked if not one.startswith((url, "data:"))] == []


@pytest.mark.slow
@needs_chromium
def test_a_question_typed_is_answered_in_words_sound_and_picture(
    browser: Browser, url: str
) -> None:
    with open_page(browser, url) as page:
        expect(page.get_by_text("simulated · simulated")).to_be_visible()
        question = page.get_by_label("Your question")
        question.fill("What will the weather be?")
        question.press("Enter")
        expect(page.get_by_role("status")).to_have_text("Done.")
        expect(page.locator("#reply")).to_have_text(REPLY)
        figures = dict(
            zip(
                page.locator("#figures dt").all_text_contents(),
                page.locator("#figures dd").all_text_contents(),
                strict=True,
            )
        )
        assert list(figures) == [
            "first token", "first text chunk", "first audio", "first sound", "played here from",
            "whole answer",
        ]  # fmt: skip
        assert all(re.fullmatch(r"[\d,]+ ms", figure) for figure in figures.values()), figures
        assert page.locator("svg .word").count() == 6
        assert page.locator("svg .piece").count() == 2
        assert page.locator("svg .arrival").count() == 18
        picture = page.get_by_role("img", name=re.compile("6 words in 2 pieces, first sound after"))
        expect(picture).to_be_visible()
        expect(page.locator("svg .target-text")).to_have_text("300 ms")
        expect(page.locator("#gaps")).to_have_text("It is heard without a gap.")
        expect(page.get_by_role("button", name="Speak")).to_be_disabled()
        expect(page.locator("#talk-note")).to_contain_text("serve --ears")
        page.get_by_role("button", name="Play again").click()
        expect(page.get_by_role("status")).to_have_text("Playing it again …")
        expect(page.get_by_role("status")).to_have_text("Done.")
        page.get_by_text("Every moment as a table").click()
        assert page.locator("#moments tr").count() == 6 + 2 + 18


@pytest.mark.slow
@needs_chromium
def test_the_next_question_is_asked_over_the_same_connection(browser: Browser, url: str) -> None:
    with open_page(browser, url) as page:
        opened: list[str] = []
        page.on("websocket", lambda socket: opened.append(socket.url))
        for _ in range(2):
            page.get_by_role("button", name="Ask").click()
            expect(page.get_by_role("status")).to_have_text("Done.")
        assert opened == [url.replace("http", "ws") + "/v1/voice"]


@pytest.mark.slow
@needs_chromium
@pytest.mark.parametrize("by", ["button", "escape"])
def test_stopping_silences_the_page_and_stops_the_server(browser: Browser, by: str) -> None:
    with server(LONG) as url, open_page(browser, url) as page:
        page.get_by_role("button", name="Ask").click()
        expect(page.get_by_role("status")).to_have_text("Speaking …")
        if by == "button":
            page.get_by_role("button", name="Stop").click()
        else:
            page.keyboard.press("Escape")
        expect(page.get_by_role("status")).to_have_text("Stopped.")
        expect(page.get_by_role("button", name="Stop")).to_be_hidden()
        while httpx.get(f"{url}/health", trust_env=False).json()["running"]:
            pass
        page.get_by_role("button", name="Ask").click()  # and it can be asked again
        expect(page.get_by_role("status")).to_have_text("Speaking …")


@pytest.mark.slow
@needs_chromium
def test_a_locked_server_asks_for_its_key_and_takes_it(browser: Browser) -> None:
    with server(QUICK, token="s3cret") as url, open_page(browser, url) as page:
        key = page.get_by_label("Key of this server")
        expect(key).to_be_visible()
        key.fill("wrong")
        page.get_by_role("button", name="Ask").click()
        expect(page.get_by_role("status")).to_contain_text("is the key right?")
        expect(key).to_be_focused()
        key.fill("s3cret")
        page.get_by_role("button", name="Ask").click()
        expect(page.get_by_role("status")).to_have_text("Done.")


@pytest.mark.slow
@needs_chromium
def test_everything_is_reached_by_keyboard_in_the_order_of_reading(
    browser: Browser, url: str
) -> None:
    with open_page(browser, url) as page:
        reached = []
        for _ in range(2):
            page.keyboard.press("Tab")
            reached.append(page.evaluate("document.activeElement.id"))
        assert reached == ["question", "ask"]
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineWidth")
        assert outline == "3px"


CALL = """
async () => {
  window.recorded = 0;
  navigator.mediaDevices.getUserMedia = async () => {
    window.recorded += 1;
    const context = new AudioContext();
    const tone = new OscillatorNode(context, { frequency: 300 });
    const gain = new GainNode(context, { gain: 0.3 });
    const line = new MediaStreamAudioDestinationNode(context);
    tone.connect(gain).connect(line);
    tone.start();
    return line.stream;
  };
}
"""


@pytest.mark.slow
@needs_chromium
def test_a_call_by_keyboard_shows_both_sides_and_stops_where_it_is_interrupted(
    browser: Browser,
) -> None:
    agent = CountingAgent()
    with server(agent=agent, token="s3cret") as url, open_page(browser, url) as page:
        page.get_by_label("Key of this server").fill("s3cret")
        page.evaluate(CALL)
        assert page.evaluate("window.recorded") == 0
        page.get_by_role("button", name="Speak").press("Enter")
        expect(page.get_by_role("button", name="Hang up")).to_be_visible()
        expect(page.locator("#call-turns .words")).to_have_text(["What time is it?", "Noon."])
        expect(page.locator("#call-drawing .spoken")).to_have_count(1)
        expect(page.locator("#call-drawing .stage.stopped")).to_have_count(1)
        expect(
            page.get_by_role(
                "img", name=re.compile("answered 1 times, and was interrupted 1 times")
            )
        ).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.get_by_role("status")).to_have_text("You hung up.")
        assert page.evaluate("window.recorded") == 1
        (served,) = agent.calls
        assert served.is_over.wait(20)
        assert {frame.size for frame in served.frames} == {320}
        heard = max(abs(int(sample)) for frame in served.frames[5:] for sample in frame)
        assert 8_000 < heard < 11_500  # 0.3 of full scale


@pytest.mark.slow
@needs_chromium
@pytest.mark.parametrize(
    ("reason", "words"),
    [("NotAllowedError", "not allowed"), ("NotFoundError", "There is no microphone")],
)
def test_without_a_microphone_the_page_says_why_and_takes_a_question(
    browser: Browser, reason: str, words: str
) -> None:
    agent = CountingAgent()
    with server(agent=agent) as url, open_page(browser, url) as page:
        refuse = f"async () => {{ throw new DOMException('', '{reason}') }}"
        page.evaluate(f"() => {{ navigator.mediaDevices.getUserMedia = {refuse} }}")
        page.get_by_role("button", name="Speak").click()
        expect(page.get_by_role("status")).to_contain_text(words)
        expect(page.get_by_role("status")).to_contain_text("type your question")
        assert not agent.calls
        page.get_by_role("button", name="Ask").click()
        expect(page.get_by_role("status")).to_have_text("Done.")


CONTRAST = """
() => {
  const light = (color) => {
    const channels = color.match(/[\\d.]+/g).slice(0, 3).map((value) => {
      const share = value / 255;
      return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * channels[0] + 0.7152 * channels[1] + 0.0722 * channels[2];
  };
  const behind = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const color = getComputedStyle(one).backgroundColor;
      if (color !== "rgba(0, 0, 0, 0)" && color !== "transparent") return color;
    }
    return "rgb(255, 255, 255)";
  };
  const low = [];
  for (const element of document.querySelectorAll("main *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!own || !element.checkVisibility() || element.tagName === "title") continue;
    const style = getComputedStyle(element);
    const color = element instanceof SVGElement ? style.fill : style.color;
    const [one, other] = [light(color), light(behind(element))].sort((a, b) => b - a);
    const ratio = (one + 0.05) / (other + 0.05);
    if (ratio < 4.5) low.push(`${element.tagName}.${element.className} ${ratio.toFixed(2)}`);
  }
  return low;
}
"""


@pytest.mark.slow
@needs_chromium
def test_all_text_can_be_read_on_every_ground_and_nothing_sticks_out(
    browser: Browser, url: str
) -> None:
    schemes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
    with open_page(browser, url) as page:
        page.get_by_role("button", name="Ask").click()
        expect(page.get_by_role("status")).to_have_text("Done.")
        for scheme, width in product(schemes, (1100, 360)):
            page.emulate_media(color_scheme=scheme)
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate(CONTRAST) == [], (scheme, width)
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            folder = os.environ.get("VOICEBENCH_SCREENSHOTS")
            if folder:
                page.screenshot(path=f"{folder}/page-{scheme}-{width}.png", full_page=True)


@pytest.mark.slow
@needs_chromium
def test_who_asks_for_calm_gets_the_picture_when_it_is_complete(browser: Browser, url: str) -> None:
    with open_page(browser, url, reduced_motion="reduce") as page:
        page.evaluate("() => { window.requestAnimationFrame = () => { throw new Error('moved') } }")
        page.get_by_role("button", name="Ask").click()
        expect(page.get_by_role("status")).to_have_text("Done.")
        assert page.locator("svg .arrival").count() == 18
