"""Explains a missed gate: the parts of its figure, and the change that helps most.

Each function here looks at the medians of the measured turns, finds the largest part of one metric,
and names what shortens that part. Every gate that missed its limit gets one finding.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

from voicebench import format as form
from voicebench.figures.summary import Summary
from voicebench.judging.gates import GateResult

Because = tuple[str, str]
"""A reason with its figures, and the change that helps."""

MANY_TOKENS = 15
"""A spoken reply with more tokens is better shortened than made faster."""
MOST = 0.5
"""The part to change is the one that takes more than this share of the whole."""

FEWER_WORDS = (
    "ask for shorter replies: a system prompt that says so, llm.end_after_words or llm.max_tokens"
)
FASTER_MODEL = "use a smaller language model, a lower precision or a faster device"
SHORTER_PROMPT = (
    "shorten the system prompt, or let the server keep it in its prefix cache; else use a smaller "
    "language model"
)
LIGHTER_VOICE = "use a lighter voice or a faster device, or give it a shorter first chunk"
SEE_THE_TABLES = "the tables of distributions and turns show where it comes from"
LESS_SILENCE = "trim the silence before the first samples are sent, or use a voice without it"
EARLIER_CHUNK = "close the first chunk earlier: a smaller chunker.first_words"


def explain(result: GateResult, summary: Summary) -> tuple[str, str]:
    """Return the finding on a gate that missed its limit, and the change that helps."""
    gate = result.gate
    name, _, limit = gate.text.partition(gate.operator)
    observed = form.quantity(result.observed, gate.unit)
    finding = f"{name.strip()} is {observed}, and its gate asks for {gate.operator} {limit.strip()}"
    if gate.metric is None:
        reason, remedy = _failures(summary)
    elif gate.metric.name in _BECAUSE:
        reason, remedy = _BECAUSE[gate.metric.name](summary)
    else:
        reason, remedy = "", _REMEDIES.get(gate.metric.name, SEE_THE_TABLES)
    return f"{finding}{reason}", remedy


def _middle(summary: Summary, metric: str) -> float | None:
    values = summary.metrics[metric].values
    return median(values) if values else None


def _ms(value: float | None) -> str:
    return form.quantity(value, "ms")


def _failures(summary: Summary) -> Because:
    failed = f"; {summary.failed} of {form.plural(summary.turns, 'turn')} failed"
    return failed, "fix the cause of the failures; each reason is in the list of turns"


def _prompt(summary: Summary) -> Because:
    return (
        f"; half of the first tokens took {_ms(_middle(summary, 'llm_ttft_ms'))} or more",
        SHORTER_PROMPT,
    )


def _whole_reply(summary: Summary) -> Because:
    """Explain the reply: its first token, then all others."""
    first, whole = _middle(summary, "llm_ttft_ms"), _middle(summary, "llm_total_ms")
    tokens = _middle(summary, "llm_tokens")
    if first is None or whole is None or whole <= 0:
        return "; the reply came in one piece", FEWER_WORDS
    reason = f"; of {_ms(whole)} (medians) the first token takes {_ms(first)}"
    if first / whole > MOST:
        return reason, SHORTER_PROMPT
    if tokens is None:
        return f"{reason}, the others {_ms(whole - first)}", FEWER_WORDS
    reason += f", the other {form.number(tokens - 1, 'count')} tokens {_ms(whole - first)}"
    return reason, FEWER_WORDS if tokens > MANY_TOKENS else FASTER_MODEL


def _tokens(summary: Summary) -> Because:
    rate = _middle(summary, "llm_tokens_per_s")
    gap = _middle(summary, "llm_itl_ms")
    reason = f"; a token takes {_ms(gap)} (median)" if gap is not None else ""
    if rate is not None and not reason:
        reason = f"; the model writes {form.quantity(rate, 'per_s')} (median)"
    return reason, FASTER_MODEL


def _first_chunk(summary: Summary) -> Because:
    """Explain the first chunk: the first token, then the wait for the chunk's last word."""
    first, chunk = _middle(summary, "llm_ttft_ms"), _middle(summary, "first_chunk_ms")
    if first is None or chunk is None or chunk <= 0:
        return "", EARLIER_CHUNK
    reason = (
        f"; of {_ms(chunk)} (medians) the first token takes {_ms(first)}, "
        f"the wait for the chunk's words {_ms(max(chunk - first, 0.0))}"
    )
    return reason, SHORTER_PROMPT if first / chunk > MOST else EARLIER_CHUNK


def _voice(summary: Summary) -> Because:
    speed = _middle(summary, "synth_speed_x")
    reason = f"; speech is synthesized at {form.times(speed)} real time (median)" if speed else ""
    return reason, LIGHTER_VOICE


def _first_audio(summary: Summary) -> Because:
    """Explain first audio: the first chunk, then the voice."""
    chunk, voice = _middle(summary, "first_chunk_ms"), _middle(summary, "tts_ttfb_ms")
    if chunk is None or voice is None:
        return (
            "; the target does not show its stages",
            "look into the server: it does not show its stages",
        )
    reason = (
        f"; half of the turns wait {_ms(chunk)} or more for the first chunk of text, "
        f"and {_ms(voice)} for the voice"
    )
    return reason, LIGHTER_VOICE if voice > chunk else _first_chunk(summary)[1]


def _first_sound(summary: Summary) -> Because:
    """Explain first sound: first audio, then silence."""
    audio, silence = _middle(summary, "first_audio_ms"), _middle(summary, "leading_silence_ms")
    if audio is None or silence is None:
        return "", "listen to the reply with --save-audio"
    reason = f"; first audio takes {_ms(audio)} (median), the silence after it {_ms(silence)}"
    return reason, LESS_SILENCE if silence > audio else _first_audio(summary)[1]


def _playing(summary: Summary) -> Because:
    """Explain stalls: speech comes too slowly, or its second piece too late."""
    speed, stalls = _middle(summary, "synth_speed_x"), summary.metrics["stall_count"].values
    stalled = sum(count > 0 for count in stalls)
    reason = f"; {stalled} of {form.plural(len(stalls), 'turn')} stall while they play"
    if speed is not None and speed < 1:
        return f"{reason}, at {form.times(speed)} real time", LIGHTER_VOICE
    return reason, "give the first chunk more words (chunker.first_words), or start to play later"


def _response(summary: Summary) -> Because:
    """Explain the wait for an answer: the end of turn, the words, the voice."""
    ended, voice = _middle(summary, "endpoint_ms"), _middle(summary, "voice_ms")
    if ended is None or voice is None:
        return "; the agent does not show its stages", "look into the agent: its end-of-turn wait"
    reason = f"; half of the turns wait {_ms(ended)} or more for the end of turn"
    if ended > voice:
        return reason, "end the turn sooner: a shorter end-of-turn wait, or a model that decides it"
    return f"{reason}, and {_ms(voice)} for the voice", LIGHTER_VOICE


def _length(summary: Summary) -> Because:
    words = _middle(summary, "llm_tokens")
    reason = f"; a reply has {form.number(words, 'count')} tokens (median)" if words else ""
    return reason, FEWER_WORDS


_BECAUSE: dict[str, Callable[[Summary], Because]] = {
    "llm_ttft_ms": _prompt,
    "llm_total_ms": _whole_reply,
    "llm_itl_ms": _tokens,
    "llm_tokens": _length,
    "llm_tokens_per_s": _tokens,
    "first_chunk_ms": _first_chunk,
    "tts_ttfb_ms": _voice,
    "first_audio_ms": _first_audio,
    "first_byte_ms": _first_audio,
    "first_sound_ms": _first_sound,
    "gapless_start_ms": _playing,
    "stall_count": _playing,
    "stall_ms": _playing,
    "longest_stall_ms": _playing,
    "worst_deficit_ms": _playing,
    "turn_ms": _length,
    "audio_s": _length,
    "synth_speed_x": _voice,
    "response_ms": _response,
}
"""Metrics that consist of other metrics."""

_REMEDIES = {
    "leading_silence_ms": LESS_SILENCE,
    **dict.fromkeys(
        ("connect_ms", "connection_reused"), "keep connections open between turns, on both sides"
    ),
    **dict.fromkeys(
        ("server_ms", "server_llm_ms", "server_tts_ms"),
        "look into the server: this is its own duration",
    ),
    **dict.fromkeys(
        ("transport_ms", "transport_llm_ms", "transport_tts_ms"),
        "measure closer to the server: this is the round trip",
    ),
    **dict.fromkeys(
        ("stop_ms", "stopped"),
        "let the agent listen while it speaks, and clear what was not played yet",
    ),
    "false_stop": "let only words interrupt the agent, not every sound",
    **dict.fromkeys(
        ("cut_in", "talk_over_ms"),
        "wait longer before the turn ends, or let a model decide whether a sentence is over",
    ),
    "missed": "see the reasons in the list of turns",
    "heard_wer": "use a larger recognition model, or a better line",
    "caller_late_ms": "measure on a machine with a free core for the caller",
    "speaker_ms": "use a sound device with a shorter buffer",
}
"""The remedies for all other metrics."""
