"""Word error rates of a voice, by an offline recogniser.

The same sentences are spoken in three ways. *One-shot*: the whole sentence, computed at once.
*Chunked*: cut as a voice turn cuts a reply, each chunk computed at once. *Streamed*: the same
chunks, window by window and without the silence at the start, as in a voice turn. The recogniser
transcribes each, and its words are compared with the sentence.

The word error rate is (substitutions + deletions + insertions) / (words of the sentence), by
Levenshtein distance (jiwer). Both texts are normalised first: lower case, no punctuation, hyphens
become spaces, apostrophes are dropped, one space between words. Sentences with figures and names
have more than one right spelling; `voicebench.checks.spoken_form` brings them to one form.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from voicebench.checks.spoken_form import readings, spoken_form
from voicebench.events import AudioChunk
from voicebench.figures.word_errors import words_of
from voicebench.pipeline.protocols import ContinuingSpeaker
from voicebench.text.chunking import chunk

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from voicebench.checks.recogniser import Recogniser
    from voicebench.engines.tts.local_synthesizer import LocalSynthesizer

    Speak = Callable[[str], NDArray[np.float32]]

FIRST_WORDS, LATER_WORDS = 3, 8

SILENCE_S = 0.3
"""Silence before and behind what the recogniser hears, in seconds. Whisper may end early if speech
begins with the first sample: of "The weather will stay warm and dry until the end of the week" it
then wrote the first eight words."""

SENTENCES = tuple(
    Path(__file__).with_name("sentences.txt").read_text(encoding="utf-8").splitlines()
)
"""Without numbers, abbreviations and words with two spellings, so that only hearing is judged."""

FIGURES_AND_NAMES = tuple(
    (written, spoken)
    for written, _, spoken in (
        line.partition("\t")
        for line in Path(__file__)
        .with_name("figures_and_names.txt")
        .read_text(encoding="utf-8")
        .splitlines()
    )
)
"""Sentences with numbers, times, abbreviations and names, and the words that are to be heard."""


@dataclass(frozen=True, slots=True)
class WordErrors:
    """How many of ``words`` words were heard wrongly, were missed, or were added."""

    words: int
    substituted: int
    deleted: int
    inserted: int

    @property
    def errors(self) -> int:
        """Return the number of errors of all kinds."""
        return self.substituted + self.deleted + self.inserted

    @property
    def rate(self) -> float:
        """Return the word error rate; 0.1 means one error in ten words."""
        return self.errors / self.words


def normalised(text: str) -> str:
    """Return ``text`` in lower case, without punctuation, with one space between words."""
    return " ".join(words_of(text))


def word_errors(references: Iterable[str], heard: Iterable[str]) -> WordErrors:
    """Return the errors in ``heard`` against ``references``, text by text, after normalising."""
    import jiwer

    found = jiwer.process_words([normalised(t) for t in references], [normalised(t) for t in heard])
    return WordErrors(
        words=found.hits + found.substitutions + found.deletions,
        substituted=found.substitutions,
        deleted=found.deletions,
        inserted=found.insertions,
    )


def figure_errors(references: Iterable[str], heard: Iterable[str]) -> WordErrors:
    """Return the errors in ``heard`` against ``references``, with figures and initials written out.

    Where a text may stand for several readings, the one with the fewest errors counts.
    """
    found = [
        min(
            (word_errors([spoken_form(reference)], [reading]) for reading in readings(text)),
            key=lambda errors: errors.errors,
        )
        for reference, text in zip(references, heard, strict=True)
    ]
    return WordErrors(
        words=sum(one.words for one in found),
        substituted=sum(one.substituted for one in found),
        deleted=sum(one.deleted for one in found),
        inserted=sum(one.inserted for one in found),
    )


def ways_of_speaking(synthesizer: LocalSynthesizer) -> dict[str, Speak]:
    """Return by name the three ways to speak a text; each returns its samples (count,)."""
    import numpy as np

    def one_shot(text: str) -> NDArray[np.float32]:
        return synthesizer.speak_whole([text])

    def chunked(text: str) -> NDArray[np.float32]:
        return synthesizer.speak_whole(chunk(text, FIRST_WORDS, LATER_WORDS))

    def streamed(text: str) -> NDArray[np.float32]:
        chunks = chunk(text, FIRST_WORDS, LATER_WORDS)
        speech = [synthesizer.speak_opening(chunks[0])]
        for before, next_chunk in itertools.pairwise(chunks):
            if isinstance(synthesizer, ContinuingSpeaker):
                speech.append(synthesizer.speak_next(next_chunk, before))
            else:
                speech.append(synthesizer.speak(next_chunk))
        events = itertools.chain.from_iterable(speech)
        return np.concatenate([event.pcm for event in events if isinstance(event, AudioChunk)])

    return {"one-shot": one_shot, "chunked": chunked, "streamed": streamed}


def intelligibility(
    synthesizer: LocalSynthesizer,
    recogniser: Recogniser,
    sentences: Sequence[str] = SENTENCES,
    ways: Sequence[str] | None = None,
) -> dict[str, WordErrors]:
    """Return the word errors of each way of speaking ``sentences``; None means all ways."""
    heard = transcribed(synthesizer, recogniser, sentences, ways)
    return {way: word_errors(sentences, texts) for way, texts in heard.items()}


def intelligibility_of_figures(
    synthesizer: LocalSynthesizer,
    recogniser: Recogniser,
    sentences: Sequence[tuple[str, str]] = FIGURES_AND_NAMES,
    ways: Sequence[str] = ("one-shot", "streamed"),
) -> dict[str, WordErrors]:
    """Return the word errors of each way of speaking ``sentences``, pairs of written and spoken."""
    heard = transcribed(synthesizer, recogniser, [written for written, _ in sentences], ways)
    spoken = [words for _, words in sentences]
    return {way: figure_errors(spoken, texts) for way, texts in heard.items()}


def transcribed(
    synthesizer: LocalSynthesizer,
    recogniser: Recogniser,
    sentences: Sequence[str],
    ways: Sequence[str] | None,
) -> dict[str, list[str]]:
    """Return what the recogniser hears of ``sentences``, by way of speaking."""
    import numpy as np

    rate = int(str(synthesizer.describe()["sample_rate"]))
    silence = round(SILENCE_S * rate)
    return {
        way: [recogniser.words(np.pad(speak(text), silence), rate) for text in sentences]
        for way, speak in ways_of_speaking(synthesizer).items()
        if ways is None or way in ways
    }
