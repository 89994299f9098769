"""How much of a reply the listener heard, and what an interruption took from it."""

from __future__ import annotations

from dataclasses import replace

from voicebench.turn.cut import Cut
from voicebench.turn.playback import NS_PER_S, listen
from voicebench.turn.timeline import Timeline


def heard_until_ns(turn: Timeline) -> float:
    """Return when the listener stopped listening, in nanoseconds after the turn's start.

    That is the end of playback, or the interruption; the turn's end if it failed or has no audio.
    """
    if turn.failed or turn.sound is None:
        return turn.end_ns
    end_ns = listen(turn.audio, turn.sound.sample_rate).end_ns
    return end_ns if turn.cut is None else min(end_ns, turn.cut.at_ns)


def cut_while_playing(turn: Timeline, after_ns: int | None) -> Timeline:
    """Return ``turn`` interrupted ``after_ns`` after first audio, if it was still being played.

    The target was not asked to stop before its reply was complete. Nothing changes for a turn that
    failed, that is interrupted already, or that was heard out before (or if ``after_ns`` is None).
    """
    if after_ns is None or turn.failed or turn.cut is not None or turn.sound is None:
        return turn
    at_ns = turn.audio[0].at_ns + after_ns
    if at_ns >= listen(turn.audio, turn.sound.sample_rate).end_ns:
        return turn
    return replace(turn, cut=Cut(at_ns, "complete", turn.end_ns))


def wasted_s(turn: Timeline) -> float | None:
    """Return the seconds of sound that came and were never heard; None if it was heard out."""
    if turn.cut is None or turn.sound is None:
        return None
    rate = turn.sound.sample_rate
    listening = listen(turn.audio, rate)
    heard_ns = 0.0
    for arrival, start_ns in zip(turn.audio, listening.played_from_ns, strict=True):
        length_ns = arrival.samples * NS_PER_S / rate
        heard_ns += min(max(turn.cut.at_ns - start_ns, 0.0), length_ns)
    return sum([arrival.samples for arrival in turn.audio]) / rate - heard_ns / NS_PER_S
