"""The sealing of turns that the reader read: events, and sound that was not kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from voicebench.audio.pcm import AudibleRule
from voicebench.events import Phase, TurnFailed
from voicebench.secrecy import Secrets
from voicebench.turn.playback import Arrival
from voicebench.turn.recorder import Recording, Unsealed
from voicebench.turn.timeline import Stamped

CUT_OFF = TurnFailed("it was still open when the level ended", "timeout", "turn")


def sealed(
    events: Sequence[Stamped],
    later: Sequence[Arrival],
    started_at: str,
    *,
    turn: int,
    phase: Phase,
    rule: AudibleRule,
    secrets: Secrets,
) -> Recording:
    """Return the finished turn; ``later`` is when sound arrived whose bytes were not kept.

    Moments are of the recorder's clock, in nanoseconds. Raises `voicebench.errors.IllegalEvent` if
    the events break a rule.
    """
    recording = Unsealed(tuple(events), started_at).seal(turn, phase, rule, secrets)
    start_ns = events[0].at_ns
    more = tuple(Arrival(at_ns - start_ns, samples) for at_ns, samples in later)
    audio = tuple(sorted((*recording.timeline.audio, *more)))
    return Recording(replace(recording.timeline, audio=audio), recording.pcm)
