"""A sprint's figures from recorded runs and from the tests' own report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from voicebench.errors import UsageError
from voicebench.gates import GateResult
from voicebench.metrics import compute
from voicebench.report.chunk_table import length_rows
from voicebench.report.recorded import Recorded
from voicebench.report.runs import (
    MeasuredRun,
    first_audio_limit,
    measured_runs,
    shortlist,
    tally,
)
from voicebench.report.sheets import names
from voicebench.report.sprint.readings import Reading
from voicebench.report.sprint.sprint import RunFigures, RunTable, Setup, TextLength
from voicebench.report.verdicts import kept_by

MOST_JUNIT_BYTES = 50_000_000


def readings_of(runs: Sequence[Recorded]) -> list[Reading]:
    """Return a reading for each gate of the runs, and one for WebSockets where one was used."""
    readings: list[Reading] = []
    for run in runs:
        readings += [_reading(result, run) for result in run.gate_results]
    sockets = [run for run in runs if run.is_over_a_socket]
    if sockets:
        turns = sum(run.summary.turns for run in sockets)
        kept = turns - sum(run.summary.failed for run in sockets)
        readings.append(Reading("websocket", "bool", float(kept == turns), kept=kept, of=turns))
    return readings


def run_tables(runs: Sequence[Recorded]) -> list[RunTable]:
    """Return the per-run table of each result."""
    tables = []
    for name, run in zip(names(runs), runs, strict=True):
        limit = first_audio_limit(run.gate_results)
        measured = measured_runs(run.turns)
        counted = tally(measured, limit)
        best = counted.best
        tables.append(
            RunTable(
                name=name,
                limit_ms=limit.ms,
                runs=tuple(_run_figures(one) for one in shortlist(measured)),
                count=counted.runs,
                kept=counted.kept,
                best_ms=best.first_audio_ms() if best else None,
                best_run=best.number if best else None,
            )
        )
    return tables


def text_lengths(runs: Sequence[Recorded]) -> list[TextLength]:
    """Return what the voice took, by the length of its text."""
    turns = [turn for run in runs for turn in run.sample]
    return [TextLength(*row) for row in length_rows(turns)]


def setup_of(run: Recorded) -> Setup:
    """Return how the assistant was set up, as the settings of the run say."""
    chunker, section = run.settings.get("chunker"), run.settings.get("run")
    words = chunker if isinstance(chunker, dict) else {}
    taken = section if isinstance(section, dict) else {}
    return Setup(words.get("first_words"), words.get("later_words"), taken.get("sequential"))


def read_junit(path: Path) -> Reading:
    """Return how many tests passed. Raises `UsageError` for a file that is no JUnit XML."""
    try:
        with path.open("rb") as file:
            content = file.read(MOST_JUNIT_BYTES + 1)
    except OSError as error:
        raise UsageError(f"--junit {path} cannot be read ({error.strerror})") from None
    if len(content) > MOST_JUNIT_BYTES:
        raise UsageError(f"--junit {path} is larger than {MOST_JUNIT_BYTES} bytes")
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        raise UsageError(f"--junit {path} declares entities, which no test report needs")
    try:
        root = ElementTree.fromstring(content)
    except ElementTree.ParseError as error:
        raise UsageError(f"--junit {path} is no XML ({error})") from None
    cases = list(root.iter("testcase"))
    if not cases:
        raise UsageError(f"--junit {path} holds no test case")
    run = [case for case in cases if case.find("skipped") is None]
    passed = sum(case.find("failure") is None and case.find("error") is None for case in run)
    return tests_reading(passed, len(run))


def tests_reading(passed: int, total: int) -> Reading:
    """Return the reading of a test suite."""
    return Reading("tests", "count", float(passed), kept=passed, of=total)


def _reading(result: GateResult, run: Recorded) -> Reading:
    gate = result.gate
    kept = kept_by(gate, run.summary)
    low = high = None
    if gate.metric is not None and gate.unit == gate.metric.unit and gate.statistic != "mean":
        values = run.summary.metrics[gate.metric.name].values
        low, high = min(values, default=None), max(values, default=None)
    return Reading(
        name=gate.figure.name,
        unit=gate.unit,
        value=result.observed,
        low=low,
        high=high,
        limit=gate.limit,
        operator=gate.operator,
        kept=kept[0] if kept else None,
        of=kept[1] if kept else None,
    )


def _run_figures(run: MeasuredRun) -> RunFigures:
    values = compute(run.turn)
    return RunFigures(
        run=run.number,
        llm_ms=values["llm_total_ms"],
        tts_ttfb_ms=values["tts_ttfb_ms"],
        first_audio_ms=values["first_audio_ms"],
        failed=run.turn.failed,
    )
