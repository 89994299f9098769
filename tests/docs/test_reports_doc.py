"""``docs/how-to/reports.md`` names the formats, pictures that exist, and the limits of the code."""

from __future__ import annotations

import re
from pathlib import Path

from voicebench.cli.report import Format
from voicebench.errors import ExitCode
from voicebench.judging.digest import MOST_WHOLE
from voicebench.report.html.turns import AUDIO_BYTES
from voicebench.report.runs import MOST_SHOWN

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "how-to" / "reports.md").read_text(encoding="utf-8")


def test_every_format_has_its_row() -> None:
    table = PAGE.partition("| `--format` |")[2].partition("\n\n")[0]
    named = {
        name
        for row in table.splitlines()[2:]
        for name in re.findall(r"`([a-z-]+)`", row.split("|")[1])
    }
    assert named == {form.value for form in Format}


def test_every_picture_and_page_that_is_named_is_there() -> None:
    linked = re.findall(r"\]\((?!https?:)([^)#]+)\)", PAGE)
    assert len(linked) >= 5
    assert all((DOCS / "how-to" / name).is_file() for name in linked)


def test_the_bounds_are_those_of_the_code() -> None:
    assert f"more than {MOST_WHOLE} runs" in PAGE
    assert f"from {MOST_SHOWN} on" in PAGE
    assert f"up to {AUDIO_BYTES / 1e6:.0f} MB of it" in PAGE
    assert f"| {ExitCode.UNDECIDED} | something differs" in PAGE
