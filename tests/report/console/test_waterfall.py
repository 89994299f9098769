from __future__ import annotations

from itertools import pairwise

import pytest
from handmade import failed_turn, make_turn, sprint_turns
from outcomes import UNDER_300, lines_of, repeated, shown, simulated_turns
from rich.cells import cell_len

from voicebench.judging.digest import digest_of
from voicebench.report.console.style import PLAIN
from voicebench.report.console.waterfall import (
    BEYOND,
    GLYPHS,
    TARGET,
    Axis,
    Waterfall,
    chosen_runs,
    fit_axis,
    paint,
)
from voicebench.report.lanes import Kind, Lane, Mark, Span
from voicebench.turn.timeline import Timeline


def picture(turns: list[Timeline], width: int = 100, **options: str) -> list[str]:
    return lines_of(shown(Waterfall(digest_of(turns), UNDER_300), width, **options))  # type: ignore[arg-type]


def painted(*spans: Span, marks: tuple[Mark, ...] = (), target_ms: float = 1000) -> str:
    """Paint on an axis of 10 ms a cell, 20 cells."""
    return paint(Lane("", spans, marks), Axis(200, 20), target_ms).plain


def test_a_stretch_fills_the_cells_it_lies_over() -> None:
    assert painted(Span(0, 50, Kind.PREFILL), Span(50, 80, Kind.WAIT)) == "░░░░░┄┄┄" + " " * 12


def test_a_stretch_shorter_than_a_cell_is_still_seen() -> None:
    assert painted(Span(30, 30, Kind.ARRIVING)) == "   █" + " " * 16


def test_a_stall_is_as_many_cells_as_it_is_long_and_at_least_one() -> None:
    speech = Span(0, 200, Kind.PLAYING)
    assert painted(speech, Span(49, 50, Kind.STALL)).count("╳") == 1
    assert painted(speech, Span(45, 75, Kind.STALL)).count("╳") == 3


def test_marks_lie_over_the_target_and_the_target_over_stretches() -> None:
    speech = Span(0, 200, Kind.PLAYING)
    assert painted(speech, target_ms=100)[10] == TARGET[0]
    first_audio = Mark(105, Kind.FIRST_AUDIO)
    assert painted(speech, marks=(first_audio,), target_ms=100)[10] == "▶"


def test_what_goes_on_past_the_axis_says_so() -> None:
    assert painted(Span(0, 201, Kind.PLAYING))[-1] == BEYOND[0]
    assert painted(Span(0, 200, Kind.PLAYING))[-1] == "━"


def test_a_mark_past_the_axis_is_not_drawn_at_its_edge() -> None:
    assert painted(marks=(Mark(500, Kind.FIRST_AUDIO),)).strip() == ""


def test_the_axis_shows_the_target_even_where_all_turns_are_faster() -> None:
    assert fit_axis([80, 90], 300, 60).end_ms > 300


def test_one_very_slow_turn_does_not_squeeze_the_others() -> None:
    assert fit_axis([300, 310, 320, 60_000], 300, 60).end_ms < 1500


def test_turns_that_take_no_time_have_an_axis() -> None:
    assert fit_axis([0.0], 0.0, 60).end_ms > 0


def test_every_kind_has_a_character_of_its_own_with_and_without_blocks() -> None:
    glyphs = [glyph for glyph, _ in (*GLYPHS.values(), TARGET, BEYOND)]
    assert set(GLYPHS) == set(Kind)
    assert len(set(glyphs)) == len(glyphs)
    plain = [PLAIN[glyph] for glyph in glyphs]
    together = [
        {Kind.PREFILL, Kind.WRITING, Kind.TOKEN, Kind.LLM_DONE, Kind.FAILED},
        {Kind.WAIT, Kind.SYNTHESIS, Kind.ARRIVING, Kind.FAILED},
        set(Kind) - {Kind.WRITING, Kind.TOKEN, Kind.ARRIVING},
    ]
    for lane in together:
        drawn = [PLAIN[GLYPHS[kind][0]] for kind in lane]
        assert len(set(drawn)) == len(drawn)
    assert plain[-2:] == ["|", "}"]


def test_each_run_has_its_line_with_its_first_audio() -> None:
    lines = picture(sprint_turns())
    for number, first_audio in enumerate((338, 301, 252, 295, 286, 301, 310, 361), start=1):
        [line] = [line for line in lines if line.startswith(f"{number:>7}  ")]
        assert line.endswith(f"»  {first_audio}")


def test_a_run_with_stalls_says_how_many() -> None:
    turn = make_turn(audio=((186, 100), (400, 100), (600, 100)))
    [line] = [line for line in picture([turn]) if line.startswith("      1  ")]
    assert line.endswith("186 ╳2")


def test_the_fastest_the_median_and_the_slowest_run_are_shown_in_detail() -> None:
    chosen = [(why, run.number) for why, run in chosen_runs(digest_of(sprint_turns()))]
    assert chosen == [("the fastest", 3), ("the median", 2), ("the slowest", 8)]
    lines = picture(sprint_turns())
    assert "run 3, the fastest  first audio 252 ms · heard until 1.8 s" in lines
    assert sum(line.startswith("    LLM  ") for line in lines) == 3


def test_a_single_run_is_shown_in_detail_once() -> None:
    assert [why for why, _ in chosen_runs(digest_of([make_turn()]))] == ["the fastest"]
    assert len(chosen_runs(digest_of([make_turn(1), make_turn(2)]))) == 2


def test_a_failed_run_is_drawn_up_to_its_failure() -> None:
    lines = picture([make_turn(1), failed_turn(2)])
    [line] = [line for line in lines if line.startswith("      2  ")]
    assert line.endswith("failed")
    assert "✗" in line
    assert "▶" not in line


def test_where_every_run_failed_the_lines_are_drawn_and_no_detail() -> None:
    lines = picture([failed_turn(1), failed_turn(2)])
    assert sum(line.endswith("failed") for line in lines) == 2
    assert not any("fastest" in line for line in lines)


def test_cold_and_warm_up_turns_are_drawn_above_the_runs() -> None:
    lines = picture([make_turn(1, phase="cold"), make_turn(2, phase="warmup"), make_turn(3)])
    assert [line.split()[0] for line in lines[2:5]] == ["cold", "warm-up", "1"]


def test_without_a_measured_turn_nothing_is_drawn() -> None:
    assert picture([make_turn(1, phase="cold")]) == []


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
def test_no_line_is_wider_than_the_console(width: int) -> None:
    turns = simulated_turns(
        "sim:ttft=120ms,token=30ms,ttfb=70ms,speed=0.9x,silence=30ms,fail=4",
        ["cold", *repeated("measured", 12)],
    )
    lines = picture(turns, width)
    assert max(cell_len(line) for line in lines) <= width
    assert max(cell_len(line) for line in lines) > width - 12


def test_the_numbers_of_the_axis_are_never_cut() -> None:
    for width in range(40, 201, 11):
        [ruler] = [line for line in picture(sprint_turns(), width) if line.endswith("audio at")]
        numbers = [int(word) for word in ruler.split() if word.isdigit()]
        steps = {later - earlier for earlier, later in pairwise(numbers)}
        assert numbers[0] == 0
        assert len(steps) == 1, ruler


def test_of_very_many_runs_the_slowest_are_drawn_and_it_says_so() -> None:
    turns = [make_turn(number, audio=((200 + number, 500),)) for number in range(1, 101)]
    lines = picture(turns)
    assert "the 40 slowest of 100 runs; runs.csv has all" in lines
    assert [line.split()[0] for line in lines[2:42]] == [str(n) for n in range(61, 101)]
    assert any(line.startswith("run 1, the fastest") for line in lines)


def test_only_what_is_drawn_is_in_the_legend() -> None:
    text = "\n".join(picture([make_turn()]))
    assert "first sound" in text
    assert "stall" not in text
    assert "target 300 ms" in text


def test_in_ascii_all_is_ascii_and_the_picture_the_same_shape() -> None:
    turns = [*sprint_turns(), failed_turn(9)]
    plain, blocks = picture(turns, encoding="ascii"), picture(turns)
    assert all(line.isascii() for line in plain)
    assert [len(line) for line in plain] == [len(line) for line in blocks]
