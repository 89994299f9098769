"""The caller's lines as sound: spoken by a voice or read from WAV files, before any call.

A line goes the way of a telephone: spoken, mixed with its background, limited to the rate of the
line, coded and decoded where the line has a codec, and brought to the rate of the agent.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from voicebench.audio import g711
from voicebench.audio.hearing import hear, unlike_speech
from voicebench.audio.pcm import audible_runs, first_audible_sample, from_int16, peak, to_int16
from voicebench.audio.resampled import resampled
from voicebench.audio.synthetic_voice import synthetic_voice
from voicebench.audio.wav import WavStream
from voicebench.audio.wav_format import WavError
from voicebench.calls.call_script import CallScript, CallStep, LineFormat
from voicebench.calls.line_sound import LineSound, line_sound
from voicebench.calls.noises import background, mixed, noise_named
from voicebench.calls.running.script_files import read_script, script_path
from voicebench.errors import CannotMeasure, UsageError
from voicebench.events import AudioChunk

if TYPE_CHECKING:
    from numpy.typing import NDArray

SPOKEN_RATE = 24_000
SECONDS_PER_WORD = 0.3
LONGEST_LINE_S = 60.0
LONGEST_OWN_PAUSE_S = 0.5
"""A voice pauses no longer between two sentences: longer pauses are for the script to ask for."""
MOST_WAV_BYTES = 50_000_000
LINE_RATES: dict[LineFormat, int] = {
    "pcm-24k": 24_000,
    "pcm-16k": 16_000,
    "mulaw-8k": 8000,
    "alaw-8k": 8000,
}


class LineVoice(Protocol):
    """Speaks the texts of a script."""

    def speak(self, text: str) -> NDArray[np.float32]:
        """Return ``text`` as float32 mono at `SPOKEN_RATE`, ``(samples,)``."""
        ...

    def describe(self) -> dict[str, object]:
        """Return what a reader of the results must know."""
        ...


class SyntheticVoice:
    """The voice of `voicebench.audio.synthetic_voice`: 0.3 s for each word."""

    def speak(self, text: str) -> NDArray[np.float32]:
        """Return sound as long as the words would be."""
        return synthetic_voice(
            round(SECONDS_PER_WORD * len(text.split()) * SPOKEN_RATE), SPOKEN_RATE
        )

    def describe(self) -> dict[str, object]:
        """Return its name."""
        return {"voice": "synthetic"}


class EmbeddedVoice:
    """A voice of this process, at another pitch.

    It speaks slower by ``pitch`` and is played faster by it, or the other way round. So the pace
    stays, and the pitch and all formants move by this factor.
    """

    def __init__(self, voice: str, pitch: float, say: Callable[[str], None]) -> None:
        """Load the voice. Raises `voicebench.errors.ModelError`."""
        from voicebench.engines.tts.synthesizer import load_synthesizer

        self._name, self._pitch = voice, pitch
        # Played at `pitch` times its speed, it becomes longer by 1 / pitch.
        self._synthesizer = load_synthesizer(voice, length_scale=pitch, say=say)

    def speak(self, text: str) -> NDArray[np.float32]:
        """Return the speech of ``text``."""
        rate = self._synthesizer.sample_rate
        pieces = [
            event.pcm for event in self._synthesizer.speak(text) if isinstance(event, AudioChunk)
        ]
        if not pieces:
            raise UsageError(f"the voice {self._name} says nothing for {text!r:.60}")
        played = round(rate * self._pitch / 50) * 50
        return resampled(np.concatenate(pieces), played, SPOKEN_RATE)

    def describe(self) -> dict[str, object]:
        """Return its name and its pitch."""
        language = self._synthesizer.describe().get("language")
        return {"voice": self._name, "pitch": self._pitch, "language": language}


def open_line_voice(name: str, pitch: float, say: Callable[[str], None]) -> LineVoice:
    """Return the caller's voice. Raises a `voicebench.errors.VoicebenchError`."""
    return SyntheticVoice() if name == "synthetic" else EmbeddedVoice(name, pitch, say)


def needs_voice(script: CallScript) -> bool:
    """Return whether a step of ``script`` has a text that must be spoken."""
    return any(step.pieces for step in script.steps)


def read_playable_script(named: str) -> CallScript:
    """Read the script, and its WAV files once. Raises `UsageError` for what cannot be used."""
    script = read_script(named)
    recordings_of(script, script_path(named).parent)
    return script


def recordings_of(script: CallScript, folder: Path) -> dict[int, tuple[int, NDArray[np.float32]]]:
    """Return the sample rate and the samples of each step that has a WAV file, by its number.

    The files are named from ``folder``, the script's. Raises `UsageError` for one without speech,
    and for one that cannot be used.
    """
    return {
        number: _read_wav(folder / step.wav, f"step {number}")
        for number, step in enumerate(script.steps, start=1)
        if step.wav is not None
    }


def rendered(
    script: CallScript, sample_rate: int, voice: Callable[[], LineVoice], folder: Path
) -> list[LineSound]:
    """Return the sound of each step at ``sample_rate``, the agent's.

    Raises what `recordings_of` raises, and what ``voice`` raises when it is needed.
    """
    speaker: LineVoice | None = None
    known: dict[str, NDArray[np.float32]] = {}
    recordings = recordings_of(script, folder)
    sounds = []
    for number, step in enumerate(script.steps, start=1):
        if step.pieces and speaker is None:
            speaker = voice()
        where = f"step {number}"
        rate, speech = recordings.get(number) or _speech(step, speaker, known)
        if speech.size > LONGEST_LINE_S * rate:
            raise UsageError(
                f"{where} lasts {speech.size / rate:.0f} s",
                f"make it {LONGEST_LINE_S:.0f} s or less",
            )
        noisy = speech
        if step.background is not None:
            noisy = mixed(speech, background(step.background, speech.size, rate), step.snr_db)
        line = LINE_RATES[script.line]
        clean = resampled(resampled(speech, rate, line), line, sample_rate)
        sent = resampled(_over_line(noisy, rate, script.line), line, sample_rate)
        sounds.append(line_sound(clean, sample_rate, where, sent=sent))
    return sounds


def _speech(
    step: CallStep, voice: LineVoice | None, known: dict[str, NDArray[np.float32]]
) -> tuple[int, NDArray[np.float32]]:
    """Return the sample rate of a noise or a text that is spoken, and its samples."""
    if step.noise is not None:
        return SPOKEN_RATE, noise_named(step.noise, SPOKEN_RATE)
    assert voice is not None
    parts = []
    for piece in step.pieces:
        if isinstance(piece, float):
            parts.append(np.zeros(round(piece * SPOKEN_RATE / 1000), dtype=np.float32))
            continue
        if piece not in known:
            known[piece] = _trimmed(voice.speak(piece))
        parts.append(known[piece])
    return SPOKEN_RATE, np.concatenate(parts)


def _trimmed(pcm: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return ``pcm`` without silence at its ends, so that a pause is as long as it is written.

    Of a pause inside it that is longer than `LONGEST_OWN_PAUSE_S` the middle is left out.
    """
    runs = audible_runs(pcm, SPOKEN_RATE)
    if not runs:
        return pcm
    half = round(LONGEST_OWN_PAUSE_S * SPOKEN_RATE / 2)
    parts, begin = [], runs[0][0]
    for (_, ends), (goes_on, _) in pairwise(runs):
        if goes_on - ends > 2 * half:
            parts.append(pcm[begin : ends + half])
            begin = goes_on - half
    return np.concatenate([*parts, pcm[begin : runs[-1][1]]])


def _over_line(pcm: NDArray[np.float32], rate: int, line: LineFormat) -> NDArray[np.float32]:
    """Return ``pcm`` as it leaves the line, at the line's rate."""
    limited = resampled(pcm, rate, LINE_RATES[line])
    if line in ("mulaw-8k", "alaw-8k"):
        law: g711.Law = "mulaw" if line == "mulaw-8k" else "alaw"
        return from_int16(g711.decode(g711.encode(to_int16(limited), law), law))
    return limited


def _read_wav(path: Path, where: str) -> tuple[int, NDArray[np.float32]]:
    """Return the rate and the samples of a WAV file. Raises `UsageError`."""
    try:
        with path.open("rb") as file:
            content = file.read(MOST_WAV_BYTES + 1)
    except OSError as error:
        raise UsageError(
            f"{where}: {path} cannot be read ({error.strerror})",
            "name a WAV file from the script's folder",
        ) from None
    if len(content) > MOST_WAV_BYTES:
        raise UsageError(f"{where}: {path} is larger than {MOST_WAV_BYTES // 10**6} MB")
    stream = WavStream()
    try:
        pcm = np.concatenate((stream.feed(content), stream.finish()))
    except WavError as error:
        raise UsageError(
            f"{where}: {path} is not a usable WAV file ({error})", "use a WAV with PCM samples"
        ) from None
    rate = stream.sample_rate
    if rate is None or not 8000 <= rate <= 48_000:
        raise UsageError(
            f"{where}: {path} has a sample rate of {rate} Hz", "use one of 8000 to 48000 Hz"
        )
    onset = first_audible_sample(pcm, rate)
    if onset is None:
        raise UsageError(f"{where}: {path} has no audible sound", "use a recording with speech")
    if (why := unlike_speech(hear(pcm, rate, onset), peak(pcm))) is not None:
        raise UsageError(f"{where}: {path}: {why}", "use a recording with speech")
    return rate, pcm


def check_voice(script: CallScript, language: str | None) -> None:
    """Raise `CannotMeasure` if the caller's voice speaks another language than the script.

    ``language`` is that of the voice, in two letters. Anything else says nothing here: "unknown",
    or the three letters of other lists.
    """
    is_known = language is not None and len(language) == 2
    if needs_voice(script) and is_known and script.language != language:
        raise CannotMeasure(
            f"the script is in {script.language!r}, and the caller's voice speaks {language!r}",
            "name a voice of the script's language with --set call.voice=…, or record the lines: "
            "wav and text in place of say",
        )
