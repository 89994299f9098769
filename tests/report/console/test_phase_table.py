from __future__ import annotations

from dataclasses import replace

from handmade import make_turn
from outcomes import UNDER_300, lines_of, row_of, shown
from rich.cells import cell_len

from voicebench.events import Connected
from voicebench.judging.digest import digest_of
from voicebench.report.console.figure_tables import phase_sheet
from voicebench.report.console.run_table import run_sheet
from voicebench.report.console.style import Sheet
from voicebench.report.console.waterfall import GUTTER, Waterfall
from voicebench.turn.timeline import Timeline


def over_a_wire(turn: Timeline, connect_ms: float, *, reused: bool) -> Timeline:
    return replace(turn, connections=(Connected(connect_ms, reused),))


TURNS = [
    over_a_wire(make_turn(1, phase="cold", audio=((900, 400),)), 2.5, reused=False),
    make_turn(2, phase="warmup"),
    *(over_a_wire(make_turn(number), 2.5, reused=True) for number in (3, 4, 5)),
    over_a_wire(make_turn(6, phase="idle", audio=((216, 400),)), 3.5, reused=False),
]


def sheet_of(turns: list[Timeline]) -> Sheet:
    sheet = phase_sheet(digest_of(turns))
    assert sheet is not None
    return sheet


def test_the_phases_stand_in_order_of_time_beside_the_measured_turns() -> None:
    text = shown(sheet_of(TURNS), 80)
    assert row_of(text, "cold") == "cold 1 0 900 +714 2.5 0 %"
    assert row_of(text, "measured") == "measured 3 0 186 – 2.5 100 %"
    assert row_of(text, "idle") == "idle 1 0 216 +30.0 3.5 0 %"
    order = [line.split()[0] for line in lines_of(text) if line.startswith(("c", "m", "i"))]
    assert order == ["cold", "measured", "idle"]


def test_in_process_there_are_no_connections_to_speak_of() -> None:
    turns = [make_turn(1, phase="cold"), make_turn(2)]
    assert "connect" not in shown(sheet_of(turns), 80)


def test_measured_turns_alone_need_no_table() -> None:
    turns = [make_turn(1)]
    assert phase_sheet(digest_of(turns)) is None


def test_idle_turns_stand_below_the_runs_and_are_never_crowded_out() -> None:
    warm = [make_turn(number, phase="warmup") for number in range(1, 31)]
    turns = [*warm, make_turn(31), make_turn(32, phase="idle")]
    digest = digest_of(turns)
    for sheet in (run_sheet(digest, UNDER_300), Waterfall(digest, UNDER_300)):
        text = shown(sheet, 120)
        told = [line.split()[0] for line in lines_of(text) if line.split()]
        assert told.count("idle") == 1
        assert told.index("warm-up") < told.index("1") < told.index("idle")


def test_the_label_of_an_idle_turn_leaves_its_row_in_line() -> None:
    rows = lines_of(shown(Waterfall(digest_of(TURNS), UNDER_300), 100))
    starts = {
        label: next(row for row in rows if row.split()[:1] == [label])
        for label in ("cold", "warm-up", "1", "idle")
    }
    for label, row in starts.items():
        assert cell_len(row[: row.index(label) + len(label)]) == GUTTER - 2
    assert digest_of(TURNS).summary.turns == 3
