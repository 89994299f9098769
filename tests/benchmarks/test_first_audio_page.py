from __future__ import annotations

import re
from pathlib import Path

import pytest
from handmade import make_turn

from benchmarks.first_audio import page
from benchmarks.first_audio.rounds import Turns

PARTS = {
    "about": "Measured here.",
    "bandwidth": "10 GB/s.",
    "stages": [{"name": "prefill", "p50_ms": 30.0, "read_bytes": 1e8, "floor_ms": 10.0}],
    "growth": [{"title": "prompt", "columns": ["tokens", "ms"], "rows": [[16, 31.4], [64, None]]}],
}
TURNS: Turns = {
    (row, condition): [make_turn(audio=[(ms, 500)]), make_turn(audio=[(ms, 500)])]
    for row, ms in (("b", 600.0), ("d3", 200.0))
    for condition in ("back", "rested")
}


def test_every_table_has_as_many_cells_in_each_row() -> None:
    tables = re.findall(r"(?:^\|.*\|$\n?)+", page.markdown(TURNS, PARTS), re.M)
    assert len(tables) == 7
    for table in tables:
        assert len({line.count(" | ") for line in table.splitlines()}) == 1, table


def test_each_condition_has_its_rows_with_p50_and_p95_and_the_ratio() -> None:
    text = page.markdown(TURNS, PARTS)
    for heading in ("### Back to back", "### After 0.7 s of silence"):
        section = text.split(heading)[1].split("###")[0]
        assert "| 600 / 600 |" in section
        assert "| 200 / 200 |" in section
        assert "| (b) over (d3) | 3.00 (3.00 to 3.00) · 3.00 (3.00 to 3.00) |" in section
        assert "(c)" not in section


def test_a_stage_stands_beside_its_floor() -> None:
    assert "| prefill | 30.0 | 100 | 10.0 | 3.0 × |" in page.markdown(TURNS, PARTS)


def test_what_was_not_measured_is_a_dash() -> None:
    assert "| 64 | – |" in page.markdown(TURNS, PARTS)


def test_writing_changes_only_what_stands_between_the_marks(tmp_path: Path) -> None:
    file = tmp_path / "page.md"
    file.write_text(f"before\n{page.BEGIN}\nold\n{page.END}\nafter\n", encoding="utf-8")
    page.write(r"new \1", file)
    text = file.read_text(encoding="utf-8")
    assert text == f"before\n{page.BEGIN}\n\nnew \\1\n\n{page.END}\nafter\n"


def test_a_page_that_is_not_there_is_made(tmp_path: Path) -> None:
    file = tmp_path / "page.md"
    for text in ("first", "second"):
        page.write(text, file)
        assert file.read_text(encoding="utf-8") == f"{page.BEGIN}\n\n{text}\n\n{page.END}\n"


def test_a_page_without_the_marks_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "page.md"
    file.write_text("no marks\n", encoding="utf-8")
    with pytest.raises(ValueError, match="not exactly one part"):
        page.write("new", file)
