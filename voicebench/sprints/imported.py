"""A sprint from a TOML file that a person wrote: the figures that another tool or machine reported.

``docs/how-to/sprint.md`` explains every key; ``docs/sprints/`` has two files as examples.

A report gives one number for a metric, or a range. If its runs are listed too and agree with that
figure (the same mean, the same ends of the range), every statistic of the metric follows from them;
if they disagree, they are other measurements, and only the reported figure counts.
"""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, time
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from voicebench.errors import UsageError
from voicebench.figures.summary import Distribution
from voicebench.sprints.readings import LIMITS_MS, Reading, statistics_of, suite_reading
from voicebench.sprints.sprint import (
    ASPECTS,
    Change,
    Commit,
    FileChange,
    FirstChunk,
    Paragraphs,
    Prose,
    Reported,
    RunFigures,
    RunTable,
    Score,
    Setup,
    Sprint,
    Suite,
    TextLength,
)
from voicebench.sprints.test_report import read_given

MOST_BYTES = 1_000_000
MOST_POINTS = 10.0
_KEYS = "docs/how-to/sprint.md lists the keys"


def _listed(value: object) -> object:
    return value if isinstance(value, list) else [value]


def _in_order(ends: list[float]) -> list[float]:
    if len(ends) > 2 or sorted(ends) != ends:
        raise ValueError("write one number, or a range: [low, high]")
    return ends


def _passed_of_total(value: str) -> str:
    passed, _, total = value.partition("/")
    if not (passed.isdecimal() and total.isdecimal() and int(passed) <= int(total)):
        raise ValueError("write 'passed/total'")
    return value


_Figure = Annotated[list[float], BeforeValidator(_listed), AfterValidator(_in_order)]
"""One number, or the two ends of a range."""
_Score = Annotated[float, Field(le=MOST_POINTS)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Figures(_Table):
    e2e_latency_ms: _Figure | None = None
    tts_ttfb_ms: _Figure | None = None
    first_audio_ms: _Figure | None = None
    tests: Annotated[str, AfterValidator(_passed_of_total)] | None = None
    websocket: str | None = None


class _Run(_Table):
    llm_ms: float | None = None
    tts_ttfb_ms: float | None = None
    first_audio_ms: float | None = None


class _Card(_Table):
    quality: _Score | None = None
    latency: _Score | None = None
    streaming: _Score | None = None
    humanity: _Score | None = None
    connectivity: _Score | None = None
    total: Annotated[float, Field(le=MOST_POINTS * len(ASPECTS))] | None = None


class _Analysis(_Table):
    well: Paragraphs = ()
    improve: Paragraphs = ()
    next: Paragraphs = ()


class ImportedFile(_Table):
    """The keys of the file."""

    title: Prose | None = None
    started: str | None = None
    commit: str = ""
    closing: Prose | None = None
    figures: _Figures = _Figures()
    tests: Suite = Suite()
    score: _Card = _Card()
    setup: Setup = Setup()
    reported: _Analysis = _Analysis()
    changes: tuple[Change, ...] = ()
    runs: list[_Run] = []
    texts: tuple[TextLength, ...] = ()
    first_chunks: tuple[FirstChunk, ...] = ()
    commits: tuple[Commit, ...] = ()
    files: tuple[FileChange, ...] = ()


def read_import(path: Path, number: int) -> Sprint:
    """Read sprint ``number`` from the file. Raises `UsageError`, naming the key that is wrong."""
    file = _checked(_read_toml(path), path)
    table = _run_table(file.runs, path.stem)
    return Sprint(
        number=number,
        started_at=file.started,
        commit=file.commit or None,
        commits=file.commits,
        files=file.files,
        readings=tuple(_readings(file.figures, table)),
        tables=(table,) if table else (),
        lengths=file.texts,
        scores=tuple(
            Score(aspect, points, by_hand=True)
            for aspect in ASPECTS
            if (points := getattr(file.score, aspect)) is not None
        ),
        setup=file.setup,
        score_total=file.score.total,
        imported=True,
        title=file.title,
        changes=file.changes,
        first_chunks=file.first_chunks,
        suite=file.tests,
        reported=Reported(file.reported.well, file.reported.improve, file.reported.next),
        closing=file.closing,
    )


def _read_toml(path: Path) -> dict[str, object]:
    content = read_given("--import", path, MOST_BYTES)
    try:
        return tomllib.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"--import {path} is not valid TOML: {error}") from None


def _checked(document: dict[str, object], path: Path) -> ImportedFile:
    """Check all types. JSON has only lists and texts where TOML has tuples and moments too."""
    for where, number in _numbers(document):
        if not 0 <= number < math.inf:
            raise UsageError(
                f"{path}: {where} {number!r} is out of range: write a number from 0 up",
                _KEYS,
            )
    try:
        return ImportedFile.model_validate_json(json.dumps(document, default=_as_iso_8601))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = _dotted(first["loc"])
        if first["type"] == "extra_forbidden":
            raise UsageError(f"{path}: unknown key {where!r}", _KEYS) from None
        problem = first["msg"].removeprefix("Value error, ")
        problem = problem[0].lower() + problem[1:]
        value = "" if first["type"] == "missing" else f" {first['input']!r}"
        raise UsageError(f"{path}: {where}{value}: {problem}", _KEYS) from None


def _numbers(value: object, where: str = "") -> Iterator[tuple[str, float]]:
    """Yield each number of a document, with its key."""
    match value:
        case dict():
            for key, inner in value.items():
                yield from _numbers(inner, f"{where}.{key}".lstrip("."))
        case list():
            for count, inner in enumerate(value, start=1):
                yield from _numbers(inner, f"{where}[{count}]")
        case int() | float():
            yield where, value


def _dotted(keys: Sequence[str | int]) -> str:
    parts = (f"[{key + 1}]" if isinstance(key, int) else f".{key}" for key in keys)
    return "".join(parts).lstrip(".")


def _as_iso_8601(moment: object) -> str:
    assert isinstance(moment, date | time)
    return moment.isoformat().replace("+00:00", "Z")


def _run_table(entries: Sequence[_Run], name: str) -> RunTable | None:
    """Return the per-run table; None where no run is listed."""
    if not entries:
        return None
    limit_ms = LIMITS_MS["first_audio"]
    runs = [RunFigures(run=number, **dict(entry)) for number, entry in enumerate(entries, start=1)]
    timed = [(run.first_audio_ms, run.run) for run in runs if run.first_audio_ms is not None]
    best_ms, best_run = min(timed, default=(None, None))
    return RunTable(
        name=name,
        limit_ms=limit_ms,
        runs=tuple(runs),
        count=len(runs),
        kept=sum(run.keeps(limit_ms) for run in runs),
        best_ms=best_ms,
        best_run=best_run,
    )


def _readings(figures: _Figures, table: RunTable | None) -> Iterator[Reading]:
    """Yield a reading of each duration that has a target, and of the other keys in the file."""
    runs = table.runs if table else ()
    yield _duration("llm_total.mean", figures.e2e_latency_ms, [run.llm_ms for run in runs])
    yield _duration("tts_ttfb", figures.tts_ttfb_ms, [run.tts_ttfb_ms for run in runs])
    first_audio = _duration(
        "first_audio", figures.first_audio_ms, [run.first_audio_ms for run in runs]
    )
    if table and figures.first_audio_ms:
        first_audio = replace(first_audio, kept=table.kept, of=table.count)
    yield first_audio
    if figures.tests is not None:
        passed, total = figures.tests.split("/")
        yield suite_reading(int(passed), int(total))
    if figures.websocket is not None:
        yield Reading("websocket", "bool", float(figures.websocket == "ok"))


def _duration(name: str, reported: list[float] | None, runs: Sequence[float | None]) -> Reading:
    limit_ms = LIMITS_MS[name.partition(".")[0]]
    if reported is None:
        return Reading(name, "ms", None, limit=limit_ms)
    values = tuple(took_ms for took_ms in runs if took_ms is not None)
    known = statistics_of(Distribution(values, 0))
    is_range = len(reported) == 2
    agrees = bool(known) and [
        round(known[name]) for name in (("min", "max") if is_range else ("mean",))
    ] == [round(end) for end in reported]
    if not agrees:
        known = {"min": reported[0], "max": reported[1]} if is_range else {}
    return Reading(
        name=name,
        unit="ms",
        value=reported[-1],
        low=reported[0] if is_range else None,
        high=reported[1] if is_range else None,
        limit=limit_ms,
        count=len(values) if agrees else None,
        statistics=known,
    )
