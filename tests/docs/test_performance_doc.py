"""docs/explanation/performance.md has what the benchmark writes, and names things that exist."""

from __future__ import annotations

import re
from pathlib import Path

from benchmarks.callers.__main__ import MARK
from benchmarks.first_audio import page
from benchmarks.first_audio.__main__ import parse
from benchmarks.first_audio.rows import ROWS
from voicebench.settings import describe_keys

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "explanation" / "performance.md").read_text(encoding="utf-8")
WRITTEN = PAGE.split(page.BEGIN)[1].split(page.END)[0]
FLAT = " ".join(PAGE.split())


def test_the_page_holds_a_dated_run_on_a_named_machine() -> None:
    assert re.search(r"Measured on \d{4}-\d\d-\d\d with voicebench \S+ on \d+ cores of ", WRITTEN)


def test_each_condition_shows_every_row_that_was_measured_on_thirty_prompts_or_more() -> None:
    for heading in ("### Back to back", "### After 0.7 s of silence"):
        section = WRITTEN.split(heading)[1].split("###")[0]
        for row in ROWS:
            if f"Row ({row.key}) was not measured" in WRITTEN:
                continue
            [turns] = re.findall(
                rf"^\| \*\*{row.key}\*\* {re.escape(row.title)} \| (\d+)", section, re.M
            )
            assert int(turns) >= 30


def test_every_promise_says_whether_it_is_held() -> None:
    section = WRITTEN.split("### The promises")[1].split("###")[0]
    words = re.findall(r"\| (held|NOT HELD|not measured) \|$", section, re.M)
    assert len(words) == section.count("\n| ") - 2  # without its head
    assert len(words) >= 10


def test_stages_growth_and_tries_are_there() -> None:
    assert "### By stage" in WRITTEN
    # Of this run, or of an earlier one.
    for heading in ("Prompt:", "Text chunk:", "Reply:", "Turns that start together"):
        assert f"### {heading}" in PAGE
    for heading in ("A stronger warm-up", "Keeping warm in silence"):
        assert f"### {heading}" in PAGE


def test_every_table_has_as_many_cells_in_each_row() -> None:
    tables = re.findall(r"(?:^\|.*\|$\n?)+", PAGE, re.M)
    assert len(tables) >= 12
    for table in tables:
        assert len({line.count(" | ") for line in table.splitlines() if "---" not in line}) == 1


def test_the_answers_quote_the_tables() -> None:
    [quoted] = re.findall(r"those of the run of (\S+)\.", FLAT)
    assert f"Measured on {quoted}" in WRITTEN

    def row(start: str, part: str = WRITTEN) -> list[str]:
        [found] = [line for line in part.splitlines() if line.startswith(start)]
        return [cell.strip() for cell in found.strip("|").split("|")]

    def p50(key: str, condition: str, column: int) -> str:
        section = WRITTEN.split(condition)[1].split("###")[0]
        return row(f"| **{key}** ", section)[column].split(" / ")[0]

    three, two = (p50(key, "### Back to back", 2) for key in ("d3", "d2"))
    assert f"came at {two} instead of {three} ms (p50)" in FLAT
    three, two = (p50(key, "### After 0.7 s", 2) for key in ("d3", "d2"))
    assert f"after silence at {two} instead of {three} ms" in FLAT
    three, two = (p50(key, "### Back to back", 5) for key in ("d3", "d2"))
    assert f"complete at {two} instead of {three} ms" in FLAT
    warm = PAGE.split("### A stronger warm-up")[1]
    none, more, most = (row(f"| {count} |", warm.split("###")[0])[1] for count in (0, 3, 10))
    assert f"{none} ms without any warm-up turn, {more} with three, {most} with ten" in FLAT


def test_settings_and_options_that_are_named_exist() -> None:
    keys = {key for key, _ in describe_keys()}
    named = set(re.findall(r"`([a-z]+\.[a-z_]+)(?: = [^`]*)?`", PAGE.split(page.BEGIN)[0]))
    assert named
    assert named <= keys
    for command in re.findall(r"^python -m benchmarks\.first_audio (.*?)(?: +#.*)?$", PAGE, re.M):
        assert parse(command.split())


def test_make_bench_runs_it() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "-m benchmarks.first_audio" in makefile
    assert "-m benchmarks.callers" in makefile


def test_the_page_has_room_for_the_callers(tmp_path: Path) -> None:
    copy = tmp_path / "performance.md"
    copy.write_text(PAGE, encoding="utf-8")
    page.write("four callers", copy, MARK)
    written = copy.read_text(encoding="utf-8")
    assert "four callers" in written
    assert written.split(page.BEGIN)[1] == PAGE.split(page.BEGIN)[1]
