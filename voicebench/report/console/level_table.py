"""The table of levels in the terminal: one row a level, read from ``levels.jsonl``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.text import Text

from voicebench import format as form
from voicebench.judging.final import Word
from voicebench.load.level_rule import LevelStanding
from voicebench.report.console.style import (
    BAD,
    GOOD,
    QUIET,
    UNSURE,
    VERDICT_SIGNS,
    VERDICT_STYLES,
    Column,
    Sheet,
)

Level = Mapping[str, object]

_STYLES = {
    LevelStanding.HOLDS: GOOD,
    LevelStanding.SEEMS_TO_HOLD: GOOD,
    LevelStanding.FAILS: BAD,
    LevelStanding.SEEMS_TO_FAIL: BAD,
    LevelStanding.INVALID: BAD,
}


def level_sheet(levels: Sequence[Level], title: str = "Levels") -> Sheet:
    """Return the table of ``levels`` (lines of ``levels.jsonl``)."""
    columns = [
        Column("level", [Text(str(level.get("level"))) for level in levels], spare=4),
        Column("load", [Text(offered(level)) for level in levels]),
        Column("for", [Text(str(level.get("purpose"))) for level in levels], "left", spare=3),
        Column("turns", [_count(_part(level, "turns").get("measured")) for level in levels]),
        Column("good\n%", [_share(level, "good.rate") for level in levels]),
        Column("errors\n%", [_share(level, "errors.rate") for level in levels], spare=2),
        Column("first audio\ndue p50, ms", [_time(level, "p50") for level in levels]),
        Column("p95", [_time(level, "p95") for level in levels]),
        Column("in\nflight", [_number(level, "in_flight") for level in levels], spare=1),
        Column("late p99\nms", [_late(level) for level in levels], spare=2),
        Column("result", [_standing(level) for level in levels], "left"),
    ]
    notes = [
        Text(f"level {level.get('level')}: {reason}", QUIET)
        for level in levels
        for reason in _texts(level, "reasons")
    ]
    return Sheet(title, columns, notes)


def offered(level: Level) -> str:
    """Return what a level offers: ``40 callers``, ``30 calls/min``, ``4 turns/s``."""
    if (callers := _float(level.get("callers"))) is not None:
        return form.plural(int(callers), "caller")
    if (calls := _float(level.get("calls_per_s"))) is not None:
        return f"{form.number(60 * calls, 'count')} calls/min"
    if (turns := _float(level.get("turns_per_s"))) is not None:
        return f"{form.number(turns, 'count')} turns/s"
    return "trace"


def answer_line(document: Mapping[str, object]) -> Text:
    """Return the answer of ``capacity.json``, or the verdict of ``load.json``, as one line."""
    word = Word(str(document["verdict"]))
    head = Text(f"{VERDICT_SIGNS[word]} {word.value}", f"bold {VERDICT_STYLES[word]}")
    if "precision" not in document:
        return head
    return Text.assemble(head, "  ", _capacity(document))


def gate_lines(document: Mapping[str, object]) -> list[Text]:
    """Return a line for each gate of the level in ``load.json``: its share, bounds and result."""
    level = document.get("level")
    gates = level.get("gates") if isinstance(level, dict) else None
    lines = []
    for gate in gates if isinstance(gates, list) else []:
        standing = LevelStanding(str(gate["standing"]))
        lines.append(
            Text.assemble(
                (f"{standing.value:<14}", _STYLES.get(standing, UNSURE)),
                f" {gate['gate']}: {form.percent(gate['observed'])} of {gate['n']}, "
                f"by confidence {form.percent(gate['low'])} to {form.percent(gate['high'])}; "
                f"{form.percent(gate['share'])} needed; effective n {gate['effective_n']:.0f}",
            )
        )
    return lines


def _capacity(document: Mapping[str, object]) -> str:
    capacity, high = _float(document.get("capacity")), _float(document.get("capacity_high"))
    wanted = _float(document.get("at_least"))
    asked = "" if wanted is None else f" (at least {wanted:.0f} asked)"
    if capacity is None:
        until = "" if high is None else f"; {high:.0f} fail"
        return f"no level was confirmed{until}{asked}"
    above = "no level was shown to fail" if high is None else f"{high:.0f} fail"
    if capacity == 0:
        return f"capacity 0: a single caller is not carried{asked}"
    return f"capacity {form.plural(int(capacity), 'caller')}, confirmed; {above}{asked}"


def _standing(level: Level) -> Text:
    if level.get("interrupted"):
        return Text("so far", UNSURE)
    standing = LevelStanding(str(level.get("standing")))
    return Text(standing.value, _STYLES.get(standing, UNSURE))


def _part(level: Level, name: str) -> Level:
    found = level.get(name)
    return found if isinstance(found, dict) else {}


def _texts(level: Level, name: str) -> list[str]:
    found = level.get(name)
    return [str(one) for one in found] if isinstance(found, list) else []


def _float(value: object) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number else None  # type: ignore[arg-type]


def _count(value: object) -> Text:
    return Text(form.number(_float(value), "count"))


def _share(level: Level, name: str) -> Text:
    return Text(form.number(_float(_part(level, "rates").get(name)), "share"))


def _time(level: Level, quantile: str) -> Text:
    times = _part(_part(level, "metrics"), "first_audio_due_ms")
    return Text(form.ms(_float(times.get(quantile))))


def _late(level: Level) -> Text:
    return Text(form.ms(_float(_part(_part(level, "metrics"), "late_ms").get("p99"))))


def _number(level: Level, name: str) -> Text:
    return Text(form.number(_float(level.get(name)), "count"))
