"""The trend on the page: a chart for each figure, told in words, and a table of the runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from handmade import failed_turn, make_turn
from recorded_folders import write_result

from voicebench.figures.figure import parse_figure
from voicebench.figures.intervals import Interval
from voicebench.report.html import trend_of, trend_sections
from voicebench.report.html.trend import MOST_ROWS, chart, in_words
from voicebench.report.html.trend_page import trend_html
from voicebench.results.history import Point, run_history
from voicebench.results.run import read_run

FIGURE = parse_figure("first_audio.p50")
ERRORS = parse_figure("errors.rate")


def point(value: float | None, *, at: str = "2026-01-05T10:15:00Z", **more: Any) -> Point:
    values = {"first_audio.p50": value, "errors.rate": 0.25}
    return Point("20260105T101500Z-x", "x", at, "0123456789abcdef", 20, 5, "PASS", values, **more)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    for day, first_audio in enumerate((400, 300, 350), start=1):
        turns = [make_turn(audio=((first_audio, 400),)) for _ in range(6)]
        stamp = f"2026010{day}T000000Z"
        write_result(tmp_path, turns, name="nightly", stamp=stamp, gates=("first_audio.p50<320ms",))
    write_result(tmp_path, [make_turn(), failed_turn()], name="other", stamp="20260104T000000Z")
    return tmp_path


def values_of(spec: dict[str, Any]) -> list[dict[str, Any]]:
    return list(spec["data"]["values"])


def test_runs_are_numbered_from_the_oldest_and_a_gap_stays_a_gap() -> None:
    rows = values_of(chart([point(400.0), point(None), point(350.0)], FIGURE))
    assert [(row["run"], row["value"]) for row in rows] == [(1, 400.0), (2, None), (3, 350.0)]


def test_a_bar_shows_the_interval_and_an_open_end_begins_at_the_value() -> None:
    open_above = {"first_audio.p50": Interval(280.0, None)}
    [row] = values_of(chart([point(300.0, ranges=open_above)], FIGURE))
    assert (row["low"], row["high"]) == (280.0, 300.0)


def test_shares_are_drawn_in_percent() -> None:
    [row] = values_of(chart([point(1.0)], ERRORS))
    assert row["value"] == 25.0


def test_the_limit_is_that_of_the_latest_run() -> None:
    limits = [{"first_audio.p50": limit} for limit in (200.0, 320.0)]
    spec = chart([point(1.0, limits=limits[0]), point(2.0, limits=limits[1])], FIGURE)
    layers = spec["layer"]
    assert isinstance(layers, list)
    assert layers[0]["data"] == {"values": [{"value": 320.0}]}
    more = chart([point(1.0)], FIGURE)["layer"]
    assert isinstance(more, list)
    assert len(more) == 2


def test_the_trend_is_told_in_words() -> None:
    assert in_words([point(400.0), point(None), point(300.0), point(350.0)], FIGURE) == (
        "3 runs, 300 ms to 400 ms, latest 350 ms, +17 % against the run before."
    )


def test_every_name_has_a_section_with_its_runs_the_latest_first(results: Path) -> None:
    nightly, other = trend_sections(run_history(results))
    assert (nightly.title, other.title) == ("History: nightly", "History: other")
    [sheet] = nightly.sheets
    cells = {column.head: [cell.plain for cell in column.cells] for column in sheet.columns}
    assert cells["run"] == ["3", "2", "1"]
    assert cells["first_audio.p50, ms"] == ["350", "300", "400"]
    assert cells["started"][0] == "2026-01-03 00:00"


def test_a_table_of_many_runs_shows_the_latest_and_says_so(results: Path) -> None:
    history = run_history(results, "nightly")
    many = type(history)(history.points * 30, history.figures, ())
    [section] = trend_sections(many)
    [sheet] = section.sheets
    assert len(sheet.columns[0].cells) == MOST_ROWS
    assert [note.plain for note in sheet.notes] == [f"the latest {MOST_ROWS} of 90 runs"]


def test_the_page_of_a_result_does_not_change_when_later_runs_come(results: Path) -> None:
    second = read_run(results / "20260102T000000Z-nightly")
    [section] = trend_of([second])
    [sheet] = section.sheets
    assert [cell.plain for cell in sheet.columns[0].cells] == ["2", "1"]


def test_a_page_of_the_trend_alone_has_no_empty_parts(results: Path) -> None:
    page = trend_html(run_history(results), drawer=lambda _spec: "<svg></svg>")
    assert "<title>History: voicebench</title>" in page
    assert page.count("<h2") == 2
    assert 'id="waterfall"' not in page
    assert page.count("<svg") > 6
