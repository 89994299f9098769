from __future__ import annotations

from collections.abc import Sequence

import pytest
from handmade import failed_turn, make_turn

from voicebench.figures.metrics import METRICS, Metric
from voicebench.figures.summary import summarize
from voicebench.judging.advice import advise
from voicebench.judging.advice_sentences import Advice
from voicebench.judging.digest import digest_of
from voicebench.judging.gate_advice import explain
from voicebench.judging.gates import judge, parse_gate
from voicebench.turn.timeline import Timeline


def reply(number: int, *, first_token: float, gap: float, tokens: int) -> Timeline:
    """Return a turn whose reply has so many tokens, ``gap`` ms apart, and plays without a stall."""
    times = [first_token + gap * index for index in range(tokens)]
    return make_turn(
        number,
        tokens=[(at, " word") for at in times],
        chunks=((times[2], " word word word"), (times[-1], " word")),
        audio=((times[2] + 20, 500), (times[2] + 60, 5000)),
    )


def said(turns: Sequence[Timeline], gate: str) -> tuple[str, str]:
    summary = summarize(turns)
    return explain(judge(parse_gate(gate), summary), summary)


def test_a_slow_reply_of_many_tokens_shall_have_fewer() -> None:
    turns = [reply(n, first_token=31, gap=15, tokens=21) for n in range(20)]
    finding, remedy = said(turns, "llm_total.mean < 200ms")
    assert finding == (
        "llm_total.mean is 331 ms, and its gate asks for < 200ms; of 331 ms (medians) the first "
        "token takes 31.0 ms, the other 20 tokens 300 ms"
    )
    assert "llm.end_after_words" in remedy


def test_a_slow_reply_of_few_tokens_needs_a_faster_model() -> None:
    turns = [reply(n, first_token=30, gap=60, tokens=6) for n in range(20)]
    _, remedy = said(turns, "llm_total.mean < 200ms")
    assert "smaller language model" in remedy


def test_a_reply_that_waits_for_its_first_token_needs_a_shorter_prompt() -> None:
    turns = [reply(n, first_token=400, gap=5, tokens=6) for n in range(20)]
    for gate in ("llm_total.mean < 200ms", "llm_ttft.p95 < 100ms", "first_chunk.p95 < 200ms"):
        finding, remedy = said(turns, gate)
        assert "400 ms" in finding
        assert "system prompt" in remedy


def test_first_audio_is_told_as_the_wait_for_text_and_the_voice() -> None:
    turns = [reply(n, first_token=100, gap=100, tokens=6) for n in range(20)]
    finding, remedy = said(turns, "first_audio.p95 < 300ms")
    assert "wait 300 ms or more for the first chunk of text, and 20.0 ms for the voice" in finding
    assert "chunker.first_words" in remedy


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_every_metric_has_a_finding_and_a_change(metric: Metric) -> None:
    unit = {"ms": "ms", "s": "s", "x": "x", "per_s": "/s"}.get(metric.unit, "")
    turns = [make_turn(n) for n in range(20)]
    finding, remedy = said(turns, f"{metric.short_name}.max < 0.001{unit}")
    assert finding.startswith(f"{metric.short_name}.max is ")
    assert remedy


def advice_for(turns: Sequence[Timeline], *gates: str) -> list[Advice]:
    summary = summarize(turns)
    results = [judge(parse_gate(gate), summary) for gate in gates]
    return list(advise(digest_of(turns), results, {"cores": 2, "load_1min": 0.4}))


def test_each_gate_that_missed_its_limit_gets_its_own_advice() -> None:
    turns = [reply(n, first_token=31, gap=15, tokens=21) for n in range(20)]
    gates = ("llm_total.mean < 200ms", "tts_ttfb.p95 < 10ms", "first_audio.p95 < 300ms")
    findings = [advice.finding for advice in advice_for(turns, *gates)]
    assert len(findings) == 2
    assert findings[0].startswith("llm_total.mean is 331 ms")
    assert findings[1].startswith("tts_ttfb.p95 is 20.0 ms")


def test_a_gate_that_another_rule_explains_is_told_once() -> None:
    stalling = [make_turn(n, audio=((186, 100), (500, 500))) for n in range(20)]
    [advice] = advice_for(stalling, "stall_count.max <= 0")
    assert "stall while they play" in advice.finding
    [advice] = advice_for([make_turn(1), failed_turn(2)], "errors.rate <= 0")
    assert "failed in tts" in advice.finding


def test_a_gate_that_is_close_gets_advice_too() -> None:
    turns = [reply(n, first_token=31, gap=9, tokens=21) for n in range(20)]
    [advice] = advice_for(turns, "llm_total.mean < 200ms")
    assert advice.finding.startswith("llm_total.mean")
