"""Text-to-speech in this process: a VITS voice that streams.

A text chunk becomes sentences, and a sentence becomes symbols. The network speaks the sentence
window by window (see `voicebench.engines.tts.vits`): the first samples leave long before the rest
is computed. They equal the samples of computing everything at once.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from voicebench.engines.tts.local_synthesizer import LocalSynthesizer
from voicebench.engines.tts.opening_silence import OpeningTrimmer
from voicebench.engines.tts.pace import WindowPlan
from voicebench.engines.tts.speech_noise import seeded_noise
from voicebench.engines.tts.vits.utterance import encode, windows
from voicebench.machine.slower import Slower

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voicebench.engines.tts.vits.arithmetic import Arithmetic
    from voicebench.engines.tts.vits.utterance import Utterance
    from voicebench.engines.tts.voice import Voice


class VitsSynthesizer(LocalSynthesizer):
    """Speaks with a VITS voice in this process."""

    def __init__(
        self,
        voice: Voice,
        arithmetic: Arithmetic,
        plan: WindowPlan,
        *,
        seed: int,
        trim_silence: bool,
        slower: Slower | None = None,
    ) -> None:
        """Join a voice and the code that computes it; ``slower`` says why nothing faster does."""
        super().__init__(plan, seed=seed, trim_silence=trim_silence, slower=slower)
        self.sample_rate = voice.sample_rate
        self._voice = voice
        self._arithmetic = arithmetic

    def speak_whole(self, chunks: Sequence[str]) -> NDArray[np.float32]:
        """Return the speech of a reply's text chunks, each sentence in one window, untrimmed.

        Checks compare streamed speech with it.
        """
        spoken = [pcm for text in chunks for pcm in self._spoken(text, whole=True)]
        return np.concatenate([np.empty(0, np.float32), *spoken])

    def describe(self) -> dict[str, object]:
        """Return what results record of this synthesizer."""
        facts = {
            "engine": "vits",
            "family": self._voice.family,
            "voice": self._voice.name,
            "language": self._voice.language,
            "sample_rate": self.sample_rate,
            "device": self._arithmetic.device,
            "kernels": self._arithmetic.kernels,
            "dtype": self._arithmetic.dtype,
            **self._arithmetic.library_facts,
        }
        return self._described(facts, replayed=self._arithmetic.replayed)

    def _spoken(
        self, text: str, *, opening: OpeningTrimmer | None = None, whole: bool = False
    ) -> Iterator[NDArray[np.float32]]:
        """Yield the samples of ``text``, window by window."""
        noise = seeded_noise(self._seed, text)
        sizes: Iterator[int] | None = None
        for symbols in self._voice.symbols(text):
            with self._turn:
                utterance = encode(self._arithmetic, symbols, self._voice.manner, noise)
            if whole:
                sizes = itertools.repeat(utterance.frames * self._voice.shape.decoder.hop)
            elif sizes is None:
                silent_ms = 0.0
                if opening is not None:
                    silent_ms = self._silent_ms(utterance)
                    opening.expect(first_phoneme_ms=silent_ms)
                    silent_ms += opening.longer_ms
                sizes = self._plan.sizes(silent_ms)
            yield from self._steps(windows(self._arithmetic, utterance, noise, sizes))

    def _silent_ms(self, utterance: Utterance) -> float:
        """Return how long the silent symbols at the beginning last."""
        lead = min(self._voice.lead_symbols, utterance.ends.size - 1)
        return int(utterance.ends[lead - 1]) * self._plan.frame_ms if lead > 0 else 0.0
