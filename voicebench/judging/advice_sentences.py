"""One piece of advice, and the sentences of every kind of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from string import Formatter

from voicebench import format as form

_STALLS = "{stalled} of {turns} turns stall while they play, {worst_ms:ms} in the worst; "
_PART = " takes {took_ms:ms} of the {whole_ms:ms} to first audio ({of_share:share})"
_WAIT = "the wait from first token to first text chunk" + _PART
SENTENCES = {
    "failed turns": ("{failed} of {turns} turns failed in {at_stage}: {reason}", "{remedy}"),
    "too few runs": (
        "{values:turn} are too few for the {percentile} of {metrics}: the gate judges the maximum",
        "measure more turns: --runs {runs}",
    ),
    "too few runs.one": (
        "{values:turn} is too few for the {percentile} of {metrics}: the gate judges the maximum",
        "measure more turns: --runs {runs}",
    ),
    "too few calls": (
        "{values:step} are too few for the {percentile} of {metrics}: the gate judges the maximum",
        "measure more calls: --calls {calls}",
    ),
    "too few calls.one": (
        "{values:step} is too few for the {percentile} of {metrics}: the gate judges the maximum",
        "measure more calls: --calls {calls}",
    ),
    "not measured": (
        "this target does not show {metrics}, and a gate on a missing metric fails",
        "drop {gates}",
    ),
    "slow synthesis": (
        _STALLS + "speech is synthesized at {speed_x:x} real time",
        "use a lighter voice or a faster device: no player can hide this",
    ),
    "stalls": (
        _STALLS + "the next piece of speech comes too late after the first",
        "give the first chunk more words (chunker.first_words), or start to play {later_ms:ms} "
        "later",
    ),
    "cold turn": (
        "the cold turn took {took_ms:ms} to first audio, {factor_x:x} the median of "
        "{typical_ms:ms}",
        "warm the product up before its first user speaks; this turn is in no statistic above",
    ),
    "idle turn": (
        "the first turn after silence took {took_ms:ms} to first audio, {factor_x:x} the median "
        "of {typical_ms:ms}",
        "warm the product up before its first user speaks; this turn is in no statistic above",
    ),
    "short warm-up": (
        "the first {turns} measured turns took {first_ms:ms} to first audio, the later ones "
        "{later_ms:ms}: {warmed:warm-up turn} were not enough",
        "warm up longer: --warmup {warmup}",
    ),
    "busy machine": (
        "the machine was busy when the run began: load {load:.1f} on {cores:core}",
        "close other programs and measure again",
    ),
    "spread": (
        "first audio varies widely: p95 is {p95_ms:ms}, {factor_x:x} the p50 of {p50_ms:ms}",
        "the per-run table shows which stage varies; if all do, something else uses the machine",
    ),
    "connects in the turn": (
        "{waiting} of {turns} turns waited for a new connection, {wait_ms:ms} of the turn (median)",
        "let the server keep connections open: if it closes them after each answer, every later "
        "chunk of a reply needs a new one",
    ),
    "history computed again": (
        "from turn {from_turn} of a conversation on, {metric} takes {late_ms:ms}, {factor_x:x} the "
        "{first_ms:ms} of first turns: the history is probably computed again in every turn",
        "let the server keep what it has computed of a conversation (prompt or prefix caching); in "
        "process take the fast engine and a larger llm.kept_mb; or send less history",
    ),
    "late turns": (
        "from turn {from_turn} of a conversation on, {metric} takes {late_ms:ms}, {factor_x:x} the "
        "{first_ms:ms} of first turns, although the server says that {cached_share:share} of the "
        "prompt was not computed again",
        "see if late prompts are longer; if not, ask the server what it does beside computing",
    ),
    "silence": (
        "the audio begins with {silence_ms:ms} of silence (median): first_sound includes it, "
        "first_audio does not",
        "trim it before the first samples are sent, or use a voice without it",
    ),
    "slow first token": (
        "the first token" + _PART,
        "tune the language model: a smaller one, a shorter system prompt, a faster device",
    ),
    "slow voice": (
        "the voice" + _PART,
        "tune the voice: a lighter one, a shorter first chunk, a faster device",
    ),
    "waits for the reply": (
        _WAIT + ": the voice begins only when the whole reply is written",
        "let both overlap: --overlap",
    ),
    "waits for the chunk": (
        _WAIT,
        "close the first chunk earlier (chunker.first_words), or write faster",
    ),
}
"""The finding and the remedy of each kind; a place names a figure and its unit, or its noun.

If the first figure is 1, the sentences of ``KIND.one`` are used where there are some.
"""
STANDS_ON: Mapping[str, tuple[str, ...]] = {
    "failed turns": ("errors.rate",),
    "slow synthesis": ("stall.max", "synth_speed_x.p50"),
    "stalls": ("stall.max", "gapless_start.p95", "first_audio.p95"),
    "cold turn": ("first_audio.p50",),
    "idle turn": ("first_audio.p50",),
    "short warm-up": ("first_audio.p50",),
    "busy machine": ("environment: load_1min", "environment: cores"),
    "spread": ("first_audio.p95", "first_audio.p50"),
    "connects in the turn": ("turns.jsonl: connections",),
    "silence": ("leading_silence.p50",),
    "slow first token": ("llm_ttft.p50", "first_audio.p50"),
    "slow voice": ("tts_ttfb.p50", "first_audio.p50"),
    "waits for the reply": ("first_chunk.p50", "llm_ttft.p50", "first_audio.p50"),
    "waits for the chunk": ("first_chunk.p50", "llm_ttft.p50", "first_audio.p50"),
    "slow computing": ("environment: target",),
    "remark": ("turns.jsonl: remarks",),
}
"""The figures that a finding stands on; of what is no figure, where it is recorded.

The findings on gates, on too few turns and on conversations name their metrics themselves.
"""
FAILURE_REMEDIES = {
    "connect": "check that the server runs and its address is right",
    "llm": "`voicebench doctor` checks the language model; a failing prompt is in turns.jsonl",
    "tts": "`voicebench doctor` checks the voice; the text that failed is in turns.jsonl",
    "audio": "listen with --save-audio: noise may be samples of another encoding (tts.encoding), "
    "and silence a reply with nothing to pronounce",
    "transport": "check the network and the server's log",
    "turn": "run it again to the end",
}
CALL_REMEDIES = {
    "timeout": "see the agent's log: does its voice work? "
    "A larger limit in the script waits longer",
    "audio": "listen with --save-audio: its sound may have another rate or encoding than "
    "call.speak_rate and call.encoding say",
    "engine": "see the agent's log; the steps until then are in calls.csv",
}
"""The remedy for a step of a call that failed, by its fault."""


@dataclass(frozen=True, slots=True)
class Advice:
    """A finding with its figures, and the remedy."""

    finding: str
    remedy: str
    kind: str = ""
    """The kind of finding, the same in every run whatever the figures are."""
    figures: Mapping[str, str | float] = field(default_factory=dict)
    """The figures of both sentences, for a report that has sentences of its own."""

    def __str__(self) -> str:
        """Return both as one line."""
        return f"{self.finding}; {self.remedy}"

    @property
    def stands_on(self) -> tuple[str, ...]:
        """The figures behind the finding, such as ``first_audio.p95``, the most important first."""
        named = self.figures
        if self.kind == "missed gate":
            return (re.split("[<>]", str(named["gate"]), maxsplit=1)[0].strip(),)
        metrics = str(named.get("metrics") or named.get("metric") or "")
        if metrics:
            statistic = named.get("percentile")
            return tuple(
                name if statistic is None else f"{name}.{statistic}" for name in metrics.split(", ")
            )
        return STANDS_ON.get(self.kind, ())


class _Sentences(Formatter):
    """Fills in figures with their unit (``{took_ms:ms}``) or noun (``{cores:core}``)."""

    def format_field(self, value: float | str, format_spec: str) -> str:
        if format_spec in form.UNITS:
            return form.quantity(float(value), format_spec)
        if format_spec.replace("-", "").replace(" ", "").isalpha():
            return form.plural(int(value), format_spec)
        return str(super().format_field(value, format_spec))


def advice(kind: str, **figures: str | float) -> Advice:
    """Return the advice of ``kind``, its sentences filled with ``figures``."""
    is_one = next(iter(figures.values()), None) == 1
    sentences = SENTENCES.get(f"{kind}.one", SENTENCES[kind]) if is_one else SENTENCES[kind]
    finding, remedy = (_Sentences().format(text, **figures) for text in sentences)
    return Advice(finding, remedy, kind, figures)
