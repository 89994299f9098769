"""A hibari voice, loaded: its weights, and what turns English text into its phonemes."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import orjson

from voicebench.engines.models.cache import build_once, cache_folder, known_sha256
from voicebench.engines.models.fetch_progress import Say, reporting_damage, say_nothing
from voicebench.engines.models.tensor_file import TensorFile, save_tensors
from voicebench.engines.tts.hibari.english.lexicon import Lexicon
from voicebench.engines.tts.hibari.english.phonemes import English, has_speech
from voicebench.engines.tts.hibari.english.tagger import Tagger
from voicebench.engines.tts.hibari.english.unknown_words import UnknownWords
from voicebench.engines.tts.hibari.onnx_weights import Weights, read_weights
from voicebench.engines.tts.hibari.weight_shapes import check_weights
from voicebench.errors import ModelError

FILES = (
    "hibari.onnx",
    "vocab.json",
    "lexicon_us_gold.json.gz",
    "lexicon_us_silver.json.gz",
    "tagger.json.gz",
    "oov.onnx",
    "oov.json",
)
"""The files of a voice, as the wheel hibari-tts 0.2.1 names them."""
_FORMAT = 1
"""Part of a converted file's name in the cache: raise it when names or layout change."""
_PAD = 0
"""The symbol at both ends of a sentence."""


CONTINUATION = "the other"
"""Words that are planned behind a text chunk in which no sentence ends, and that are not spoken.

Without them the voice ends its sentence with the chunk: its pitch falls by some 4 semitones and its
last word is drawn out.
"""
_SENTENCE_ENDS = ".!?…"
_QUOTES = "\"'”’)]} \n\t"


@dataclass(frozen=True, slots=True)
class SpokenPart:
    """The symbols of a sentence, or of the part of it that is in a text chunk.

    The ones before ``start`` and from ``stop`` on are around it, for its intonation.
    """

    symbols: list[int]
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class HibariVoice:
    """A voice: its weights, and its phonemes by number."""

    name: str
    weights: Weights = field(repr=False, compare=False)
    english: English = field(repr=False, compare=False)
    vocabulary: dict[str, int] = field(repr=False, compare=False)
    origin: str
    """A digest of the file that the weights came from."""

    language: ClassVar[str] = "en"

    def sentences(self, text: str, before: str = "") -> Iterator[SpokenPart]:
        """Yield the sentences of ``text``, which follows the text chunk ``before``."""
        *whole, last = self._phonemes(text) or [("", "")]
        lead = self._lead(before)
        for spoken, behind in (*((one, "") for one, _ in whole), last):
            if spoken:
                yield self._sentence(lead, spoken, behind)
            lead = ""

    def _phonemes(self, text: str) -> list[tuple[str, str]]:
        """Return the phonemes of each sentence, and of what is to stand behind the last one."""
        if ends_sentence(text):
            return [(one, "") for one in self.english.sentences(text)]
        behind = self.english.phonemes(CONTINUATION)
        *whole, last = self.english.sentences(f"{text} {CONTINUATION}")
        if not last.endswith(f" {behind}"):
            is_empty = last == behind and not whole
            return [] if is_empty else [(one, "") for one in self.english.sentences(text)]
        spoken = last.removesuffix(f" {behind}")
        return [*((one, "") for one in whole), (spoken if has_speech(spoken) else "", behind)]

    def _lead(self, before: str) -> str:
        """Return the phonemes in ``before`` of the sentence that goes on behind it."""
        if not before or ends_sentence(before):
            return ""
        *_, (spoken, _) = self._phonemes(before) or [("", "")]
        return spoken

    def _sentence(self, lead: str, spoken: str, behind: str) -> SpokenPart:
        first = [_PAD, *self._numbers(lead)]
        middle = self._numbers(f" {spoken}" if lead else spoken)
        last = [*self._numbers(f" {behind}" if behind else ""), _PAD]
        start = len(first) if lead else 0
        stop = len(first) + len(middle) if behind else len(first) + len(middle) + len(last)
        return SpokenPart([*first, *middle, *last], start, stop)

    def _numbers(self, phonemes: str) -> list[int]:
        return [self.vocabulary[one] for one in phonemes if one in self.vocabulary]


def ends_sentence(text: str) -> bool:
    """Return whether a sentence ends where ``text`` ends."""
    last = text.rstrip(_QUOTES)[-1:]
    return bool(last) and last in _SENTENCE_ENDS


def open_hibari(folder: Path, name: str, say: Say = say_nothing) -> HibariVoice:
    """Load the voice in ``folder`` into memory. Raises `ModelError` if a file is missing or wrong.

    The weights are converted once and kept in the cache; what had to be made anew is told to
    ``say``.
    """
    missing = [file for file in FILES if not (folder / file).is_file()]
    if missing:
        raise ModelError(
            f"the voice {name} has no {missing[0]}", f"run `voicebench models pull {name}`"
        )
    weights, origin = _converted(folder / "hibari.onnx", say)
    check_weights(folder / "hibari.onnx", weights)
    letters = _json(folder / "oov.json")
    unknown, _ = _converted(folder / "oov.onnx", say)
    english = English(
        Lexicon(_json(folder / FILES[2]), _json(folder / FILES[3])),
        Tagger(_json(folder / "tagger.json.gz")),
        UnknownWords(unknown, "".join(letters["in"]), "".join(letters["out"])),
    )
    return HibariVoice(name, weights, english, _json(folder / "vocab.json"), origin)


def _converted(source: Path, say: Say) -> tuple[Weights, str]:
    """Return the weights of an ONNX file, converted now or earlier, and a digest of the file."""

    def build(place: Path) -> None:
        arrays = {name: np.ascontiguousarray(array) for name, array in read_weights(source).items()}
        save_tensors(arrays, place / "weights.safetensors")

    folder = build_once(
        cache_folder() / "voices" / f"{known_sha256(source)[:32]}-hibari-{_FORMAT}",
        build,
        about={"source": source.name, "model": f"the weights of {source.name}"},
        report=reporting_damage(say),
    )
    file = TensorFile(folder / "weights.safetensors")
    return {name: file.array(name) for name in file.names}, folder.name


def _json(path: Path) -> Any:
    try:
        content = path.read_bytes()
        return orjson.loads(gzip.decompress(content) if path.suffix == ".gz" else content)
    except (OSError, ValueError, EOFError) as error:
        raise ModelError(f"{path} cannot be read ({error})", "fetch the voice again") from error
