"""The page of a sweep: its choice is the table's, and without one nothing is called best."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from voicebench.figures.intervals import Interval
from voicebench.judging.best_setting import CandidateStanding
from voicebench.report.console.tuning_table import TradeOffRow, tuning_sheet
from voicebench.report.html.charts import Spec
from voicebench.report.html.tuning_page import (
    SweepPage,
    trade_off_charts,
    tuning_answers,
    tuning_html,
)

HOSTILE = "<script>window.pwned=1</script>"


def row(label: str, first_audio: float | None, standing: str = "") -> TradeOffRow:
    around = None if first_audio is None else Interval(first_audio - 10, first_audio + 10)
    gapless = None if first_audio is None else first_audio + 50
    return TradeOffRow(label, 20, 0, first_audio, around, gapless, 0.0, 2.0, 6.0, standing)


def sweep(rows: Sequence[TradeOffRow], command: str = "", line: str = "the line") -> SweepPage:
    values = [
        np.array([] if one.first_audio_ms is None else [one.first_audio_ms] * 20) for one in rows
    ]
    return SweepPage("Sweep: x", rows, values, tuning_sheet(rows, "Measured", line), line, command)


CHOSEN = (
    row("first_words=1", 300, CandidateStanding.AS_EARLY),
    row("first_words=3", 310, CandidateStanding.BEST),
)


def undrawn(_spec: Spec) -> str:
    return "<svg></svg>"


def test_the_best_setting_its_figures_and_the_command_are_the_answers() -> None:
    which, changes, after = tuning_answers(sweep(CHOSEN, "voicebench run best.toml"))
    assert (which.word, which.css, which.because) == ("first_words=3", "good", ["the line"])
    assert changes.word == "first audio 310 ms, gapless start 360 ms"
    assert changes.because == ["first_words=1: first audio 300 ms, gapless start 350 ms"]
    assert after.because == ["voicebench run best.toml"]


@pytest.mark.parametrize(
    "standing",
    [CandidateStanding.IN_DOUBT, CandidateStanding.AS_EARLY, CandidateStanding.STARVES, ""],
)
def test_without_a_choice_nothing_is_called_best(standing: str) -> None:
    which, after = tuning_answers(sweep([row("a=1", 300, standing), row("a=2", 290, standing)]))
    assert (which.word, which.css) == ("None is chosen", "unsure")
    assert after.word == "Measure again"


def test_the_chart_has_every_candidate_with_audio() -> None:
    [(_, words, spec)] = trade_off_charts([*CHOSEN, row("first_words=9", None)])
    data = spec["data"]
    assert isinstance(data, dict)
    found = {(one["candidate"], one["figure"]): one["ms"] for one in data["values"]}
    assert found["first_words=3", "gapless start"] == 360
    assert len(found) == 4
    assert "first_words=3: first audio 310 ms, gapless start 360 ms (best)" in words
    assert trade_off_charts([row("a=1", None)]) == []


def test_the_page_has_its_parts_and_escapes_every_word() -> None:
    rows = [row(HOSTILE, 300, CandidateStanding.BEST), row("b", 310)]
    page = tuning_html(sweep(rows, HOSTILE, HOSTILE), drawer=undrawn)
    for heading in ("Trade-off", "Distributions", "First audio and gapless start"):
        assert f">{heading}<" in page
    assert "<h1>Sweep: x</h1>" in page
    assert page.count("<script>") == 1
    assert "&lt;script&gt;window.pwned" in page


def test_of_many_candidates_the_best_and_the_earliest_are_drawn() -> None:
    rows = [row(f"a={n}", 300.0 + n) for n in range(9)]
    rows[7] = row("a=7", 307, CandidateStanding.BEST)
    page = tuning_html(sweep(rows), drawer=undrawn)
    assert "A (a=7): 20 values, median 307 ms; B (a=0): " in page
    assert "5 other candidates not drawn" in page
