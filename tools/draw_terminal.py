"""Draw the example run as a terminal shows it, to ``docs/images/run.png``.

    python tools/draw_terminal.py

Rich writes the SVG, and Chromium (Debian's ``chromium``) turns it into pixels.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from rich.console import Console  # noqa: E402
from rich.text import Text  # noqa: E402

from voicebench.report.recorded import read_recorded  # noqa: E402
from voicebench.report.recorded_table import print_recorded  # noqa: E402

EXAMPLE = ROOT / "results" / "example"
PICTURE = ROOT / "docs" / "images" / "run.png"
COLUMNS, LINES = 100, 44
CHARACTER_PX = 12.2
LINE_PX = 24.4
FRAME_PX = (40, 80)


def _terminal() -> Console:
    return Console(
        width=COLUMNS,
        record=True,
        file=io.StringIO(),
        force_terminal=True,
        color_system="truecolor",
    )


def main() -> None:
    """Draw the head of the example run: the verdicts and the runs."""
    console = Console(
        width=COLUMNS,
        record=True,
        file=io.StringIO(),
        force_terminal=True,
        color_system="truecolor",
    )
    print_recorded(console, [read_recorded(EXAMPLE)])
    shown = console.export_text(styles=True, clear=True).splitlines()[:LINES]
    picture = Console(
        width=COLUMNS,
        record=True,
        file=io.StringIO(),
        force_terminal=True,
        color_system="truecolor",
    )

    for line in shown:
        picture.print(Text.from_ansi(line), soft_wrap=True)
    svg = picture.export_svg(title="voicebench run")
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    chromium = shutil.which("chromium") or sys.exit("chromium is missing: apt install chromium")
    width = int(COLUMNS * CHARACTER_PX + FRAME_PX[0])
    height = int(len(shown) * LINE_PX + FRAME_PX[1])
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "run.html"
        page.write_text(f"<!doctype html><body style='margin:0'>{svg}</body>", encoding="utf-8")
        subprocess.run(
            [
                chromium,
                *("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
                *("--disable-background-networking", "--disable-component-update"),
                *("--disable-sync", "--no-first-run", "--disable-quic"),
                f"--user-data-dir={folder}/profile",
                f"--window-size={width},{height}",
                f"--screenshot={PICTURE}",
                page.as_uri(),
            ],
            check=True,
            capture_output=True,
            timeout=120,
        )


if __name__ == "__main__":
    main()
