"""Piper voices: an ONNX file with the weights, and beside it a JSON file that says how to speak.

A Piper voice takes phonemes. Each sentence begins with ``^`` and ends with ``$``, and a pad symbol
``_`` stands between any two phonemes; the JSON file maps each phoneme to its ids.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voicebench.engines.models.fetch_progress import Say, say_nothing
from voicebench.engines.tts import espeak
from voicebench.engines.tts.vits.utterance import Manner
from voicebench.engines.tts.voice import Voice, converted
from voicebench.errors import ModelError
from voicebench.text.speakable import parts, speakable

if TYPE_CHECKING:
    from torch import Tensor

    from voicebench.engines.tts.vits.voice_shape import VitsShape

MOST_PHONEMES = 1000
"""A longer sentence (Piper knows no limit) is spoken in parts: attention grows with its square."""

_NAMED_KINDS = ("espeak", "text")


@dataclass(frozen=True, slots=True)
class PiperSettings:
    """What the JSON file of a voice says, as far as it is needed to speak."""

    espeak_voice: str
    phoneme_type: str
    phoneme_ids: Mapping[str, Sequence[int]]
    sample_rate: int
    speakers: int
    default_speaker: int
    noise_scale: float
    length_scale: float
    noise_w: float
    vowel_clusters: tuple[tuple[str, ...], ...]

    def sentences(self, text: str) -> Iterator[list[str]]:
        """Yield the phonemes of each sentence of ``text`` that has something to pronounce."""
        for part in parts(speakable(text)):
            if self.phoneme_type == "text":
                import unicodedata

                found = [list(unicodedata.normalize("NFD", part))]
            else:
                written = espeak.with_diacritics(part) if self.espeak_voice == "ar" else part
                found = espeak.phonemize(self.espeak_voice, written, self.vowel_clusters)
            for sentence in found:
                if any(phoneme.isalnum() for phoneme in sentence):
                    yield from _bounded(sentence)

    def ids(self, phonemes: Sequence[str]) -> list[int]:
        """Return the symbol ids of one sentence, without phonemes that the voice does not know."""
        pad = self.phoneme_ids["_"]
        ids = [*self.phoneme_ids["^"], *pad]
        for phoneme in phonemes:
            if phoneme in self.phoneme_ids:
                ids += [*self.phoneme_ids[phoneme], *pad]
        return [*ids, *self.phoneme_ids["$"]]

    def symbols(self, text: str) -> Iterator[list[int]]:
        """Yield the symbol ids of each sentence of ``text``."""
        for sentence in self.sentences(text):
            yield self.ids(sentence)


def open_piper(path: Path, say: Say = say_nothing) -> Voice:
    """Load the Piper voice whose ONNX file is ``path``; ``path`` + ".json" lies beside it.

    Raises `ModelError` where a file is missing, broken, or of another kind.
    """
    if not path.is_file():
        raise ModelError(f"there is no voice {path}", "check the path of the .onnx file")
    settings = read_settings(path.with_name(path.name + ".json"))
    if settings.phoneme_type == "espeak":
        espeak.phonemize(settings.espeak_voice, "")  # an unknown voice is refused before loading

    def convert() -> tuple[VitsShape, dict[str, Tensor]]:
        import torch

        from voicebench.engines.tts.naming import collect
        from voicebench.engines.tts.piper_graph import PiperGraph
        from voicebench.engines.tts.piper_weights import piper_names, piper_shape

        graph = PiperGraph(path)
        shape = piper_shape(graph)
        names = piper_names(graph)
        return shape, collect(path, shape, names, lambda n: torch.tensor(graph.weight(n)))

    made = converted(path, convert, say=say)
    most = max(max(ids) for ids in settings.phoneme_ids.values() if ids)
    if most >= made.shape.text.symbols:
        raise ModelError(
            f"{path}.json names the symbol {most}, and the voice has {made.shape.text.symbols}",
            "take the .onnx and the .onnx.json of the same voice",
        )
    return Voice(
        name=path.name.removesuffix(".onnx"),
        family="piper",
        language=settings.espeak_voice,
        sample_rate=settings.sample_rate,
        shape=made.shape,
        weights=made.weights,
        origin=made.origin,
        symbols=settings.symbols,
        manner=Manner(
            noise_scale=settings.noise_scale,
            length_scale=settings.length_scale,
            noise_w=settings.noise_w,
            speaker=settings.default_speaker if made.shape.speakers > 1 else None,
        ),
        speakers=made.shape.speakers,
        lead_symbols=len(settings.phoneme_ids["^"]) + len(settings.phoneme_ids["_"]),
    )


def read_settings(path: Path) -> PiperSettings:
    """Read a voice's JSON file; raises `ModelError` with the key that is wrong."""
    remedy = "a Piper voice is two files: NAME.onnx and NAME.onnx.json"
    try:
        content = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ModelError(f"{path} is missing", remedy) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"cannot read {path}: {error}", remedy) from None
    try:
        stored = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} is no JSON: {error}", "fetch the voice again") from None
    try:
        settings = _settings(stored)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelError(
            f"{path} is not the JSON file of a Piper voice ({type(error).__name__}: {error})",
            remedy,
        ) from None
    if settings.phoneme_type not in _NAMED_KINDS:
        raise ModelError(
            f"{path} wants phonemes of the kind {settings.phoneme_type!r}",
            "voicebench speaks Piper voices with phonemes of espeak-ng or plain characters",
        )
    return settings


def _settings(stored: Any) -> PiperSettings:
    inference = stored.get("inference", {})
    phoneme_ids = {
        str(phoneme): [int(i) for i in ids] for phoneme, ids in stored["phoneme_id_map"].items()
    }
    for needed in "_^$":
        if not phoneme_ids[needed]:
            raise ValueError(f"phoneme_id_map has no id for {needed!r}")
    if any(i < 0 for ids in phoneme_ids.values() for i in ids):
        raise ValueError("phoneme_id_map has a negative id")
    sample_rate = int(stored["audio"]["sample_rate"])
    if not 4000 <= sample_rate <= 192_000:
        raise ValueError(f"audio.sample_rate is {sample_rate}")
    return PiperSettings(
        espeak_voice=str(stored["espeak"]["voice"]),
        phoneme_type=str(stored.get("phoneme_type", "espeak")),
        phoneme_ids=phoneme_ids,
        sample_rate=sample_rate,
        speakers=int(stored.get("num_speakers", 1)),
        default_speaker=int(stored.get("default_speaker_id", 0)),
        noise_scale=float(inference.get("noise_scale", 0.667)),
        length_scale=float(inference.get("length_scale", 1.0)),
        noise_w=float(inference.get("noise_w", 0.8)),
        vowel_clusters=tuple(tuple(map(str, row)) for row in stored.get("vowel_clusters") or ()),
    )


def _bounded(sentence: list[str]) -> Iterator[list[str]]:
    while len(sentence) > MOST_PHONEMES:
        words = [i for i in range(MOST_PHONEMES // 2, MOST_PHONEMES) if sentence[i] == " "]
        cut = words[-1] + 1 if words else MOST_PHONEMES
        yield sentence[:cut]
        sentence = sentence[cut:]
    if sentence:
        yield sentence
