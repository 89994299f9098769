"""A sprint's figures from recorded runs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from voicebench.figures.metrics import compute
from voicebench.judging.comparability import series_settings
from voicebench.judging.digest import MeasuredRun
from voicebench.judging.gates import Gate, GateResult, judge, parse_gate
from voicebench.report.console.chunk_table import length_rows
from voicebench.report.console.sheets import names
from voicebench.report.console.verdicts import has_enough_turns, kept_by
from voicebench.report.runs import FIRST_AUDIO_LIMIT_MS, TurnLimit, shortlist, tally
from voicebench.results.reading import object_in
from voicebench.results.run import RecordedRun
from voicebench.sprints.readings import LIMITS_MS, TARGETS, Reading, statistics_of
from voicebench.sprints.sprint import Basis, RunFigures, RunTable, Setup, TextLength
from voicebench.sprints.standing import standing_of

NO_FAILURE = "errors.rate <= 0"
MOST_PROMPTS = 1_000
"""If there are more different prompts, none is kept."""


def readings_of(runs: Sequence[RecordedRun]) -> list[Reading]:
    """Return a reading for each target of a sprint and each other gate of the runs.

    A duration that has a target is judged by it, whatever limit the run's own gate has.
    """
    readings: list[Reading] = []
    for name, run in zip(names(runs), runs, strict=True):
        readings += [_reading(result, own, run, name) for result, own in _judged_for_a_sprint(run)]
    sockets = [run for run in runs if run.is_over_a_socket]
    if sockets:
        turns = sum(run.summary.turns for run in sockets)
        kept = turns - sum(run.summary.failed for run in sockets)
        works = float(kept == turns) if turns else None
        judged = all(standing_of(run).judged for run in sockets)
        readings.append(Reading("websocket", "bool", works, kept=kept, of=turns, judged=judged))
    return readings


def run_tables(runs: Sequence[RecordedRun]) -> list[RunTable]:
    """Return the per-run table of each result."""
    tables = []
    for name, run in zip(names(runs), runs, strict=True):
        counted = tally(run.columns, TurnLimit(FIRST_AUDIO_LIMIT_MS))
        tables.append(
            RunTable(
                name=name,
                limit_ms=FIRST_AUDIO_LIMIT_MS,
                runs=tuple(_run_figures(measured) for measured in shortlist(run.digest)),
                count=counted.runs,
                kept=counted.kept,
                best_ms=counted.best_ms,
                best_run=counted.best_run,
                standing=standing_of(run),
                basis=_basis(run),
                stalled=sum(count > 0 for count in run.summary.metrics["stall_count"].values),
            )
        )
    return tables


def text_lengths(runs: Sequence[RecordedRun]) -> list[TextLength]:
    """Return how long the voice took, by the length of the text."""
    chunks = np.concatenate([run.digest.chunks for run in runs])
    return [TextLength(*row) for row in length_rows(chunks)]


def setup_of(run: RecordedRun) -> Setup:
    """Return the set-up of the assistant, from the settings of the run."""
    chunker, section = object_in(run.settings, "chunker"), object_in(run.settings, "run")
    sequential = section.get("sequential")
    return Setup(
        _whole(chunker.get("first_words")),
        _whole(chunker.get("later_words")),
        sequential if isinstance(sequential, bool) else None,
    )


def _judged_for_a_sprint(run: RecordedRun) -> Iterator[tuple[GateResult, str]]:
    """Yield each target of a sprint as a gate, the run's other gates on its metric, then the rest.

    The second value is the run's own gate on that figure, if its limit differs.
    """
    own = {result.gate.figure.name: result.gate for result in run.gate_results}
    for text in (*(f"{target.name} < {target.limit_ms:g}ms" for target in TARGETS), NO_FAILURE):
        target = parse_gate(text)
        theirs = own.pop(target.figure.name, target)
        same = (theirs.operator, theirs.limit) == (target.operator, target.limit)
        yield judge(target, run.summary), "" if same else theirs.text
        for gate in [gate for gate in own.values() if gate.metric is target.metric]:
            del own[gate.figure.name]
            yield _held_to_the_target(gate, run)
    yield from ((judge(gate, run.summary), "") for gate in own.values())


def _held_to_the_target(gate: Gate, run: RecordedRun) -> tuple[GateResult, str]:
    """Judge a gate on a duration by the limit of a sprint, any other gate by its own limit."""
    limit = gate.limit
    if gate.metric and gate.unit == "ms" and gate.statistic != "stdev" and gate.operator[0] == "<":
        limit = LIMITS_MS[gate.metric.short_name]
    held = judge(replace(gate, limit=limit), run.summary)
    return held, "" if limit == gate.limit else gate.text


def _reading(result: GateResult, own: str, run: RecordedRun, name: str) -> Reading:
    gate = result.gate
    kept = kept_by(gate, run.summary)
    known: dict[str, float] = {}
    count, limited = run.summary.turns, False
    if gate.metric is not None and gate.unit == gate.metric.unit:
        values = run.summary.metrics[gate.metric.name]
        known, count = statistics_of(values), len(values.values)
        limited = result.observed is not None and not has_enough_turns(gate, run.summary)
    with_ends = known if gate.statistic not in ("mean", "stdev") else {}
    return Reading(
        name=gate.figure.name,
        unit=gate.unit,
        value=result.observed,
        low=with_ends.get("min"),
        high=with_ends.get("max"),
        limit=gate.limit,
        operator=gate.operator,
        kept=kept[0] if kept else None,
        of=kept[1] if kept else None,
        count=count,
        limited=limited,
        statistics=known,
        result=name,
        judged=standing_of(run).judged,
        own_gate=own,
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


def _basis(run: RecordedRun) -> Basis:
    asked = sorted({_digest(prompt) for prompt in run.columns.prompts})
    settings = series_settings(run.settings)
    return Basis(
        {key: value for key, value in settings.items() if not key.startswith("run.prompt")},
        tuple(asked) if len(asked) <= MOST_PROMPTS else None,
        run.path.name,
    )


def _digest(prompt: str) -> str:
    return hashlib.sha256(prompt.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
