"""Draw the pictures of the documentation: terminal and page, both of results/example.

    python tools/draw_images.py            # `make images`; needs Chromium
    python tools/draw_images.py short      # only the pictures that are named

The terminal is what Rich prints, exported as SVG; the page is what ``report --format html`` writes.
A headless Chromium takes screenshots of both.
"""

from __future__ import annotations

import io
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from rich.console import Console

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from playwright.sync_api import Page, sync_playwright  # noqa: E402

from voicebench.report.console.console import print_runs  # noqa: E402
from voicebench.report.html import html_report  # noqa: E402
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


if __name__ == "__main__":
    main()
