"""Recognition: the words of one utterance, by Whisper base on what was said.

Whisper's encoder is built for 30 s. It is given the utterance with a second of silence behind it
instead: the time grows with the speech, and the words are the same. CTranslate2 computes in int8.

Behind so little silence Whisper often does not stop, and writes the utterance again: 123 words too
many in 410. It does stop where it also writes the times of its segments, so it is asked for them:
none too many. What it writes behind the end of the speech is dropped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from voicebench.engines.ears import SAMPLE_RATE
from voicebench.engines.ears.ear_models import RECOGNITION
from voicebench.engines.ears.log_mel import HOP, log_mel
from voicebench.engines.models import ensure
from voicebench.machine.extras import require

if TYPE_CHECKING:
    from numpy.typing import NDArray

LONGEST_SAMPLES = 30 * SAMPLE_RATE
"""The encoder hears no more; of a longer utterance the end is taken."""
BEHIND_SAMPLES = SAMPLE_RATE
"""Silence behind the speech. With half of it, 4 of 40 sentences were begun again."""
LEAST_SAMPLES = SAMPLE_RATE
_TOKENS_PER_S = 8
_LEAST_TOKENS = 8
_LEAST_FIRST_TOKENS = 3
_AT_ONCE = 2
"""A look at first words need not wait for another recognition."""
_TIME_ZERO = "<|0.00|>"
_PROMPT = ("<|startoftranscript|>", "<|en|>", "<|transcribe|>", _TIME_ZERO)
_TIME_STEP_S = 0.02
_END_WITHIN_S = 0.3
"""The time that closes the last segment may be this much before the end of the speech."""


@dataclass(frozen=True, slots=True)
class Transcript:
    """Words, and how sure the model is of them.

    ``no_speech`` is the probability that there was no speech. ``log_probability`` is the mean over
    the tokens, natural logarithm. ``is_closed`` says that a segment ends with the speech:
    Whisper often gives none to a sentence that is not over.
    """

    text: str
    no_speech: float
    log_probability: float
    is_closed: bool = True


class Recognition:
    """Transcribes English utterances; the same samples always give the same words.

    Raises as `voicebench.engines.ears.ear_models.fetch_ears`.
    """

    def __init__(self, threads: int = 1) -> None:
        require("ears")
        import ctranslate2
        import tokenizers

        folder = Path(ensure(RECOGNITION))
        self._view = ctranslate2.StorageView.from_array
        self._model: Any = ctranslate2.models.Whisper(
            str(folder),
            device="cpu",
            compute_type="int8",
            intra_threads=threads,
            inter_threads=_AT_ONCE,
        )
        self._tokenizer: Any = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._prompt = [self._id(token) for token in _PROMPT]
        self._time_zero = self._id(_TIME_ZERO)

    def _id(self, token: str) -> int:
        found = self._tokenizer.token_to_id(token)
        assert isinstance(found, int)
        return found

    def transcribe(self, pcm: NDArray[np.float32]) -> Transcript:
        """Return the words of ``pcm``, float32 ``(samples,)`` at 16 kHz, full scale ±1."""
        return self._written(pcm, _LEAST_TOKENS + _TOKENS_PER_S * pcm.size // SAMPLE_RATE)

    def first_words(self, pcm: NDArray[np.float32]) -> Transcript:
        """Return what the first words of speech that goes on may be, in half the time.

        ``pcm`` as in `transcribe`, some tenths of a second. Whisper repeats so short a piece until
        it is stopped ("Sorry. Sorry. Sorry."), so it may write as many tokens as can be said.
        """
        most = max(_LEAST_FIRST_TOKENS, _TOKENS_PER_S * pcm.size // SAMPLE_RATE)
        return self._written(pcm, most)

    def _written(self, pcm: NDArray[np.float32], most: int) -> Transcript:
        """Return what the model writes for ``pcm``, with ``most`` tokens at most."""
        spoken = pcm[-(LONGEST_SAMPLES - BEHIND_SAMPLES) :]
        size = max(spoken.size + BEHIND_SAMPLES, LEAST_SAMPLES)
        size += -size % (2 * HOP)  # the encoder halves the frames
        features = log_mel(np.pad(spoken, (0, size - spoken.size)))
        (found,) = self._model.generate(
            self._view(features[None]),  # not `encode` before: that would hold Python's lock
            [self._prompt],
            beam_size=1,
            max_length=len(self._prompt) + most,
            return_scores=True,
            return_no_speech_prob=True,
        )
        written = found.sequences_ids[0]
        ids, is_closed = words_until(written, spoken.size / SAMPLE_RATE, self._time_zero)
        text = self._tokenizer.decode(ids, skip_special_tokens=True).strip()
        return Transcript(text, found.no_speech_prob, found.scores[0], is_closed)


def words_until(ids: Sequence[int], end_s: float, time_zero: int) -> tuple[list[int], bool]:
    """Return the ids of words up to the first time that is at the end of the speech, at ``end_s``.

    The second value says whether there is such a time.

    ``time_zero`` is the id of the time 0; those above it are later by 20 ms each.
    """
    words: list[int] = []
    for one in ids:
        if one < time_zero:
            words.append(one)
        elif words and (one - time_zero) * _TIME_STEP_S >= end_s - _END_WITHIN_S:
            return words, True
    return words, False
