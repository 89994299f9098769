"""Draw the pictures of the documentation: terminal and page, both of results/example.

    python tools/draw_images.py            # `make images`; needs Chromium

The terminal is what Rich prints, exported as SVG; the page is what ``report --format html`` writes.
A headless Chromium takes screenshots of both.
"""

from __future__ import annotations

import io
import sys
import tempfile
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
BELOW_TABLES = "Waterfall"


def terminal_svg(run: RecordedRun, *, waterfall: bool) -> str:
    """Return the terminal as SVG: the tables down to the phases, or only the waterfall."""
    printed = Console(file=io.StringIO(), width=COLUMNS, force_terminal=True, color_system="256")
    print_runs(printed, [run])
    assert isinstance(printed.file, io.StringIO)
    lines = printed.file.getvalue().splitlines()
    begin = next(n for n, line in enumerate(lines) if BELOW_TABLES in line)
    speech = next(n for n, line in enumerate(lines) if "TTS first byte by text length" in line)
    shown = lines[begin:] if waterfall else lines[: speech - 1]
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
    """Draw all pictures."""
    run = replace(read_run(EXAMPLE), path=EXAMPLE.relative_to(ROOT))
    report = html_report([replace(run, path=EXAMPLE)])
    with ExitStack() as closing:
        driver = closing.enter_context(sync_playwright())
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        closing.callback(browser.close)
        page = browser.new_page()
        for name, waterfall in (("terminal", False), ("terminal-waterfall", True)):
            svg = terminal_svg(run, waterfall=waterfall)
            body = f'<body style="margin:0"><style>svg{{width:900px}}</style>{svg}</body>'
            photograph(page, body, IMAGES / f"{name}.png", 900, 100)
            size = page.locator("svg").bounding_box()
            assert size is not None
            photograph(page, body, IMAGES / f"{name}.png", 900, round(size["height"]))
        photograph(page, report, IMAGES / "report-light.png", 1100, 1080)
        photograph(page, report, IMAGES / "report-phone.png", 360, 1330)


if __name__ == "__main__":
    main()
