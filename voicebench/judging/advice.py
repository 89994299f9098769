"""Advice: findings in the turns of a run, each with its figures and a remedy.

Each rule looks at one thing in the recorded turns, and yields advice only where something is wrong.
A rule never changes a figure or a verdict. The bounds are constants of this file: they decide what
is worth a sentence, not what is good.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from voicebench import format as form
from voicebench.events import Phase
from voicebench.figures.metrics import FIRST_AUDIO, Metric
from voicebench.figures.summary import Summary, percentile, values_needed
from voicebench.judging.advice_sentences import (
    CALL_REMEDIES,
    FAILURE_REMEDIES,
    Advice,
    advice,
)
from voicebench.judging.conversation_advice import late_turns
from voicebench.judging.digest import Digest
from voicebench.judging.gate_advice import explain
from voicebench.judging.gates import GateResult, Verdict
from voicebench.judging.remarks import remarked
from voicebench.machine.slower import slower_engines

COLD_FACTOR = 2.0
"""A cold turn gets a sentence if it takes more than this many times the median."""
DRIFT_FACTOR = 1.10
DRIFT_SHARE = 5
"""The first fifth of the measured turns, but at least two, count as the first ones."""
DRIFT_TURNS = 8
"""The fewest turns in which drift is looked for."""
SPREAD_FACTOR = 1.5
"""The ratio of p95 to p50 of first audio above which the figures depend on chance."""
LONG_SILENCE_MS = 50.0
DOMINANT_SHARE = 0.5
LONG_WAIT_SHARE = 0.3
REAL_TIME = 1.0


@dataclass(frozen=True, slots=True)
class _Run:
    digest: Digest
    results: Sequence[GateResult]
    environment: Mapping[str, object]

    @property
    def summary(self) -> Summary:
        return self.digest.summary

    def values(self, metric: str) -> tuple[float, ...]:
        return self.summary.metrics[metric].values

    def middle(self, metric: str) -> float | None:
        values = self.values(metric)
        return median(values) if values else None

    def missed(self) -> list[GateResult]:
        missed = (Verdict.FAIL, Verdict.CLOSE)
        return [result for result in self.results if result.verdict in missed]


def advise(
    digest: Digest, results: Sequence[GateResult], environment: Mapping[str, object]
) -> tuple[Advice, ...]:
    """Return the advice for a run, the gravest first.

    ``environment`` is that of the run folder; its ``cores``, ``load_1min`` and ``target`` are
    used.
    """
    run = _Run(digest, results, environment)
    return tuple(found for rule in RULES for found in rule(run))


def _failed_turns(run: _Run) -> Iterator[Advice]:
    reasons = [
        (failed.stage, failed.fault, form.one_line(failed.reason)) for failed in run.digest.failures
    ]
    of_calls = CALL_REMEDIES if run.digest.columns.calls else {}
    for (stage, fault, reason), count in Counter(reasons).items():
        yield advice(
            "failed turns",
            failed=count,
            turns=run.summary.turns,
            at_stage=stage,
            reason=reason,
            remedy=of_calls.get(fault) or _failure_remedy(stage, run.environment),
        )


def _failure_remedy(stage: str, environment: Mapping[str, object]) -> str:
    target = environment.get("target")
    engine = target.get(stage) if isinstance(target, Mapping) else None
    if isinstance(engine, Mapping) and engine.get("device") == "remote":
        return "see what the server says of it; the request is in turns.jsonl"
    return FAILURE_REMEDIES.get(stage, "the turn's line in turns.jsonl has its events")


def _too_few_runs(run: _Run) -> Iterator[Advice]:
    short: dict[float, list[Metric]] = {}
    for result in run.results:
        gate = result.gate
        if gate.percentile is None or gate.metric is None or result.observed is None:
            continue
        if not run.summary.metrics[gate.metric.name].quantile(gate.percentile)[1]:
            short.setdefault(gate.percentile, []).append(gate.metric)
    for q, metrics in short.items():
        names = ", ".join(metric.short_name for metric in metrics)
        values = min(len(run.values(metric.name)) for metric in metrics)
        kind, needed = "runs", values_needed(q) + run.summary.failed
        if calls := run.digest.columns.calls:
            kind, needed = "calls", math.ceil(values_needed(q) * calls / values)
        figures = {"percentile": f"p{q:g}", "metrics": names}
        yield advice(f"too few {kind}", values=values, **figures, **{kind: needed})


def _not_measured(run: _Run) -> Iterator[Advice]:
    """Name the gates that this target can never pass, and the options that keep all others."""
    hidden = [result.gate for result in run.results if result.verdict is Verdict.NOT_MEASURED]
    if not hidden or run.summary.failed == run.summary.turns:
        return
    kept = [result.gate.text for result in run.results if result.gate not in hidden]
    names = dict.fromkeys(gate.metric.short_name for gate in hidden if gate.metric is not None)
    dropped = " and ".join(repr(gate.text) for gate in hidden)
    options = " ".join(f"--gate {text!r}" for text in kept) or "--no-gate"
    yield advice("not measured", metrics=", ".join(names), gates=f"{dropped}: {options}")


def _remarked(run: _Run) -> Iterator[Advice]:
    return (Advice(*found, "remark") for found in remarked(run.digest))


def _stalls(run: _Run) -> Iterator[Advice]:
    counts, totals = run.values("stall_count"), run.values("stall_ms")
    stalled = sum(count > 0 for count in counts)
    if not stalled:
        return
    figures = {"stalled": stalled, "turns": len(counts), "worst_ms": max(totals)}
    speed = run.middle("synth_speed_x")
    if speed is not None and speed < REAL_TIME:
        yield advice("slow synthesis", **figures, speed_x=speed)
        return
    starts = run.values("gapless_start_ms")
    later_ms = percentile(starts, 95) - percentile(run.values("first_audio_ms"), 95)
    yield advice("stalls", **figures, later_ms=max(later_ms, 0.0))


def _cold_turn(run: _Run) -> Iterator[Advice]:
    typical = run.middle("first_audio_ms")
    phases: tuple[Phase, ...] = ("cold", "idle")
    for phase in phases:
        columns = run.digest.phases.get(phase)
        if columns is None or not typical:
            continue
        for took in columns.usable(FIRST_AUDIO).tolist():
            if took > COLD_FACTOR * typical:
                factor = took / typical
                yield advice(f"{phase} turn", took_ms=took, factor_x=factor, typical_ms=typical)
                return


def _short_warmup(run: _Run) -> Iterator[Advice]:
    values = run.values("first_audio_ms")
    if len(values) < DRIFT_TURNS:
        return
    head = max(2, len(values) // DRIFT_SHARE)
    first, later = values[:head], median(values[head:])
    if later > 0 and min(first) > DRIFT_FACTOR * later:
        warmed = run.digest.turns("warmup")
        yield advice(
            "short warm-up",
            turns=head,
            first_ms=median(first),
            later_ms=later,
            warmed=warmed,
            warmup=warmed + head,
        )


def _noise(run: _Run) -> Iterator[Advice]:
    cores, load = run.environment.get("cores"), run.environment.get("load_1min")
    if isinstance(cores, int) and isinstance(load, int | float) and load > cores:
        yield advice("busy machine", load=load, cores=cores)
    values = run.values("first_audio_ms")
    if len(values) >= values_needed(95):
        p50, p95 = percentile(values, 50), percentile(values, 95)
        if p50 > 0 and p95 > SPREAD_FACTOR * p50:
            yield advice("spread", p95_ms=p95, factor_x=p95 / p50, p50_ms=p50)


def _connects_in_the_turn(run: _Run) -> Iterator[Advice]:
    """Find turns that connected although the settings did not ask for it."""
    if connects_in_every_turn(run.environment.get("target")):
        return
    columns = run.digest.columns
    waited = columns.traits["waited_ms"][~columns.failed]
    waits = waited[~np.isnan(waited)].tolist()
    if waits:
        figures = {"waiting": len(waits), "turns": waited.size, "wait_ms": median(waits)}
        yield advice("connects in the turn", **figures)


def connects_in_every_turn(target: object) -> bool:
    """Return whether the settings of ``target`` ask for a new connection in every turn."""
    if not isinstance(target, Mapping):
        return False
    return bool(target.get("cold_connection")) or any(
        connects_in_every_turn(target.get(engine)) for engine in ("llm", "tts")
    )


def _slow_computing(run: _Run) -> Iterator[Advice]:
    slow = slower_engines(run.environment.get("target"))
    return (Advice(*found, "slow computing") for found in slow)


def _late_turns(run: _Run) -> Iterator[Advice]:
    return late_turns(run.digest.columns)


def _silence(run: _Run) -> Iterator[Advice]:
    silence = run.middle("leading_silence_ms")
    if silence is not None and silence > LONG_SILENCE_MS:
        yield advice("silence", silence_ms=silence)


def _slowest_stage(run: _Run) -> Iterator[Advice]:
    """Name the longest stage before first audio, if first audio missed a gate."""
    values = run.digest.columns.values
    first_token, first_chunk, ttfb = (
        values[name] for name in ("llm_ttft_ms", "first_chunk_ms", "tts_ttfb_ms")
    )
    stages = np.stack([first_token, first_chunk - first_token, ttfb])
    stages = stages[:, ~np.isnan(stages).any(axis=0)]
    if not stages.size or all(result.gate.metric is not FIRST_AUDIO for result in run.missed()):
        return
    llm, wait, voice = (float(took) for took in np.median(stages, axis=1))
    whole = float(np.median(stages.sum(axis=0)))
    if whole <= 0:
        return
    if wait / whole > LONG_WAIT_SHARE:
        kind, took = f"waits for the {'reply' if _is_sequential(run) else 'chunk'}", wait
    elif llm / whole > DOMINANT_SHARE:
        kind, took = "slow first token", llm
    elif voice / whole > DOMINANT_SHARE:
        kind, took = "slow voice", voice
    else:
        return
    yield advice(kind, took_ms=took, whole_ms=whole, of_share=took / whole)


def _is_sequential(run: _Run) -> bool:
    """Return whether the voice always began after the whole reply was written."""
    columns = run.digest.columns
    in_pieces = ~columns.failed & (columns.traits["chunks"] > 1)
    late = columns.values["first_chunk_ms"] >= columns.values["llm_total_ms"]
    return bool(in_pieces.any() and late[in_pieces].all())


def _missed_gates(run: _Run) -> Iterator[Advice]:
    """Explain each missed gate that no other rule explains."""
    for result in run.missed():
        metric = result.gate.metric
        rule = _failed_turns if metric is None else EXPLAINED_BY.get(metric.name)
        if rule is None or not any(rule(run)):
            seen = form.quantity(result.observed, result.gate.unit)
            figures = {"gate": result.gate.text, "seen_figure": seen}
            yield Advice(*explain(result, run.summary), "missed gate", figures)


Rule = Callable[[_Run], Iterator[Advice]]
EXPLAINED_BY: dict[str, Rule] = {
    "first_audio_ms": _slowest_stage,
    "leading_silence_ms": _silence,
    "gapless_start_ms": _stalls,
    "stall_count": _stalls,
    "stall_ms": _stalls,
    "longest_stall_ms": _stalls,
    "worst_deficit_ms": _stalls,
}
"""The rule that explains a missed gate on each of these metrics, if it finds something."""

RULES: tuple[Rule, ...] = (
    _failed_turns,
    _not_measured,
    _too_few_runs,
    _remarked,
    _slow_computing,
    _late_turns,
    _slowest_stage,
    _missed_gates,
    _stalls,
    _short_warmup,
    _connects_in_the_turn,
    _noise,
    _cold_turn,
    _silence,
)
