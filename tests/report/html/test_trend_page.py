"""The page of a trend: the latest run's verdict, and changes only where intervals part."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from voicebench.figures.figure import parse_figure
from voicebench.figures.intervals import Interval
from voicebench.report.html.charts import Spec
from voicebench.report.html.parts import PageAnswer
from voicebench.report.html.trend_page import trend_answers, trend_html
from voicebench.results.history import History, Point

FIGURES = (parse_figure("first_audio.p50"), parse_figure("llm_tokens_per_s.p50"))


def point(
    value: float,
    low: float | None,
    high: float | None,
    verdict: str | None = "PASS",
    *,
    figure: str = "first_audio.p50",
    name: str = "nightly",
    cpu: str = "one",
) -> Point:
    return Point(
        label=f"2026010{value:.0f}-{name}"[:20],
        name=name,
        started_at=None,
        commit=None,
        turns=20,
        failed=0,
        verdict=verdict,
        values={figure: value},
        ranges={figure: Interval(low, high)},
        limits={figure: 400.0},
        machine={"cpu": cpu},
    )


def answers(*points: Point) -> list[PageAnswer]:
    series: dict[str, list[Point]] = {}
    for one in points:
        series.setdefault(one.title, []).append(one)
    return trend_answers(series, FIGURES)


def changed(*points: Point) -> PageAnswer:
    return answers(*points)[1]


def test_the_latest_run_decides_whether_it_is_fast_enough() -> None:
    before, latest = point(300, 290, 310), point(500, 490, 510, "FAIL")
    enough, _, after = answers(before, latest)
    assert (enough.word, enough.css) == ("No", "bad")
    assert enough.because == ["latest run: FAIL", "first_audio.p50: 500 ms, limit 400 ms"]
    assert after.because[0].startswith("voicebench compare 20260")
    assert answers(latest, before)[0].word == "Yes"


@pytest.mark.parametrize("verdict", ["FAIL", "UNDECIDED", "INVALID", "NOT JUDGED", None])
def test_no_other_verdict_is_a_yes(verdict: str | None) -> None:
    enough = answers(point(300, 290, 310, verdict))[0]
    assert not enough.word.startswith("Yes")
    assert "good" not in enough.css


@pytest.mark.parametrize(
    ("latest", "word", "css"),
    [
        ((350, 340, 360), "Worse than the run before", "bad"),
        ((250, 240, 260), "Better than the run before", "good"),
        ((320, 305, 335), "Nothing that is shown", ""),
        ((350, None, None), "Nothing that is shown", ""),
        ((350, None, 360), "Nothing that is shown", ""),
    ],
    ids=["above", "below", "overlaps", "open", "open below"],
)
def test_a_change_is_shown_only_where_the_intervals_part(
    latest: Sequence[float | None], word: str, css: str
) -> None:
    value, low, high = latest
    assert value is not None
    found = changed(point(300, 290, 310), point(value, low, high))
    assert (found.word, found.css) == (word, css)


def test_higher_is_better_where_the_figure_says_so() -> None:
    rate = "llm_tokens_per_s.p50"
    found = changed(point(10, 9, 11, figure=rate), point(20, 19, 21, figure=rate))
    assert found.word == "Better than the run before"
    assert found.because == ["llm_tokens_per_s.p50: 10.0/s → 20.0/s, better"]


def test_another_machine_takes_the_green_away() -> None:
    found = changed(point(300, 290, 310), point(250, 240, 260, cpu="two"))
    assert found.css == ""
    assert found.because[-1] == "measured on several machines, so figures may differ"


def test_one_run_alone_is_compared_with_nothing() -> None:
    assert changed(point(300, 290, 310)).word == "Nothing to compare with"


def test_several_series_are_counted_and_named() -> None:
    enough, found, _ = answers(
        point(300, 290, 310),
        point(350, 340, 360),
        point(300, 290, 310, "FAIL", name="other"),
    )
    assert (enough.word, enough.css) == ("1 of 2 latest runs passed", "bad")
    assert enough.because == ["other: FAIL"]
    assert found.because == ["nightly: first_audio.p50: 300 ms → 350 ms, worse"]


def test_the_page_has_a_head_for_each_series_and_escapes_names() -> None:
    def undrawn(_spec: Spec) -> str:
        return "<svg></svg>"

    hostile = "<script>window.pwned=1</script>"
    points = (point(300, 290, 310), point(300, 290, 310, "FAIL", name=hostile))
    page = trend_html(History(points, FIGURES, ()), drawer=undrawn)
    assert "<h1>History</h1>" in page
    assert page.index("Fast enough?") < page.index("<nav")
    assert page.count('<span class="badge') == 2
    assert page.count("<script>") == 1
    assert "&lt;script&gt;window.pwned" in page
    assert 'id="environment"' not in page
