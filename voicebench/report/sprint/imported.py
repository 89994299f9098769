"""A sprint's figures from a TOML file that somebody wrote: what another tool or machine reported.

``docs/sprint.md`` explains every key; ``docs/sprints/`` has two files as examples.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from voicebench.errors import UsageError
from voicebench.report.runs import FIRST_AUDIO_LIMIT_MS
from voicebench.report.sprint.commits import Commit, FileChange
from voicebench.report.sprint.measured import tests_reading
from voicebench.report.sprint.readings import Reading
from voicebench.report.sprint.sprint import (
    ASPECTS,
    RunFigures,
    RunTable,
    Score,
    Setup,
    TextLength,
)

MOST_BYTES = 1_000_000
TARGETS_MS = {"llm_total.mean": 200.0, "tts_ttfb": 100.0, "first_audio": FIRST_AUDIO_LIMIT_MS}
"""The targets of the sprint of reference."""

_KEYS = {
    "figures": {"e2e_latency_ms", "tts_ttfb_ms", "first_audio_ms", "websocket", "tests"},
    "score": {*ASPECTS, "total"},
    "setup": {"first_words", "later_words", "sequential"},
}


@dataclass(frozen=True, slots=True)
class Imported:
    """What the file says of the sprint."""

    started_at: str | None
    commits: tuple[Commit, ...]
    files: tuple[FileChange, ...]
    readings: tuple[Reading, ...]
    tables: tuple[RunTable, ...]
    lengths: tuple[TextLength, ...]
    scores: tuple[Score, ...]
    score_total: float | None
    setup: Setup


def read_import(path: Path) -> Imported:
    """Read the file. Raises `UsageError`, naming the key that is wrong."""
    document = _read_toml(path)
    try:
        return _imported(document, path)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise UsageError(
            f"{path} holds a value that is none of its kind ({error})",
            "docs/sprint.md has the keys",
        ) from None


def _imported(document: Mapping[str, object], path: Path) -> Imported:
    figures, score, setup = (_section(document, name, path) for name in _KEYS)
    table = _run_table(_entries(document, "runs"), path)
    started = document.get("started")
    total = score.get("total")
    return Imported(
        started_at=None if started is None else str(started),
        commits=tuple(
            Commit(str(one["hash"]), str(one.get("day", "")), str(one["subject"]))
            for one in _entries(document, "commits")
        ),
        files=tuple(
            FileChange(str(one["path"]), one.get("added"), one.get("removed"))  # type: ignore[arg-type]
            for one in _entries(document, "files")
        ),
        readings=_readings(figures, table),
        tables=(table,) if table else (),
        lengths=tuple(
            TextLength(
                str(one["characters"]), _number(one["first_byte_ms"]), _number(one["total_ms"])
            )
            for one in _entries(document, "texts")
        ),
        scores=tuple(
            Score(aspect, _number(score[aspect]), by_hand=True)
            for aspect in ASPECTS
            if aspect in score
        ),
        score_total=None if total is None else _number(total),
        setup=Setup(**setup),  # type: ignore[arg-type]
    )


def _readings(figures: Mapping[str, object], table: RunTable | None) -> tuple[Reading, ...]:
    readers: dict[str, Callable[[object], Reading]] = {
        "e2e_latency_ms": lambda value: _duration("llm_total.mean", value, None),
        "tts_ttfb_ms": lambda value: _duration("tts_ttfb", value, None),
        "first_audio_ms": lambda value: _duration("first_audio", value, table),
        "tests": _tests,
        "websocket": lambda value: Reading("websocket", "bool", float(value == "ok")),
    }
    return tuple(read(figures[key]) for key, read in readers.items() if key in figures)


def _duration(name: str, value: object, table: RunTable | None) -> Reading:
    low = high = None
    if isinstance(value, list):
        low, high = (_number(end) for end in value)
        value = high
    return Reading(
        name=name,
        unit="ms",
        value=_number(value),
        low=low,
        high=high,
        limit=TARGETS_MS[name],
        kept=table.kept if table else None,
        of=table.count if table else None,
    )


def _tests(value: object) -> Reading:
    passed, _, total = str(value).partition("/")
    return tests_reading(int(passed), int(total))


def _run_table(entries: list[Mapping[str, object]], path: Path) -> RunTable | None:
    if not entries:
        return None
    limit_ms = FIRST_AUDIO_LIMIT_MS
    runs = [
        RunFigures(
            run=number,
            llm_ms=_number_or_none(entry.get("llm_ms")),
            tts_ttfb_ms=_number_or_none(entry.get("tts_ttfb_ms")),
            first_audio_ms=_number_or_none(entry.get("first_audio_ms")),
        )
        for number, entry in enumerate(entries, start=1)
    ]
    timed = [(run.first_audio_ms, run.run) for run in runs if run.first_audio_ms is not None]
    best = min(timed, default=(None, None))
    return RunTable(
        name=path.stem,
        limit_ms=limit_ms,
        runs=tuple(runs),
        count=len(runs),
        kept=sum(run.keeps(limit_ms) for run in runs),
        best_ms=best[0],
        best_run=best[1],
    )


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{value!r} is no number")
    return float(value)


def _number_or_none(value: object) -> float | None:
    return None if value is None else _number(value)


def _section(document: Mapping[str, object], name: str, path: Path) -> dict[str, object]:
    section = document.get(name, {})
    if not isinstance(section, dict):
        raise UsageError(f"{path}: {name} is no section", f"write [{name}] above its keys")
    unknown = sorted(set(section) - _KEYS[name])
    if unknown:
        raise UsageError(
            f"{path}: unknown key {f'{name}.{unknown[0]}'!r}",
            f"[{name}] knows {', '.join(sorted(_KEYS[name]))}",
        )
    return section


def _entries(document: Mapping[str, object], name: str) -> list[Mapping[str, object]]:
    entries = document.get(name, [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise TypeError(f"{name!r} is no list of tables: write [[{name}]]")
    return entries


def _read_toml(path: Path) -> dict[str, object]:
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise UsageError(f"--import {path} cannot be read ({error.strerror})") from None
    if len(content) > MOST_BYTES:
        raise UsageError(f"--import {path} is larger than {MOST_BYTES} bytes")
    try:
        document = tomllib.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"--import {path} is not valid TOML: {error}") from None
    allowed = {"started", "runs", "texts", "commits", "files", *_KEYS}
    unknown = sorted(set(document) - allowed)
    if unknown:
        raise UsageError(
            f"{path}: unknown key {unknown[0]!r}", f"it knows {', '.join(sorted(allowed))}"
        )
    return document
