"""The table of levels in the terminal: one row a level, read from ``levels.jsonl``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.text import Text

from voicebench import format as form
from voicebench.load.level_document import offered
from voicebench.load.level_rule import LevelStanding
from voicebench.report.console.style import (
    BAD,
    GOOD,
    QUIET,
    UNSURE,
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
