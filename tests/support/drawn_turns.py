"""Turns drawn by hand: everything in milliseconds, and at 1,000 Hz a sample is a millisecond."""

from __future__ import annotations

from collections.abc import Sequence

from voicebench.events import Connected, Phase, ServerTiming
from voicebench.turn.playback import Arrival
from voicebench.turn.timeline import Failure, Sound, TimedText, Timeline

RATE = 1000
MS = 1_000_000


def arrivals(*drawn: tuple[float, int]) -> tuple[Arrival, ...]:
    """Return pieces of audio, each drawn as (when it came in ms, how long it is in ms)."""
    return tuple(Arrival(round(at * MS), length) for at, length in drawn)


def drawn_turn(
    *,
    tokens: Sequence[float] = (),
    chunks: Sequence[float] = (),
    audio: Sequence[tuple[float, int]] = (),
    silence: int | None = 0,
    end: float | None = None,
    turn: int = 1,
    phase: Phase = "measured",
    failure: Failure | None = None,
    usage_tokens: int | None = None,
    usage_with_hidden: bool = False,
    first_byte: float | None = None,
    connections: Sequence[tuple[float, bool]] = (),
    server_timings: Sequence[ServerTiming] = (),
    whole_reply: float | None = None,
    speaker: float | None = None,
) -> Timeline:
    """Return a sealed turn with events at these moments.

    ``silence`` is how much of the audio's head is silent; None: all of it. ``end`` defaults to
    the last moment drawn.
    """
    moments = [*tokens, *chunks, *(at for at, _ in audio), whole_reply or 0]
    sound = Sound(RATE, silence, peak=0.5, rms=0.1, clipped_samples=0) if audio else None
    return Timeline(
        turn=turn,
        phase=phase,
        prompt="What time is it?",
        started_at="2026-01-02T03:04:05.678+00:00",
        end_ns=round((max(moments) if end is None else end) * MS),
        tokens=tuple(TimedText(round(at * MS), " word") for at in tokens),
        chunks=tuple(TimedText(round(at * MS), " word") for at in chunks),
        audio=arrivals(*audio),
        sound=sound,
        failure=failure,
        usage_tokens=usage_tokens,
        usage_with_hidden=usage_with_hidden,
        first_byte_ns=None if first_byte is None else round(first_byte * MS),
        connections=tuple(Connected(connect_ms, reused) for connect_ms, reused in connections),
        server_timings=tuple(server_timings),
        whole_reply=None if whole_reply is None else TimedText(round(whole_reply * MS), "words"),
        speaker_ns=None if speaker is None else round(speaker * MS),
    )


def turn_with_first_audio(ms: float, phase: Phase = "measured") -> Timeline:
    """Return a turn whose one piece of audio came after ``ms``."""
    return drawn_turn(audio=[(ms, 100)], phase=phase)


def failed_turn(phase: Phase = "measured") -> Timeline:
    """Return a turn that failed after its first audio, which came suspiciously fast."""
    return drawn_turn(
        audio=[(1, 100)], phase=phase, failure=Failure("the model broke", "engine", "tts")
    )
