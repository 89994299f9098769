"""Is a voice understood? Word error rates by an offline recogniser.

The same sentences are spoken in three ways: *one-shot* (the whole sentence, computed at once),
*chunked* (cut as a voice turn cuts a reply, each chunk computed at once) and *streamed* (the same
chunks, window by window from the first sound on: what a listener of a voice turn hears). A
recogniser writes down what it hears, and the words are compared with the sentence.

A word error rate says: of all words that should be heard, how many are wrong, missing or added
(substitutions + deletions + insertions, over the words of the reference; Levenshtein distance,
by jiwer). Before comparing, both texts are normalised: lower case, punctuation out, hyphens to
spaces, apostrophes dropped, one space between words. The sentences hold no numbers, no
abbreviations and no words with two spellings, so that only hearing is judged.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from voicebench.errors import ModelError
from voicebench.events import AudioChunk
from voicebench.text.chunking import chunk

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from voicebench.engines.tts.recogniser import Recogniser
    from voicebench.engines.tts.synthesizer import LocalSynthesizer

    Speak = Callable[[str], NDArray[np.float32]]

FIRST_WORDS, LATER_WORDS = 3, 8

SENTENCES = (
    "The weather will stay warm and dry until the end of the week.",
    "You should boil the potatoes until they are soft.",
    "The next train to the city leaves from the second platform.",
    "I would take an umbrella, because it may rain in the afternoon.",
    "The museum is open every day except Monday.",
    "A cup of green tea has less caffeine than a cup of coffee.",
    "The capital of France is Paris, and the capital of Italy is Rome.",
    "Turn left at the traffic lights and walk past the church.",
    "Your meeting with the doctor starts in a moment.",
    "The moon is much smaller than the earth.",
    "Please put the milk back into the fridge when you are done.",
    "Sunlight needs only a few minutes to reach us.",
    "The library closes early on Friday evening.",
    "There are more days in a month than months in a year.",
    "A good night of sleep helps you remember what you have learned.",
    "The river flows slowly through the old town.",
    "You can pay with a card or with cash at the counter.",
    "Most cats sleep for more than half of the day.",
    "I have added bread, butter and cheese to your shopping list.",
    "The kitchen light is now switched off.",
    "Water freezes in the cold and turns into ice.",
    "The shop around the corner sells fresh fruit and vegetables.",
    "She opened the window to let in some fresh air.",
    "A short walk after lunch can lift your mood.",
    "The children played football in the garden all afternoon.",
    "Your package will arrive tomorrow before noon.",
    "He forgot his keys and had to wait outside in the cold.",
    "The story begins in a small village near the sea.",
    "You need some eggs, some flour and a pinch of salt.",
    "The sky looks blue because air scatters blue light the most.",
    "We could meet in front of the station before dinner.",
    "The doctor told him to drink more water and rest.",
    "Winter days are short, and the nights are long and dark.",
    "My sister sang a song on the radio this morning.",
    "The bridge was built long before the war.",
    "Remember to water the plants while they are on holiday.",
    "An apple a day keeps the doctor away, as people like to say.",
    "The plane landed safely in spite of the strong wind.",
    "Close the door behind you and lock it with the key.",
    "I hope this answer helps, and I wish you a pleasant evening.",
)


@dataclass(frozen=True, slots=True)
class WordErrors:
    """How many words of the reference were heard wrongly, not at all, or on top."""

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
    """Return ``text`` as it is compared: lower case, no punctuation, one space between words."""
    text = unicodedata.normalize("NFKC", text).lower()
    text = re.sub(r"['’]", "", text)
    return " ".join(re.sub(r"[^\w]|_", " ", text).split())


def word_errors(references: Iterable[str], heard: Iterable[str]) -> WordErrors:
    """Compare what should be heard with what was heard, text by text; both are normalised here."""
    try:
        import jiwer
    except ImportError:
        raise ModelError("word error rates need jiwer", "pip install jiwer") from None
    found = jiwer.process_words([normalised(t) for t in references], [normalised(t) for t in heard])
    return WordErrors(
        words=found.hits + found.substitutions + found.deletions,
        substituted=found.substitutions,
        deleted=found.deletions,
        inserted=found.insertions,
    )


def ways_of_speaking(synthesizer: LocalSynthesizer) -> dict[str, Speak]:
    """Return one-shot, chunked and streamed speech: each a function from a text to its samples."""
    import numpy as np

    def one_shot(text: str) -> NDArray[np.float32]:
        return synthesizer.speak_whole(text)

    def chunked(text: str) -> NDArray[np.float32]:
        pieces = chunk(text, FIRST_WORDS, LATER_WORDS)
        return np.concatenate([synthesizer.speak_whole(piece) for piece in pieces])

    def streamed(text: str) -> NDArray[np.float32]:
        first, *others = chunk(text, FIRST_WORDS, LATER_WORDS)
        speech = [synthesizer.speak_opening(first), *map(synthesizer.speak, others)]
        events = itertools.chain.from_iterable(speech)
        return np.concatenate([event.pcm for event in events if isinstance(event, AudioChunk)])

    return {"one-shot": one_shot, "chunked": chunked, "streamed": streamed}


def intelligibility(
    synthesizer: LocalSynthesizer,
    recogniser: Recogniser,
    sentences: Sequence[str] = SENTENCES,
    ways: Sequence[str] | None = None,
) -> dict[str, WordErrors]:
    """Return the word errors of each way of speaking ``sentences``; of all ways by default."""
    rate = int(str(synthesizer.describe()["sample_rate"]))
    return {
        way: word_errors(sentences, [recogniser.words(speak(text), rate) for text in sentences])
        for way, speak in ways_of_speaking(synthesizer).items()
        if ways is None or way in ways
    }
