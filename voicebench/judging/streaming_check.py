"""Checks that streamed speech equals the speech that the voice gives in one piece.

A voice that computes window by window can be fast, and wrong at the edges of the windows. So after
the last turn, the text chunks of the first measured turns are spoken again, each in one piece and
with the same noise. Samples must be equal up to the rounding of the voice's number format. Only a
voice in this process can be checked; for a remote voice, no turn is checked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

from voicebench.errors import VoicebenchError
from voicebench.judging.validity import Flag
from voicebench.turn.recorder import Recording

if TYPE_CHECKING:
    from numpy.typing import NDArray

TOLERANCES = {"float32": 1e-3, "float16": 1e-2, "bfloat16": 5e-2}
"""The largest allowed difference of samples (full scale is 1), by number format."""


@runtime_checkable
class SpeaksAtOnce(Protocol):
    """A target whose voice can speak a text in one piece."""

    def speak_whole(self, chunks: Sequence[str]) -> NDArray[np.float32] | None:
        """Return the speech of a reply's text chunks, each in one piece, ``(samples,)``.

        It is untrimmed. None if the voice cannot.
        """
        ...


@dataclass(frozen=True, slots=True)
class StreamingCheck:
    """The number of turns that were spoken again, the largest difference, and the faults."""

    turns: int = 0
    largest_difference: float | None = None
    tolerance: float | None = None
    flags: tuple[Flag, ...] = ()

    def as_dict(self) -> dict[str, object]:
        """Return the entry of ``summary.json``."""
        return {
            "turns": self.turns,
            "largest_difference": self.largest_difference,
            "tolerance": self.tolerance,
        }


def check_streaming(
    target: object, runs: Sequence[tuple[int, Recording]], description: Mapping[str, object]
) -> StreamingCheck:
    """Speak the text chunks of ``runs`` (number and recording) again, and compare the samples.

    ``description`` is that of the target; its ``tts.dtype`` decides the tolerance.
    """
    if not isinstance(target, SpeaksAtOnce):
        return StreamingCheck()
    tolerance = _tolerance(description)
    flags: list[Flag] = []
    largest: float | None = None
    checked = 0
    for number, recording in runs:
        turn = recording.timeline
        whole = _spoken_at_once(target, [chunk.text for chunk in turn.chunks])
        if whole is None:
            continue
        checked += 1
        trimmed = round((turn.silence_trimmed_ms or 0.0) * _rate(recording) / 1000)
        difference, finding = compare_speech(recording.pcm, whole[trimmed:], tolerance)
        if difference is not None:
            largest = max(difference, largest or 0.0)
        if finding:
            flags.append(Flag(turn.turn, finding, number))
    return StreamingCheck(checked, largest, tolerance if checked else None, tuple(flags))


def compare_speech(
    streamed: NDArray[np.float32], whole: NDArray[np.float32], tolerance: float
) -> tuple[float | None, str]:
    """Return the largest difference of two ``(samples,)``, and the fault; empty if equal."""
    if streamed.size != whole.size:
        return None, (
            f"streamed audio differs from the speech in one piece: {streamed.size} samples "
            f"streamed, {whole.size} at once"
        )
    if not streamed.size:
        return 0.0, ""
    difference = float(np.abs(streamed - whole).max())
    # This way round, so that NaN counts as a difference.
    if difference <= tolerance:
        return difference, ""
    return difference, (
        "streamed audio differs from the speech in one piece: samples differ by up to "
        f"{difference:.2g}, and {tolerance:g} is allowed"
    )


def _spoken_at_once(target: SpeaksAtOnce, chunks: Sequence[str]) -> NDArray[np.float32] | None:
    if not chunks:
        return None
    try:
        return target.speak_whole(chunks)
    except VoicebenchError:
        # A device without memory for the whole proves nothing about the streamed audio.
        return None


def _rate(recording: Recording) -> int:
    sound = recording.timeline.sound
    return sound.sample_rate if sound else 0


def _tolerance(description: Mapping[str, object]) -> float:
    voice = description.get("tts")
    dtype = voice.get("dtype") if isinstance(voice, dict) else None
    return TOLERANCES.get(str(dtype), TOLERANCES["float32"])
