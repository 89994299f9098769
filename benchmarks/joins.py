"""How a sentence sounds where it is cut into text chunks, against the same sentence uncut.

Forty sentences are cut as a voice turn cuts them: 3 words, then 8. At each join the pitch of the
last 150 ms before it and of the first 150 ms behind it are compared with those of the whole
sentence, and so is the length of the chunk before it. The voice itself says pitch and length, so
nothing is estimated from samples. *Alone*: each chunk as if it were all there is. *In their
sentence*: as voicebench speaks them, planned with the chunk before and with words behind.

    python -m benchmarks.joins
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from voicebench.checks.intelligibility import FIRST_WORDS, LATER_WORDS, SENTENCES
from voicebench.engines.tts.hibari.frame_network import FrameNetwork
from voicebench.engines.tts.hibari.hibari_synthesizer import HibariSynthesizer
from voicebench.engines.tts.hibari.hibari_voice import HibariVoice, SpokenPart
from voicebench.engines.tts.hibari.planned_sentence import PlannedSentence, plan
from voicebench.engines.tts.synthesizer import load_synthesizer
from voicebench.text.chunking import chunk

NEAR_FRAMES = 12
"""150 ms."""
LEAST_VOICED = 3
VOICED_HZ = 60.0


class Join(NamedTuple):
    """What differs from the whole sentence at a join."""

    before_st: float
    """Pitch before the join, in semitones."""
    behind_st: float
    length: float
    """Length of the chunk before the join; 1 is that in the whole sentence."""


def main() -> None:
    """Print the mean differences at the joins, for both ways of planning a chunk."""
    synthesizer = load_synthesizer("hibari-heart", device="cpu")
    assert isinstance(synthesizer, HibariSynthesizer)
    voice, network = synthesizer.voice, synthesizer.network
    print("chunks             joins  pitch before  pitch behind  step over the join  length")
    for name, in_sentence in (("alone", False), ("in their sentence", True)):
        joins = [join for text in SENTENCES for join in joins_of(voice, network, text, in_sentence)]
        before, behind, length = np.array(joins).T
        print(
            f"{name:18} {len(joins):5}  {before.mean():+9.1f} st  {behind.mean():+9.1f} st  "
            f"{(behind - before).mean():+15.1f} st  {length.mean():5.2f}x"
        )


def joins_of(
    voice: HibariVoice, network: FrameNetwork, text: str, in_sentence: bool
) -> Iterator[Join]:
    """Yield the joins of ``text``; none if its chunks have other phonemes than the whole."""
    chunks = chunk(text, FIRST_WORDS, LATER_WORDS)
    parts = [
        part
        for before, here in zip(("", *chunks), chunks, strict=False)
        for part in voice.sentences(here, before)
    ]
    spoken = [part.symbols[part.start : part.stop] for part in parts]
    [whole] = voice.sentences(text)
    if [*itertools.chain(*spoken)] != whole.symbols or len(parts) != len(chunks):
        return
    planned = [
        plan(network, part if in_sentence else _alone(symbols), trim_start=False)
        for part, symbols in zip(parts, spoken, strict=True)
    ]
    end = 0
    for number, symbols in enumerate(spoken[:-1]):
        start, end = end, end + len(symbols)
        cut = plan(network, SpokenPart(whole.symbols, start, end), trim_start=False)
        after = plan(network, SpokenPart(whole.symbols, end, len(whole.symbols)))
        pitches = (
            _pitch(planned[number], behind=False) - _pitch(cut, behind=False),
            _pitch(planned[number + 1], behind=True) - _pitch(after, behind=True),
        )
        if not np.isnan(pitches).any():
            yield Join(*pitches, planned[number].frames / cut.frames)


def _alone(symbols: list[int]) -> SpokenPart:
    core = [symbol for symbol in symbols if symbol]
    return SpokenPart([0, *core, 0], 0, len(core) + 2)


def _pitch(planned: PlannedSentence, *, behind: bool) -> float:
    """Return the mean pitch, in semitones above 200 Hz, near an end of what is spoken."""
    pitch = planned.pitch[planned.first : planned.last]
    voiced = pitch[pitch > VOICED_HZ]
    near = voiced[:NEAR_FRAMES] if behind else voiced[-NEAR_FRAMES:]
    if near.size < LEAST_VOICED:
        return float("nan")
    return float(12 * np.log2(near.mean() / 200))


if __name__ == "__main__":
    main()
