"""The project's promises on first audio, and whether a run keeps them.

The limits were promised for a quiet machine of two cores, some of them in two grades: one for
processors with AVX2, one for those with AVX-512. They are not adapted any further: a slower machine
misses them, and the table says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.first_audio.ratios import figure, known, ratio, values_of
from benchmarks.first_audio.rounds import Turns
from benchmarks.promised import Judged
from voicebench.engines.llm.ending import count_words, is_sentence_end
from voicebench.engines.native.levels import processor_flags
from voicebench.figures.summary import summarize
from voicebench.judging.gates import Verdict, judge, parse_gate
from voicebench.settings import DEFAULT_GATES
from voicebench.turn.timeline import Timeline

OURS = "d3"
TIMES_FASTER = {"b": 3.0, "a": 12.0, "c": 1.8}
FIRST_AUDIO_MS = {False: (38.0, 52.0), True: (34.0, 45.0)}
"""p50 and p95 back to back, without and with AVX-512."""
STRETCH_MS = (30.0, 40.0)
AFTER_SILENCE_MS = 8.0
"""How much later than back to back first audio may come after silence."""
TTS_TTFB_MS = 7.0
ABOVE_FIRST_AUDIO_MS = 20.0
SMOOTH_SHARE = 0.99
LISTENER_STARTS_MS = 20.0
LLM_TOTAL_MEAN_MS = 200.0
WORDS_MEAN = 12.0
MEMORY_GB = 0.5
COLD_MS = 80.0
FIRST_MEASURED_S = 4.0
FIRST_AUDIO_OF_PROCESS_S = 2.5
NAMES = {"back": "back to back", "rested": "after 0.7 s of silence"}


def judge_all(
    turns: Turns, startup: Mapping[str, float] | None = None, *, wide: bool | None = None
) -> list[Judged]:
    """Judge every promise on the turns of a run, and on its ``startup`` figures.

    ``wide`` says whether the processor has AVX-512; None asks it.
    """
    found = [_ratio(turns, other, least) for other, least in TIMES_FASTER.items()]
    back, rested = (turns.get((OURS, condition), []) for condition in NAMES)
    grade = "avx512f" in processor_flags() if wide is None else wide
    of = f"of two cores with {'AVX-512' if grade else 'AVX2'}"
    for kind, limits in ((f" {of}", FIRST_AUDIO_MS[grade]), (" (stretch)", STRETCH_MS)):
        for q, most in zip((50, 95), limits, strict=True):
            promise = f"`first_audio` p{q} ≤ {most:g} ms {NAMES['back']}{kind}"
            found.append(_at_most(promise, figure(back, "first_audio_ms", q), most))
    found.append(_after_silence(back, rested))
    ttfb = figure(back, "tts_ttfb_ms", 50)
    found.append(_at_most(f"`tts_ttfb` p50 ≤ {TTS_TTFB_MS:g} ms", ttfb, TTS_TTFB_MS, digits=1))
    found += [_above_first_audio(back, name) for name in ("first_sound_ms", "gapless_start_ms")]
    found += [_smooth(back), _llm_total(back), _words(back), _whole_sentences(back)]
    found += [_gates(back), *_startup(startup or {})]
    return found


def _ratio(turns: Turns, other: str, least: float) -> Judged:
    promise = f"`first_audio` p50 at least {least:g} × better than ({other})"
    sides = (turns.get((row, "back"), []) for row in (other, OURS))
    slow, fast = (values_of(side, "first_audio_ms") for side in sides)
    found = ratio(slow, fast, 50)
    if found is None:
        return Judged(promise, "–", None)
    return Judged(promise, str(found), found.ratio >= least)


def _after_silence(back: Sequence[Timeline], rested: Sequence[Timeline]) -> Judged:
    promise = f"`first_audio` p50 {NAMES['rested']} ≤ {AFTER_SILENCE_MS:g} ms later"
    later, first = (figure(turns, "first_audio_ms", 50) for turns in (rested, back))
    above = None if later is None or first is None else later - first
    return _at_most(promise, above, AFTER_SILENCE_MS, digits=1)


def _above_first_audio(turns: Sequence[Timeline], metric: str) -> Judged:
    name = metric.removesuffix("_ms")
    promise = f"`{name}` p95 ≤ {ABOVE_FIRST_AUDIO_MS:g} ms above `first_audio` p95"
    later, first = (figure(turns, which, 95) for which in (metric, "first_audio_ms"))
    above = None if later is None or first is None else later - first
    return _at_most(promise, above, ABOVE_FIRST_AUDIO_MS)


def _smooth(turns: Sequence[Timeline]) -> Judged:
    promise = (
        f"no stall in {SMOOTH_SHARE:.0%} of turns, "
        f"listening from first audio + {LISTENER_STARTS_MS:g} ms"
    )
    deficits = known(values_of(turns, "worst_deficit_ms"))
    if not deficits:
        return Judged(promise, "–", None)
    smooth = sum(deficit <= LISTENER_STARTS_MS for deficit in deficits)
    held = smooth >= SMOOTH_SHARE * len(deficits)
    return Judged(promise, f"{smooth} of {len(deficits)} turns", held)


def _llm_total(turns: Sequence[Timeline]) -> Judged:
    promise = f"`llm_total` mean < {LLM_TOTAL_MEAN_MS:g} ms"
    totals = known(values_of(turns, "llm_total_ms"))
    if not totals:
        return Judged(promise, "–", None)
    mean = sum(totals) / len(totals)
    return Judged(promise, f"{mean:.0f} ms", mean < LLM_TOTAL_MEAN_MS)


def _words(turns: Sequence[Timeline]) -> Judged:
    promise = f"replies of {WORDS_MEAN:g} words or more on average"
    counts = [count_words(turn.reply) for turn in turns]
    if not counts:
        return Judged(promise, "–", None)
    mean = sum(counts) / len(counts)
    return Judged(promise, f"{mean:.1f} words", mean >= WORDS_MEAN)


def _whole_sentences(turns: Sequence[Timeline]) -> Judged:
    promise = "replies are whole sentences"
    if not turns:
        return Judged(promise, "–", None)
    whole = sum(is_sentence_end(turn.reply.rstrip(), " ") for turn in turns)
    return Judged(promise, f"{whole} of {len(turns)}", whole == len(turns))


def _gates(turns: Sequence[Timeline]) -> Judged:
    promise = f"the default gates pass, {len(turns)} of {len(turns)} turns usable"
    if not turns:
        return Judged(promise, "–", None)
    summary = summarize(turns)
    results = [judge(parse_gate(gate), summary) for gate in DEFAULT_GATES]
    text = "; ".join(f"{result.gate.text}: {result.verdict.value}" for result in results)
    return Judged(promise, text, all(result.verdict is Verdict.PASS for result in results))


def _startup(startup: Mapping[str, float]) -> list[Judged]:
    promises = {
        "first_audio_s": ("process to first audio", FIRST_AUDIO_OF_PROCESS_S, "s"),
        "first_measured_s": ("process to the first measured turn", FIRST_MEASURED_S, "s"),
        "memory_gb": ("resident memory of a run", MEMORY_GB, "GB"),
        "cold_ms": ("`first_audio` of the first turn after loading", COLD_MS, "ms"),
    }
    judged = []
    for name, (text, most, unit) in promises.items():
        value = startup.get(name)
        found = "–" if value is None else f"{value:.{0 if unit == 'ms' else 2}f} {unit}"
        held = None if value is None else value <= most
        judged.append(Judged(f"{text} ≤ {most:g} {unit}", found, held))
    return judged


def _at_most(promise: str, value: float | None, most: float, digits: int = 0) -> Judged:
    if value is None:
        return Judged(promise, "–", None)
    return Judged(promise, f"{value:.{digits}f} ms", value <= most)
