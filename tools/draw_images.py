"""Draw the pictures of the documentation: terminal and page.

They show results/example, but for two: the dark waterfall is of a simulated voice that cannot keep
up, and the trend of twelve runs of a pipeline of delays.

    python tools/draw_images.py            # `make images`; needs Chromium
    python tools/draw_images.py short      # only the pictures that are named

The terminal is what Rich prints, exported as SVG; the pages are what ``report --format html`` and
``history --html`` write. A headless Chromium takes screenshots of both.
"""

from __future__ import annotations

import io
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from random import Random

from rich.console import Console

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from playwright.sync_api import Page, sync_playwright  # noqa: E402

from voicebench import measure  # noqa: E402
from voicebench.audio.synthetic_voice import synthetic_voice  # noqa: E402
from voicebench.events import AudioChunk, Emit, TextChunk, Token  # noqa: E402
from voicebench.report.console.console import print_runs  # noqa: E402
from voicebench.report.html import html_report  # noqa: E402
from voicebench.report.html.trend_page import trend_html  # noqa: E402
from voicebench.results.history import run_history  # noqa: E402
from voicebench.results.run import RecordedRun, read_run  # noqa: E402

IMAGES = ROOT / "docs" / "images"
EXAMPLE = ROOT / "results" / "example"
CHROMIUM = "/usr/bin/chromium"
COLUMNS = 96


def tables(lines: list[str]) -> list[str]:
    """Return the lines down to the phases."""
    return lines[: _line(lines, "TTS first byte by text length") - 1]


def waterfall(lines: list[str]) -> list[str]:
    """Return the waterfall and all below it."""
    return lines[_line(lines, "Waterfall") :]


def short(lines: list[str]) -> list[str]:
    """Return the verdict, the judged figures, and the turn of median first audio."""
    median = _line(lines, "the median")
    legend = _line(lines, "waiting for the reply to begin")
    return [
        *lines[: _line(lines, "Runs, in ms")],
        *lines[median : median + 6],
        *lines[legend : legend + 4],
    ]


def _line(lines: list[str], words: str) -> int:
    return next(number for number, line in enumerate(lines) if words in line)


TERMINALS = {"terminal": tables, "terminal-waterfall": waterfall, "terminal-short": short}
"""The pictures of the terminal, and the lines that each shows."""


def terminal_svg(run: RecordedRun, part: Callable[[list[str]], list[str]]) -> str:
    """Return the lines of the terminal that ``part`` chooses, as SVG."""
    printed = Console(file=io.StringIO(), width=COLUMNS, force_terminal=True, color_system="256")
    print_runs(printed, [run])
    assert isinstance(printed.file, io.StringIO)
    shown = part(printed.file.getvalue().splitlines())
    drawn = Console(file=io.StringIO(), record=True, width=COLUMNS, force_terminal=True)
    from rich.text import Text

    for line in shown:
        drawn.print(Text.from_ansi(line), no_wrap=True)
    return drawn.export_svg(title="voicebench report results/example")


def photograph(page: Page, html: str, path: Path, width: int, height: int) -> None:
    """Write a screenshot of ``html`` in a window of this size."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "page.html"
        file.write_text(html, encoding="utf-8")
        page.set_viewport_size({"width": width, "height": height})
        page.goto(file.as_uri())
        page.screenshot(path=str(path))


STALLING = "sim:ttft=90ms,token=25ms,ttfb=70ms,speed=0.9x,slots=1,service=exp:90ms,words=12,fail=7"
"""A voice that is slower than speech, so that playback stalls; every seventh turn fails."""
NIGHTS = [(75 + 9 * (night * 5 % 4), 96 - 4 * night) for night in range(12)]
"""The delays of the first token and of the voice in each run of the trend, in ms."""


def dark_waterfall(page: Page, folder: Path) -> None:
    """Draw whole turns of a voice that stalls, the slowest first, in dark colours."""
    gates = ["first_audio.p95 < 300ms", "errors.rate <= 0"]
    settings = {"run.name": "slow-voice", "run.warmup": 1}
    run = measure(STALLING, settings, runs=12, gates=gates, results=folder)
    file = folder / "page.html"
    file.write_text(html_report([run.recorded]), encoding="utf-8")
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": 1000, "height": 900})
    page.goto(file.as_uri())
    page.click('[data-view="whole"]')
    page.click('[data-order="slow"]')
    page.locator("#waterfall").evaluate("element => window.scrollTo(0, element.offsetTop - 8)")
    page.screenshot(path=str(IMAGES / "report-dark.png"))
    page.emulate_media(color_scheme="light")


def trend(page: Page, folder: Path) -> None:
    """Draw the trend of a pipeline whose voice becomes faster."""
    gates = ["first_audio.p50 < 200ms", "llm_total.mean < 150ms", "errors.rate <= 0"]
    settings = {"run.name": "nightly", "run.warmup": 0}
    chance = Random(0)
    sound = synthetic_voice(16_000, 16_000)
    delays = NIGHTS[0]

    # One target with other delays each night. Of two `sim:` targets each would have its own trend.
    def answer(_prompt: str, emit: Emit) -> None:
        time.sleep(delays[0] * chance.uniform(0.8, 1.4) / 1e3)
        for word in ("That ", "is ", "a ", "short ", "reply"):
            emit(Token(word))
        emit(TextChunk("That is a short reply"))
        time.sleep(delays[1] * chance.uniform(0.9, 1.2) / 1e3)
        emit(AudioChunk(sound, 16_000))

    for delays in NIGHTS:  # noqa: B007
        measure(answer, settings, runs=15, gates=gates, results=folder)
    photograph(page, trend_html(run_history(folder)), IMAGES / "history-light.png", 1000, 1000)


DRAWN = {"report-dark": dark_waterfall, "history-light": trend}
"""The pictures that measure something first."""


def main() -> None:
    """Draw all pictures, or those whose names have one of the words of the command line."""
    words = sys.argv[1:] or [""]
    run = replace(read_run(EXAMPLE), path=EXAMPLE.relative_to(ROOT))
    report = html_report([replace(run, path=EXAMPLE)])
    with ExitStack() as closing:
        driver = closing.enter_context(sync_playwright())
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        closing.callback(browser.close)
        page = browser.new_page()
        for name, part in TERMINALS.items():
            if not any(word in name for word in words):
                continue
            svg = terminal_svg(run, part)
            body = f'<body style="margin:0"><style>svg{{width:900px}}</style>{svg}</body>'
            photograph(page, body, IMAGES / f"{name}.png", 900, 100)
            size = page.locator("svg").bounding_box()
            assert size is not None
            photograph(page, body, IMAGES / f"{name}.png", 900, round(size["height"]))
        for name, width, height in (("report-light", 1100, 1080), ("report-phone", 360, 1330)):
            if any(word in name for word in words):
                photograph(page, report, IMAGES / f"{name}.png", width, height)
        for name, draw in DRAWN.items():
            if any(word in name for word in words):
                draw(page, Path(closing.enter_context(tempfile.TemporaryDirectory())))


if __name__ == "__main__":
    main()
