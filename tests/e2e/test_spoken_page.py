"""The page at / with a microphone: a line is spoken to the embedded agent, and answered aloud."""

from __future__ import annotations

import re
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from chromium import launched, needs_chromium
from playwright.sync_api import expect
from served_process import served_models

from voicebench.audio.pcm import to_int16
from voicebench.calls.running.line_rendering import SPOKEN_RATE, open_line_voice

LINE = "What time do you open on Sunday?"
WORDS = ("time", "open", "sunday")
PATIENCE_MS = 60_000
"""A busy machine answers late; the test says nothing about when."""

pytestmark = [pytest.mark.models, pytest.mark.slow, needs_chromium]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with served_models("--ears") as url:
        yield url


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the line in the embedded voice, after a second of silence."""
    voice = open_line_voice("hibari-heart", 1.0, lambda _line: None)
    spoken = to_int16(voice.speak(LINE)).astype("<i2")
    path = tmp_path_factory.mktemp("microphone") / "line.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SPOKEN_RATE)
        file.writeframes(np.zeros(SPOKEN_RATE, "<i2").tobytes() + spoken.tobytes())
    return path


def test_a_spoken_line_is_understood_answered_aloud_and_drawn(url: str, line: Path) -> None:
    microphone = (
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-audio-capture={line}%noloop",
    )
    with launched(*microphone) as browser:
        page = browser.new_page()
        page.set_default_timeout(PATIENCE_MS)
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(url)
        page.get_by_role("button", name="Speak").click()

        # Understood: the transcript and the reply stand in the table.
        said, reply = page.locator("#call-turns .words").nth(0), page.locator(".words").nth(1)
        expect(said).to_contain_text(re.compile("sunday", re.IGNORECASE), timeout=PATIENCE_MS)
        expect(reply).to_contain_text(re.compile(r"\w{2}"), timeout=PATIENCE_MS)
        # Answered aloud: there is a span of sound that was played, and a response time.
        drawing = page.locator("#call-drawing")
        expect(drawing.locator(".played")).not_to_have_count(0, timeout=PATIENCE_MS)
        expect(page.locator("#call-turns .lead").first).to_have_text(re.compile(r"\d+ ms"))
        # Drawn: both sides, the wait between them, and its stages.
        for shape in (".spoken", ".wait", ".stage.endpoint", ".stage.transcript", ".stage.token"):
            expect(drawing.locator(shape)).not_to_have_count(0)
        name = re.compile("you spoke [1-9].*the agent answered [1-9]")
        expect(page.get_by_role("img", name=name)).to_be_visible()

        page.keyboard.press("Escape")
        expect(page.get_by_role("status")).to_have_text("You hung up.")
        heard = (said.text_content() or "").lower()
        assert [word for word in WORDS if word not in heard] == []
        assert errors == []
