"""Tables of what some levels have beside their gates: interruptions, faults, drift, machines.

Each function returns None if no level has it. The figures of interruptions and faults are of the
measured window, as all figures of a level.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.text import Text

from voicebench import format as form
from voicebench.load.level_document import offered
from voicebench.load.loaded_turn import OUTCOMES
from voicebench.load.recorded.judged_again import RecordedLevel
from voicebench.report.console.style import BAD, GOOD, QUIET, UNSURE, Column, Sheet
from voicebench.results.reading import number_in, object_in, objects_in

Part = Mapping[str, object]


def event_sheets(levels: Sequence[RecordedLevel]) -> list[Sheet]:
    """Return the tables that the levels have something for."""
    found = (make(levels) for make in (interruption_sheet, fault_sheet, drift_sheet, machine_sheet))
    return [sheet for sheet in found if sheet is not None]


def interruption_sheet(levels: Sequence[RecordedLevel]) -> Sheet | None:
    """Return what became of the turns that callers were to interrupt, and when they stopped."""
    shown = [level for level in levels if object_in(level.document, "interruptions")]
    if not shown:
        return None
    parts = [object_in(level.document, "interruptions") for level in shown]
    columns = [
        *_places(shown),
        Column("to be\ncut", _counts(parts, "planned")),
        Column("cut", _counts(parts, "cut")),
        Column("stopped", _counts(parts, "stopped")),
        Column("not seen\nto stop", _counts(parts, "not seen to stop")),
        Column("had all\ncome", _counts(parts, "complete before"), spare=3),
        Column("stop\np50, ms", _times(shown, "stop_ms", 50)),
        Column("p95", _times(shown, "stop_ms", 95)),
        Column("next turn's first\naudio p50, ms", _next(shown, 50), spare=1),
        Column("p95", _next(shown, 95), spare=2),
        Column("wasted\naudio, s", [_number(part, "wasted_audio_s") for part in parts]),
    ]
    notes = [Text("stop: from the request to stop to the last sound that came after it", QUIET)]
    if any(number_in(part, "not seen to stop") for part in parts):
        notes.append(
            Text("not seen to stop: the target does not say when it stopped; it may go on", QUIET)
        )
    return Sheet("Interrupted turns", columns, notes)


def fault_sheet(levels: Sequence[RecordedLevel]) -> Sheet | None:
    """Return what became of the turns for which a fault of the network was made."""
    shown = [level for level in levels if object_in(level.document, "disturbed")]
    if not shown:
        return None
    parts = [object_in(level.document, "disturbed") for level in shown]
    columns = [
        *_places(shown),
        Column("turns with\na fault", _counts(parts, "turns")),
        *(Column(outcome, _counts(parts, outcome)) for outcome in OUTCOMES),
        Column("seconds\nwith one", [Text(str(_seconds(level))) for level in shown], spare=1),
    ]
    note = Text("faults that were made on purpose: these turns count for no gate", QUIET)
    return Sheet("Disturbed turns", columns, [note])


def _seconds(level: RecordedLevel) -> int:
    """Return how many seconds of the window had a turn under way that met a fault."""
    turns, window = level.held.disturbed, level.held.judgement.window
    seconds: set[int] = set()
    for due_s, ended_s in zip(turns.due_s.tolist(), turns.ended_s.tolist(), strict=True):
        seconds.update(range(int(due_s), int(min(ended_s, window.end_s)) + 1))
    return len(seconds)


def drift_sheet(levels: Sequence[RecordedLevel]) -> Sheet | None:
    """Return the rise of each curve that a soak watched, with its interval and what is allowed."""
    rows = [(level, drift) for level in levels for drift in level.held.drifts]
    if not rows:
        return None
    found = [drift.as_dict() for _, drift in rows]
    columns = [
        Column("level", [Text(str(level.number)) for level, _ in rows], spare=3),
        Column("curve", [Text(drift.name) for _, drift in rows], "left"),
        Column("begin", [_number(one, "begin") for one in found]),
        Column("rise", [_number(one, "rise") for one in found]),
        Column("interval", [_interval(one) for one in found]),
        Column("allowed", [_number(one, "allowed") for one in found]),
        Column("groups\nof blocks", [_number(one, "groups") for one in found], spare=2),
        Column("result", [_drifts(one) for one in found], "left"),
    ]
    note = Text("drifts: the whole interval of the rise is above what is allowed", QUIET)
    return Sheet("Drift over the window", columns, [note])


def _interval(drift: Part) -> Text:
    low, high = number_in(drift, "low"), number_in(drift, "high")
    if low is None and high is None:
        return Text("too few blocks", UNSURE)
    return Text(form.span(low, high, "count"), QUIET)


def _drifts(drift: Part) -> Text:
    if drift.get("low") is None:
        return Text("not shown", UNSURE)
    return Text("drifts", BAD) if drift.get("drifts") else Text("no drift shown", GOOD)


def machine_sheet(levels: Sequence[RecordedLevel]) -> Sheet | None:
    """Return the machines of each level, and how far apart their clocks may be."""
    rows = [
        (level, machine) for level in levels for machine in objects_in(level.document, "machines")
    ]
    if not rows:
        return None
    machines = [machine for _, machine in rows]
    clocks = [object_in(machine, "clock") for machine in machines]
    columns = [
        Column("level", [Text(str(level.number)) for level, _ in rows]),
        Column("machine", [Text(_word(machine, "machine")) for machine in machines], "left"),
        Column("cores", _counts(machines, "cores"), spare=2),
        Column("clock\nbound, ms", [_ms(clock, "bound_ms") for clock in clocks]),
        Column("drift\nper million", [_number(c, "drift_per_million") for c in clocks], spare=1),
        Column("memory\nMB", [_number(machine, "memory_mb") for machine in machines], spare=3),
        Column("result", [_lost(machine) for machine in machines], "left", least=20),
    ]
    note = Text("clock bound: how far the starts of two machines may be apart; no latency", QUIET)
    return Sheet("Machines", columns, [note])


def _lost(machine: Part) -> Text:
    lost = machine.get("lost")
    return Text("here to the end", GOOD) if lost is None else Text(form.one_line(str(lost)), BAD)


def _word(part: Part, name: str) -> str:
    return form.one_line(str(part.get(name)))


def _places(levels: Sequence[RecordedLevel]) -> list[Column]:
    return [
        Column("level", [Text(str(level.number)) for level in levels], spare=4),
        Column("load", [Text(offered(level.document)) for level in levels]),
    ]


def _counts(parts: Sequence[Part], name: str) -> list[Text]:
    return [_number(part, name) for part in parts]


def _number(part: Part, name: str) -> Text:
    return Text(form.number(number_in(part, name), "count"))


def _ms(part: Part, name: str) -> Text:
    return Text(form.ms(number_in(part, name)))


def _times(levels: Sequence[RecordedLevel], metric: str, q: int) -> list[Text]:
    return [Text(form.ms(level.percentile(metric, q))) for level in levels]


def _next(levels: Sequence[RecordedLevel], q: int) -> list[Text]:
    return _times(levels, "interrupting_first_audio_ms", q)
