"""Compute from recorded turns how other chunk sizes would have performed, without a model.

A recorded turn has the time of each token. The real chunker cuts these tokens into chunks of other
sizes. A *model of the voice*, fitted to the recorded chunks, computes when the audio of each new
chunk would have come. The result is a timeline, so every metric can be computed from it.

The model of the voice:

* The first samples of a chunk come after ``base + slope × characters`` milliseconds, by least
  squares over the recorded chunks. The slope is 0 if all chunks have one length; it is never
  negative.
* A chunk has the recorded seconds of audio per character.
* Audio comes in windows of the recorded length (the median of the first windows, and of the
  others). Later windows come at the recorded pace: audio over time, after the first window.
* One chunk is spoken at a time, as soon as it is complete and the voice is free.

Limit: a voice and a language model on one device slow each other down, and other chunks would
change that. Here tokens keep their recorded times. So measure differences of a few percent with
`voicebench tune`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

import numpy as np

from voicebench.errors import ResultsError
from voicebench.figures.metrics import NS_PER_MS, audio_by_chunk
from voicebench.text.chunking import Chunker
from voicebench.turn.playback import NS_PER_S, Arrival
from voicebench.turn.timeline import Sound, TimedText, Timeline

FEWEST_CHUNKS = 4


@dataclass(frozen=True, slots=True)
class VoiceModel:
    """How long the voice takes for a chunk; see the module's docstring."""

    base_ms: float
    ms_per_character: float
    audio_s_per_character: float
    first_window_s: float
    window_s: float
    speed_x: float
    """Seconds of audio per second, after the first window; infinite if all came at once."""
    sample_rate: int

    def speak(self, text: str, start_ns: int) -> list[Arrival]:
        """Return the pieces of audio of a chunk that is handed over at ``start_ns``."""
        characters = len(text.strip())
        if not characters:
            return []
        left = max(1, round(self.audio_s_per_character * characters * self.sample_rate))
        at_ns = start_ns + round((self.base_ms + self.ms_per_character * characters) * NS_PER_MS)
        arrivals: list[Arrival] = []
        window = max(1, round(self.first_window_s * self.sample_rate))
        while left > 0:
            size = min(window, left)
            if arrivals:
                at_ns += round(size * NS_PER_S / self.sample_rate / self.speed_x)
            arrivals.append(Arrival(at_ns, size))
            left -= size
            window = max(1, round(self.window_s * self.sample_rate))
        return arrivals


@dataclass(frozen=True, slots=True)
class _Spoken:
    characters: int
    first_ms: float
    audio: Sequence[Arrival]


def fit_voice(turns: Sequence[Timeline]) -> VoiceModel:
    """Return the model of the voice that ``turns`` recorded.

    Raises `ResultsError` if too few chunks with tokens and audio were recorded.
    """
    usable = replayable(turns)
    spoken = [
        _Spoken(len(chunk.text.strip()), (audio[0].at_ns - handed_ns) / NS_PER_MS, audio)
        for turn in usable
        for chunk, (handed_ns, audio) in zip(turn.chunks, audio_by_chunk(turn), strict=True)
        if audio and chunk.text.strip()
    ]
    if len(spoken) < FEWEST_CHUNKS:
        raise ResultsError(
            f"the result shows only {len(spoken)} spoken text chunks",
            "replay a run of a cascade, with more turns",
        )
    rates = {turn.sound.sample_rate for turn in usable if turn.sound is not None}
    rate = max(rates)
    base, slope = _line([one.characters for one in spoken], [one.first_ms for one in spoken])
    samples = sum(part.samples for one in spoken for part in one.audio)
    later = [part.samples for one in spoken for part in one.audio[1:]]
    waited_ns = sum(one.audio[-1].at_ns - one.audio[0].at_ns for one in spoken)
    return VoiceModel(
        base_ms=base,
        ms_per_character=slope,
        audio_s_per_character=samples / rate / sum(one.characters for one in spoken),
        first_window_s=median(one.audio[0].samples for one in spoken) / rate,
        window_s=(median(later) if later else median(one.audio[0].samples for one in spoken))
        / rate,
        speed_x=sum(later) / rate / (waited_ns / NS_PER_S) if waited_ns else float("inf"),
        sample_rate=rate,
    )


def replayable(turns: Sequence[Timeline]) -> list[Timeline]:
    """Return the measured turns that show tokens, chunks and audio."""
    return [
        turn
        for turn in turns
        if turn.phase == "measured"
        and not turn.failed
        and turn.tokens
        and turn.chunks
        and turn.sound is not None
    ]


def replay_turn(
    turn: Timeline, voice: VoiceModel, *, first_words: int, later_words: int
) -> Timeline:
    """Return ``turn`` as it would have been with these chunk sizes."""
    chunker = Chunker(first_words, later_words)
    closed = [(token.at_ns, text) for token in turn.tokens for text in chunker.feed(token.text)]
    closed += [(turn.tokens[-1].at_ns, text) for text in chunker.finish()]
    free_ns = 0
    chunks: list[TimedText] = []
    audio: list[Arrival] = []
    for closed_ns, text in closed:
        start_ns = max(closed_ns, free_ns)
        chunks.append(TimedText(start_ns, text))
        spoken = voice.speak(text, start_ns)
        audio += spoken
        free_ns = spoken[-1].at_ns if spoken else start_ns
    sound = turn.sound
    assert sound is not None
    onset = _seconds_of_silence(sound) * voice.sample_rate
    return replace(
        turn,
        chunks=tuple(chunks),
        audio=tuple(audio),
        sound=replace(
            sound,
            sample_rate=voice.sample_rate,
            first_audible_sample=min(round(onset), sum(part.samples for part in audio) - 1),
        ),
        end_ns=max(free_ns, turn.tokens[-1].at_ns),
        first_byte_ns=None,
        speaker_ns=None,
    )


def _seconds_of_silence(sound: Sound) -> float:
    return (sound.first_audible_sample or 0) / sound.sample_rate


def _line(characters: Sequence[int], ms: Sequence[float]) -> tuple[float, float]:
    """Return base and slope of the least-squares line; no slope where it would be negative."""
    if len(set(characters)) > 1:
        slope, base = np.polyfit(np.array(characters, dtype=float), np.array(ms), 1)
        if slope > 0 and base >= 0:
            return float(base), float(slope)
    return float(np.median(ms)), 0.0
