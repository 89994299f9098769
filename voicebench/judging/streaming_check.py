"""Is streamed speech what the voice gives in one piece? Asked after the run, of a few of its turns.

A voice that computes its speech window by window can be wrong at the windows' edges, and fast. So
the text chunks of the first measured turns are spoken once more, each at once, with the same noise,
when the last turn is over: nothing of it lies on a turn's clock. Samples have to be equal up to the
rounding of the voice's number format. Only a voice in this process can be asked; of a remote one,
the check says that it was not done.
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
"""How far samples (full scale is 1) may lie apart, by the decoder's number format."""


@runtime_checkable
class SpeaksAtOnce(Protocol):
    """A target whose voice can speak a text in one piece, as it would have streamed it."""

    def speak_whole(self, text: str) -> NDArray[np.float32] | None:
        """Return the speech of ``text``, ``(samples,)``, untrimmed; None where the voice cannot."""
        ...


@dataclass(frozen=True, slots=True)
class StreamingCheck:
    """How many turns were spoken again, how far they lay apart at most, and which too far."""

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
    """Speak the text chunks of ``runs`` (number and recording) again, and compare the samples."""
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
    """Return how far two ``(samples,)`` lie apart at most, and what is wrong; nothing if equal."""
    if streamed.size != whole.size:
        return None, (
            f"streamed audio is not what the voice gives in one piece: {streamed.size} samples "
            f"streamed, {whole.size} at once"
        )
    if not streamed.size:
        return 0.0, ""
    difference = float(np.abs(streamed - whole).max())
    # Written so that a sample that is no number is a difference.
    if difference <= tolerance:
        return difference, ""
    return difference, (
        "streamed audio is not what the voice gives in one piece: samples differ by up to "
        f"{difference:.2g}, and {tolerance:g} is allowed"
    )


def _spoken_at_once(target: SpeaksAtOnce, chunks: Sequence[str]) -> NDArray[np.float32] | None:
    spoken = []
    for text in chunks:
        try:
            speech = target.speak_whole(text)
        except VoicebenchError:
            # A device without memory for the whole is no finding about what was streamed.
            return None
        if speech is None:
            return None
        spoken.append(speech)
    return np.concatenate(spoken) if spoken else None


def _rate(recording: Recording) -> int:
    sound = recording.timeline.sound
    return sound.sample_rate if sound else 0


def _tolerance(description: Mapping[str, object]) -> float:
    voice = description.get("tts")
    dtype = voice.get("dtype") if isinstance(voice, dict) else None
    return TOLERANCES.get(str(dtype), TOLERANCES["float32"])
