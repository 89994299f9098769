"""The tables of a run under load: gates, levels, interruptions, drift, outcomes, failures, price.

The terminal, Markdown and HTML show the same sheets. Every figure is of the measured window of one
level. The phases ramp, measured and drain are counted apart, and no figure joins two levels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from rich.text import Text

from voicebench import format as form
from voicebench.load.level_document import offered
from voicebench.load.level_rule import GateStanding
from voicebench.load.loaded_turn import OUTCOMES
from voicebench.load.recorded.judged_again import RecordedLevel
from voicebench.load.recorded.load_final import verdict_of
from voicebench.load.recorded.load_run import LoadRun
from voicebench.report.console.comparison_table import against_sheet
from voicebench.report.console.level_event_sheets import event_sheets
from voicebench.report.console.level_table import level_sheet
from voicebench.report.console.sheets import final_line, names
from voicebench.report.console.style import QUIET, Column, Sheet
from voicebench.report.console.verdicts import verdict_text

PHASES = ("ramp", "measured", "drain")


def load_sheets(run: LoadRun) -> list[Sheet]:
    """Return the tables of one run under load, in order."""
    level = run.shown_level
    sheets = [
        gate_sheet(level) if level is not None and level.held.judgement.gates else None,
        level_sheet([level.document for level in run.levels]),
        _against(run),
        *event_sheets(run.levels),
        outcome_sheet(run.levels),
        reason_sheet(run.levels),
        price_sheet(run.levels),
    ]
    return [sheet for sheet in sheets if sheet is not None]


def _against(run: LoadRun) -> Sheet | None:
    """Return the table of a level against its baseline; None if none was named."""
    level, before = run.shown_level, run.level_baseline
    if level is None or before is None or run.final.obstacles:
        return None
    return against_sheet(before.judged(level, run.gates))


def load_side_by_side(runs: Sequence[LoadRun]) -> list[Sheet]:
    """Return the tables of several runs: what each shows, and the levels of each."""
    rows = ["verdict", "capacity, callers", "fails, callers", "levels", "turns", "good, %"]
    rows += ["first audio due p50, ms", "first audio due p95, ms", "in flight"]
    columns = [Column("", [Text(row) for row in rows], "left")]
    for name, run in zip(names(runs), runs, strict=True):
        columns.append(Column(form.one_line(name), _side(run), "left"))
    levels = [
        level_sheet([level.document for level in run.levels], f"Levels of {form.one_line(name)}")
        for name, run in zip(names(runs), runs, strict=True)
    ]
    return [Sheet("Side by side", columns), *levels]


def _side(run: LoadRun) -> list[Text]:
    level, answer = run.shown_level, run.replay.answer
    rates = {} if level is None else level.held.judgement.rates
    first = [None if level is None else level.percentile("first_audio_due_ms", q) for q in (50, 95)]
    return [
        verdict_text(run.final.word),
        Text(form.NOTHING if answer is None else form.number(answer.capacity, "count")),
        Text(form.NOTHING if answer is None else form.number(answer.high, "count")),
        Text(str(len(run.levels))),
        Text(str(run.turns.count)),
        Text(form.number(rates.get("good.rate"), "share")),
        *(Text(form.ms(value)) for value in first),
        Text(form.number(None if level is None else level.held.judgement.in_flight, "count")),
    ]


def load_line(run: LoadRun) -> str:
    """Return what a run offered and measured, in one line."""
    level = run.shown_level
    if level is None:
        return f"{form.plural(run.turns.count, 'turn')}, and no level has ended"
    measured = f"{form.plural(level.held.measured.n, 'measured turn')}"
    p50, p95 = (level.percentile("first_audio_due_ms", q) for q in (50, 95))
    times = f" · first audio from due {form.quantity(p50, 'ms')} p50"
    if p95 is not None:
        times += f", {form.quantity(p95, 'ms')} p95"
    levels = "" if not run.is_search else f"{form.plural(len(run.levels), 'level')} · "
    what = held_as(level)
    return f"{levels}{what}: {measured}" + ("" if p50 is None else times)


def held_as(level: RecordedLevel) -> str:
    """Return what a level offers and why it was held: ``40 callers, held``."""
    why = {"load": "held", "confirm": "confirmation on fresh callers"}.get(level.purpose)
    return f"{offered(level.document)}, {why or level.purpose}"


def gate_sheet(level: RecordedLevel) -> Sheet:
    """Return the table of the gates of a level: the share of good turns against the gate's."""
    gates = level.held.judgement.gates
    columns = [
        Column("gate", [Text(gate.gate.gate.text) for gate in gates], "left", least=20),
        Column("good\n%", [_share(gate.bounds.observed, gate, "bold") for gate in gates]),
        Column("needed\n%", [Text(form.number(gate.gate.share, "share")) for gate in gates]),
        Column("by confidence\n%", [_bounds(gate) for gate in gates]),
        Column("turns\nor calls", [Text(str(gate.bounds.n)) for gate in gates], spare=1),
        Column("effective n", [Text(_whole(gate.bounds.effective_n)) for gate in gates], spare=2),
        Column("verdict", [verdict_text(verdict_of(gate.standing)) for gate in gates], "left"),
    ]
    return Sheet(f"Gates at {held_as(level)}", columns)


def _share(value: float | None, gate: GateStanding, style: str) -> Text:
    return Text(form.beside(value, gate.gate.share, "share"), style)


def _bounds(gate: GateStanding) -> Text:
    if not gate.bounds.n:
        return Text(form.NOTHING, QUIET)
    low, high = gate.bounds.low, gate.bounds.high
    beside = [form.beside(value, gate.gate.share, "share") for value in (low, high)]
    return Text("–".join(beside), QUIET)


def _whole(value: float) -> str:
    return f"{value:.0f}"


def outcome_sheet(levels: Sequence[RecordedLevel]) -> Sheet:
    """Return the turns of each level by phase, and the measured ones by their outcome."""
    columns = [
        Column("level", [Text(str(level.number)) for level in levels]),
        Column("load", [Text(offered(level.document)) for level in levels]),
    ]
    counts = [_phases(level) for level in levels]
    for place, phase in enumerate(PHASES):
        spare = 0 if phase == "measured" else 2
        columns.append(Column(phase, [Text(str(count[place])) for count in counts], spare=spare))
    for code, outcome in enumerate(OUTCOMES):
        cells = [Text(str(int((level.held.measured.outcome == code).sum()))) for level in levels]
        columns.append(Column(outcome, cells, spare=int(outcome == "answered")))
    stalled = [_stalled(level) for level in levels]
    columns.append(Column("with a\nstall", [Text(text) for text in stalled], spare=1))
    note = Text("outcomes and stalls are of the measured turns alone", QUIET)
    return Sheet("Turns by phase and outcome", columns, [note], folds=True)


def _phases(level: RecordedLevel) -> tuple[int, int, int]:
    due, window = level.held.turns.due_s, level.held.judgement.window
    before, after = int((due < window.start_s).sum()), int((due >= window.end_s).sum())
    return before, level.held.measured.n, after


def _stalled(level: RecordedLevel) -> str:
    stalls = level.held.measured.values.get("stall_count", np.zeros(0))
    known = stalls[~np.isnan(stalls)]
    return str(int((known > 0).sum())) if known.size else form.NOTHING


def reason_sheet(levels: Sequence[RecordedLevel]) -> Sheet | None:
    """Return why turns were not answered, in all phases of each level; None if all were."""
    rows = [
        (level, reason, count)
        for level in levels
        for reason, count in sorted(level.reasons.items(), key=lambda item: (-item[1], item[0]))
    ]
    if not rows:
        return None
    columns = [
        Column("level", [Text(str(level.number)) for level, _, _ in rows]),
        Column("turns", [Text(str(count)) for _, _, count in rows]),
        Column("reason", [Text(form.one_line(why)) for _, why, _ in rows], "left", least=30),
    ]
    note = Text("of all phases: ramp, measured and drain", QUIET)
    return Sheet("Turns without an answer", columns, [note])


def price_sheet(levels: Sequence[RecordedLevel]) -> Sheet:
    """Return what each level cost: time, turns and callers' minutes, and all of them."""
    held_s = [_held_s(level) for level in levels]
    turns = [level.held.turns.n for level in levels]
    minutes = [
        None if level.callers is None else level.callers * at_s / 60
        for level, at_s in zip(levels, held_s, strict=True)
    ]
    known = [one for one in minutes if one is not None]
    columns = [
        Column("level", [*(Text(str(level.number)) for level in levels), Text("all", "bold")]),
        Column("load", [*(Text(offered(level.document)) for level in levels), Text()]),
        Column("minutes", [*map(_minutes, held_s), _minutes(sum(held_s))]),
        Column("turns", [*(Text(str(count)) for count in turns), Text(str(sum(turns)))]),
        Column(
            "callers' minutes",
            [
                *(Text(form.NOTHING if one is None else f"{one:.0f}") for one in minutes),
                Text(f"{sum(known):.0f}" if known else form.NOTHING),
            ],
            spare=1,
        ),
    ]
    return Sheet("Price", columns, folds=True)


def _held_s(level: RecordedLevel) -> float:
    """Return how long a level was held: until its last turn ended."""
    ended = level.held.turns.ended_s
    return max(level.held.ended_s, float(ended.max()) if ended.size else 0.0)


def _minutes(at_s: float) -> Text:
    return Text(f"{at_s / 60:.{1 if at_s >= 60 else 2}f}")


def load_final_line(run: LoadRun) -> str:
    """Return the final verdict of a run under load in one line."""
    return final_line(run.final)
