"""Hand-made timelines for the tests of what people read. Times in milliseconds."""

from __future__ import annotations

from collections.abc import Sequence

from voicebench.events import Phase
from voicebench.turn.call_turn import CallKind, CallTurn, Stretch
from voicebench.turn.playback import Arrival
from voicebench.turn.timeline import Failure, Sound, TimedText, Timeline

RATE = 16_000

SPRINT_LLM_MS = (221, 186, 190, 182, 182, 185, 195, 239)
SPRINT_FIRST_AUDIO_MS = (338, 301, 252, 295, 286, 301, 310, 361)
SPRINT_TTFB_MS = (117, 115, 62, 113, 104, 116, 115, 122)


def ns(at_ms: float) -> int:
    return round(at_ms * 1e6)


def texts(pairs: Sequence[tuple[float, str]]) -> tuple[TimedText, ...]:
    return tuple(TimedText(ns(at_ms), text) for at_ms, text in pairs)


def make_turn(
    turn: int = 1,
    *,
    phase: Phase = "measured",
    prompt: str = "What is the weather like?",
    tokens: Sequence[tuple[float, str]] = ((100, "The"), (108, " weather"), (116, " is fine.")),
    chunks: Sequence[tuple[float, str]] = ((116, "The weather is fine."),),
    audio: Sequence[tuple[float, float]] = ((186, 500), (300, 500)),
    silence_ms: float | None = 20,
    failure: Failure | None = None,
    end_ms: float | None = None,
) -> Timeline:
    """Return a turn. ``audio`` is arrivals with their lengths; ``silence_ms`` None: all silent."""
    arrivals = tuple(Arrival(ns(at_ms), round(length * RATE / 1000)) for at_ms, length in audio)
    last_ms = max([at for at, _ in (*tokens, *chunks, *audio)], default=0.0)
    onset = None if silence_ms is None else round(silence_ms * RATE / 1000)
    return Timeline(
        turn=turn,
        phase=phase,
        prompt=prompt,
        started_at="2026-01-01T12:00:00.000+00:00",
        end_ns=ns(last_ms if end_ms is None else end_ms),
        tokens=texts(tokens),
        chunks=texts(chunks),
        audio=arrivals,
        sound=Sound(RATE, onset, 0.3, 0.2, 0) if arrivals else None,
        failure=failure,
    )


def failed_turn(
    turn: int = 1, reason: str = "the voice ran out of memory", at_ms: float = 150
) -> Timeline:
    """Return a turn whose synthesizer failed after the first token."""
    return make_turn(
        turn,
        tokens=((100, "The"),),
        chunks=((120, "The weather is"),),
        audio=(),
        failure=Failure(reason, "engine", "tts"),
        end_ms=at_ms,
    )


def sprint_turns() -> list[Timeline]:
    """Return the eight turns of sprint 46, the reference: the whole reply first, then the voice."""
    figures = zip(SPRINT_LLM_MS, SPRINT_TTFB_MS, SPRINT_FIRST_AUDIO_MS, strict=True)
    turns = []
    for number, (llm, ttfb, first_audio) in enumerate(figures, start=1):
        handed_over = first_audio - ttfb
        turns.append(
            make_turn(
                number,
                tokens=((60, "The weather"), ((llm + 60) / 2, " is clear"), (llm, " today.")),
                chunks=((handed_over, "The weather is"), (first_audio + 20, " clear today.")),
                audio=((first_audio, 400), (first_audio + 20, 400), (first_audio + 80, 700)),
                silence_ms=30,
            )
        )
    return turns


def call_step(
    call: int, step: int = 1, *, kind: CallKind = "line", answer_s: float | None = 2.6
) -> Timeline:
    """Return a step of 6 s. The caller speaks from 1 to 2 s; the agent from ``answer_s`` to 5 s."""
    spoken = CallTurn(
        call=call,
        step=step,
        kind=kind,
        said="at nine",
        start_ns=0,
        end_ns=ns(6000),
        spoken_from_ns=ns(1000),
        spoken_until_ns=ns(2000),
        limit_ms=1000,
        caller=(Stretch(ns(1000), ns(2000)),),
        agent=() if answer_s is None else (Stretch(ns(1000 * answer_s), ns(5000)),),
    )
    number = 100 * call + step
    return Timeline(number, "measured", "at nine", "2026-01-01T00:00:00Z", 0, call=spoken)
