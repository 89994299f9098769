"""Advice: what is off in a run, with its figure, and what to do about it.

Each rule looks at one thing in the recorded turns and speaks only where it finds it; a run in
which nothing is off gets no advice. A rule never changes a figure or a verdict. The bounds are
constants of this file: they decide when something is worth a sentence, not what is good.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

import numpy as np
from numpy.typing import NDArray

from voicebench import format as form
from voicebench.events import Phase
from voicebench.figures.columns import Columns
from voicebench.figures.metrics import FIRST_AUDIO
from voicebench.figures.summary import Summary, percentile, values_needed
from voicebench.judging.digest import Digest
from voicebench.judging.gate_advice import explain
from voicebench.judging.gates import GateResult, Verdict
from voicebench.judging.remarks import remarked
from voicebench.machine.slower import slower_engines

COLD_FACTOR = 2.0
"""A cold turn is worth a word when it takes so many times what the median turn takes."""
DRIFT_FACTOR = 1.10
DRIFT_SHARE = 5
"""One in so many measured turns, and at least two, count as the first ones."""
DRIFT_TURNS = 8
"""With fewer turns nothing is said of drift."""
SPREAD_FACTOR = 1.5
"""p95 over p50 of first audio above which the figures depend on the moment."""
LONG_SILENCE_MS = 50.0
DOMINANT_SHARE = 0.5
LONG_WAIT_SHARE = 0.3
REAL_TIME = 1.0


@dataclass(frozen=True, slots=True)
class Advice:
    """What was found, with its figure, and the remedy."""

    finding: str
    remedy: str
    kind: str = ""
    """What was looked at: the same for the same finding in every run, whatever its figures."""
    figures: Mapping[str, str | float] = field(default_factory=dict)
    """What the finding and the remedy name, for those who put it in words of their own."""

    def __str__(self) -> str:
        """Return both as one line."""
        return f"{self.finding}; {self.remedy}"


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


def advise(
    digest: Digest, results: Sequence[GateResult], environment: Mapping[str, object]
) -> tuple[Advice, ...]:
    """Return the advice for a run, the gravest first.

    ``environment`` is that of the results folder; of it ``cores``, ``load_1min``
    and ``target`` are read.
    """
    run = _Run(digest, results, environment)
    return tuple(advice for rule in RULES for advice in rule(run))


def _failed_turns(run: _Run) -> list[Advice]:
    gathered: dict[tuple[str, str], int] = {}
    for failed in run.digest.failures:
        key = (failed.stage, form.one_line(failed.reason))
        gathered[key] = gathered.get(key, 0) + 1
    return [
        Advice(
            f"{count} of {run.summary.turns} turns failed in {stage}: {reason}",
            _failure_remedy(stage, run.environment),
            "failed turns",
            {"failed": count, "turns": run.summary.turns, "at_stage": stage, "reason": reason},
        )
        for (stage, reason), count in gathered.items()
    ]


def _failure_remedy(stage: str, environment: Mapping[str, object]) -> str:
    target = environment.get("target")
    engine = target.get(stage) if isinstance(target, Mapping) else None
    if isinstance(engine, Mapping) and engine.get("device") == "remote":
        return "see what the server says of it; what it was asked is in turns.jsonl"
    return FAILURE_REMEDIES.get(stage, "the turn's line in turns.jsonl has its events")


FAILURE_REMEDIES = {
    "connect": "check that the server runs and its address is right",
    "llm": "`voicebench doctor` checks the language model; a failing prompt is in turns.jsonl",
    "tts": "`voicebench doctor` checks the voice; the text that failed is in turns.jsonl",
    "audio": "listen with --save-audio: noise may be samples of another encoding (tts.encoding), "
    "and silence a reply with nothing to pronounce",
    "transport": "check the network and the server's log",
    "turn": "run it again to the end",
}


def _too_few_runs(run: _Run) -> list[Advice]:
    wanting: dict[float, list[str]] = {}
    fewest: dict[float, int] = {}
    for result in run.results:
        gate = result.gate
        if gate.percentile is None or gate.metric is None or result.observed is None:
            continue
        distribution = run.summary.metrics[gate.metric.name]
        if not distribution.quantile(gate.percentile)[1]:
            wanting.setdefault(gate.percentile, []).append(gate.metric.short_name)
            count = len(distribution.values)
            fewest[gate.percentile] = min(count, fewest.get(gate.percentile, count))
    return [
        Advice(
            f"{form.plural(fewest[q], 'turn')} are too few for the p{q:g} of "
            f"{' and '.join(names)}: "
            "the gate judges the largest of them",
            f"measure more turns: --runs {values_needed(q) + run.summary.failed}",
            "too few runs",
            {
                "values": fewest[q],
                "percentile": f"p{q:g}",
                "metrics": ", ".join(names),
                "runs": values_needed(q) + run.summary.failed,
            },
        )
        for q, names in wanting.items()
    ]


def _not_measured(run: _Run) -> list[Advice]:
    """Name the gates that this target can never pass, and the gates that are left without them."""
    if run.summary.failed == run.summary.turns:
        return []
    hidden = [result for result in run.results if result.verdict is Verdict.NOT_MEASURED]
    if not hidden:
        return []
    kept = [result.gate.text for result in run.results if result not in hidden]
    named = [result.gate.metric.short_name for result in hidden if result.gate.metric is not None]
    return [
        Advice(
            f"this target does not show {' and '.join(dict.fromkeys(named))}, and what is not "
            "measured does not pass",
            f"drop {' and '.join(repr(result.gate.text) for result in hidden)}: "
            + (" ".join(f"--gate {text!r}" for text in kept) if kept else "--no-gate"),
            "not measured",
            {"metrics": ", ".join(dict.fromkeys(named))},
        )
    ]


def _remarked(run: _Run) -> list[Advice]:
    return [Advice(*found, "remark") for found in remarked(run.digest)]


def _stalls(run: _Run) -> list[Advice]:
    counts, totals = run.values("stall_count"), run.values("stall_ms")
    stalled = sum(count > 0 for count in counts)
    if not stalled:
        return []
    finding = (
        f"{stalled} of {len(counts)} turns stall while they play, "
        f"{form.quantity(max(totals), 'ms')} in the worst"
    )
    told = {"stalled": stalled, "turns": len(counts), "worst_ms": max(totals)}
    speed = run.middle("synth_speed_x")
    if speed is not None and speed < REAL_TIME:
        return [
            Advice(
                f"{finding}; speech is synthesized at {form.times(speed)} real time",
                "use a lighter voice or a faster device: no player can hide this",
                "slow synthesis",
                {**told, "speed_x": speed},
            )
        ]
    start = run.values("gapless_start_ms")
    later = percentile(start, 95) - percentile(run.values("first_audio_ms"), 95)
    return [
        Advice(
            f"{finding}; the next piece of speech comes too late after the first",
            "give the first chunk more words (chunker.first_words), or start to play "
            f"{form.quantity(max(later, 0.0), 'ms')} later",
            "stalls",
            {**told, "later_ms": max(later, 0.0)},
        )
    ]


def _cold_turn(run: _Run) -> list[Advice]:
    typical = run.middle("first_audio_ms")
    states: dict[Phase, str] = {"cold": "cold turn", "idle": "first turn after silence"}
    for phase, state in states.items():
        columns = run.digest.phases.get(phase)
        if columns is None or not typical:
            continue
        all_took = columns.usable(FIRST_AUDIO).tolist()
        took = next((took for took in all_took if took > COLD_FACTOR * typical), None)
        if took is not None:
            return [
                Advice(
                    f"the {state} took {form.quantity(took, 'ms')} to first audio, "
                    f"{form.times(took / typical)} the median of {form.quantity(typical, 'ms')}",
                    "warm a product up before its first user speaks; "
                    "this turn is in no statistic above",
                    f"{phase} turn",
                    {"took_ms": took, "factor_x": took / typical, "typical_ms": typical},
                )
            ]
    return []


def _short_warmup(run: _Run) -> list[Advice]:
    values = run.values("first_audio_ms")
    if len(values) < DRIFT_TURNS:
        return []
    head = max(2, len(values) // DRIFT_SHARE)
    rest = median(values[head:])
    if rest <= 0 or min(values[:head]) <= DRIFT_FACTOR * rest:
        return []
    warmup = run.digest.turns("warmup")
    return [
        Advice(
            f"the first {head} measured turns took {form.quantity(median(values[:head]), 'ms')} to "
            f"first audio, the later ones {form.quantity(rest, 'ms')}: "
            f"{form.plural(warmup, 'warm-up turn')} did not warm everything",
            f"warm up longer: --warmup {warmup + head}",
            "short warm-up",
            {
                "turns": head,
                "first_ms": median(values[:head]),
                "later_ms": rest,
                "warmup": warmup + head,
            },
        )
    ]


def _noise(run: _Run) -> list[Advice]:
    found = []
    cores, load = run.environment.get("cores"), run.environment.get("load_1min")
    if isinstance(cores, int) and isinstance(load, int | float) and load > cores:
        found.append(
            Advice(
                f"the machine was busy when the run began: load {load:.1f} on "
                f"{form.plural(cores, 'core')}",
                "close other programs and measure again",
                "busy machine",
                {"load": load, "cores": cores},
            )
        )
    values = run.values("first_audio_ms")
    if len(values) >= values_needed(95):
        p50, p95 = percentile(values, 50), percentile(values, 95)
        if p50 > 0 and p95 > SPREAD_FACTOR * p50:
            found.append(
                Advice(
                    f"first audio spreads widely: p95 is {form.quantity(p95, 'ms')}, "
                    f"{form.times(p95 / p50)} the p50 of {form.quantity(p50, 'ms')}",
                    "the per-run table shows which stage varies; if all do, something else uses "
                    "the machine",
                    "spread",
                    {"p95_ms": p95, "factor_x": p95 / p50, "p50_ms": p50},
                )
            )
    return found


def _connects_in_the_turn(run: _Run) -> list[Advice]:
    """Say that turns connected though nobody asked for it: their figures hold that time."""
    if _connects_on_purpose(run.environment.get("target")):
        return []
    columns = run.digest.columns
    waited = columns.traits["waited_ms"][~columns.failed]
    waits = waited[~np.isnan(waited)].tolist()
    if not waits:
        return []
    return [
        Advice(
            f"{len(waits)} of {waited.size} turns waited for a new connection, "
            f"{form.quantity(median(waits), 'ms')} of the turn (median)",
            "let the server keep connections open: where it closes them after an answer, every "
            "later chunk of a reply connects anew",
            "connects in the turn",
            {"waiting": len(waits), "turns": waited.size, "wait_ms": median(waits)},
        )
    ]


def _connects_on_purpose(target: object) -> bool:
    if not isinstance(target, Mapping):
        return False
    return bool(target.get("cold_connection")) or any(
        _connects_on_purpose(target.get(engine)) for engine in ("llm", "tts")
    )


def _slow_computing(run: _Run) -> list[Advice]:
    """Name the engines that compute in a slow way that nobody asked for."""
    target = run.environment.get("target")
    return [Advice(*found, "slow computing") for found in slower_engines(target)]


def _silence(run: _Run) -> list[Advice]:
    silence = run.middle("leading_silence_ms")
    if silence is None or silence <= LONG_SILENCE_MS:
        return []
    return [
        Advice(
            f"the audio opens with {form.quantity(silence, 'ms')} of silence (median), which "
            "first_audio does not show and first_sound does",
            "trim it before the first samples leave, or take a voice without it",
            "silence",
            {"silence_ms": silence},
        )
    ]


def _slowest_stage(run: _Run) -> list[Advice]:
    """Name the stage that first audio is made of, where first audio missed what was asked of it."""
    missed = any(
        result.gate.metric is FIRST_AUDIO and result.verdict in (Verdict.FAIL, Verdict.CLOSE)
        for result in run.results
    )
    stages = _stages(run.digest.columns)
    if not missed or not stages.size:
        return []
    llm, wait, voice = (float(took) for took in np.median(stages, axis=1))
    whole = float(np.median(stages.sum(axis=0)))
    if whole <= 0:
        return []
    if wait / whole > LONG_WAIT_SHARE:
        return [_about_the_wait(wait, whole, run)]
    for stage, took, remedy, kind in (
        ("the first token", llm, LLM_REMEDY, "slow first token"),
        ("the voice", voice, VOICE_REMEDY, "slow voice"),
    ):
        if took / whole > DOMINANT_SHARE:
            return [Advice(_share(stage, took, whole), remedy, kind, _part_of(took, whole))]
    return []


def _missed_gates(run: _Run) -> list[Advice]:
    """Say what each missed gate is made of, unless another rule has said it."""
    return [
        Advice(
            *explain(result, run.summary),
            "missed gate",
            {
                "gate": result.gate.text,
                "seen_figure": form.quantity(result.observed, result.gate.unit),
            },
        )
        for result in run.results
        if result.verdict in (Verdict.FAIL, Verdict.CLOSE) and not _is_explained(result, run)
    ]


def _is_explained(result: GateResult, run: _Run) -> bool:
    metric = result.gate.metric
    rule = _failed_turns if metric is None else EXPLAINED_BY.get(metric.name)
    return rule is not None and bool(rule(run))


LLM_REMEDY = "tune the language model: a smaller one, a shorter system prompt, a faster device"
VOICE_REMEDY = "tune the voice: a lighter one, a shorter first chunk, a faster device"


def _about_the_wait(wait: float, whole: float, run: _Run) -> Advice:
    finding = _share("the wait from first token to first text chunk", wait, whole)
    values, traits = run.digest.columns.values, run.digest.columns.traits
    in_pieces = ~run.digest.columns.failed & (traits["chunks"] > 1)
    handed_over_late = values["first_chunk_ms"] >= values["llm_total_ms"]
    if in_pieces.any() and handed_over_late[in_pieces].all():
        return Advice(
            f"{finding}: the voice begins only when the whole reply is written",
            "let both overlap: --overlap",
            "waits for the reply",
            _part_of(wait, whole),
        )
    return Advice(
        finding,
        "let the first chunk close earlier (chunker.first_words), or write faster",
        "waits for the chunk",
        _part_of(wait, whole),
    )


def _part_of(took: float, whole: float) -> dict[str, str | float]:
    return {"took_ms": took, "whole_ms": whole, "of_share": took / whole}


def _share(stage: str, took: float, whole: float) -> str:
    return (
        f"{stage} takes {form.quantity(took, 'ms')} of the {form.quantity(whole, 'ms')} to first "
        f"audio ({form.percent(took / whole)})"
    )


def _stages(columns: Columns) -> NDArray[np.float64]:
    """Return what first audio is made of, ``(3, turns)`` in ms, of the turns that show all of it.

    To the first token, from there to the first chunk, from there to the audio.
    """
    first_token, first_chunk, ttfb = (
        columns.values[name] for name in ("llm_ttft_ms", "first_chunk_ms", "tts_ttfb_ms")
    )
    stages = np.stack([first_token, first_chunk - first_token, ttfb])
    return stages[:, ~np.isnan(stages).any(axis=0)]


EXPLAINED_BY: dict[str, Callable[[_Run], list[Advice]]] = {
    "first_audio_ms": _slowest_stage,
    "leading_silence_ms": _silence,
    **dict.fromkeys(
        (
            "gapless_start_ms",
            "stall_count",
            "stall_ms",
            "longest_stall_ms",
            "worst_deficit_ms",
        ),
        _stalls,
    ),
}
"""The rules that explain a gate on these metrics whenever they find something."""

RULES: tuple[Callable[[_Run], list[Advice]], ...] = (
    _failed_turns,
    _not_measured,
    _too_few_runs,
    _remarked,
    _slow_computing,
    _slowest_stage,
    _missed_gates,
    _stalls,
    _short_warmup,
    _connects_in_the_turn,
    _noise,
    _cold_turn,
    _silence,
)
