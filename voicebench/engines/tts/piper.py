"""Piper voices: an ONNX file with the weights, and a JSON file with the settings beside it.

A Piper voice takes phonemes. Each sentence begins with ``^`` and ends with ``$``, with a pad symbol
``_`` between any two phonemes. The JSON file maps each phoneme to its ids.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voicebench.engines.models.fetch_progress import Say, say_nothing
from voicebench.engines.tts import espeak
from voicebench.engines.tts.vits.utterance import Manner
from voicebench.engines.tts.voice import Voice, converted, read_json
from voicebench.errors import ModelError
from voicebench.text.speakable import parts, speakable

if TYPE_CHECKING:
    from torch import Tensor

    from voicebench.engines.tts.vits.voice_shape import VitsShape

MOST_PHONEMES = 1000
"""A longer sentence is spoken in parts, because the cost of attention grows with its square."""


@dataclass(frozen=True, slots=True)
class PiperSettings:
    """The settings in a voice's JSON file that are needed to speak."""

    espeak_voice: str
    phoneme_type: str
    phoneme_ids: Mapping[str, Sequence[int]]
    sample_rate: int
    manner: Manner
    vowel_clusters: tuple[tuple[str, ...], ...]

    def symbols(self, text: str) -> Iterator[list[int]]:
        """Yield the symbol ids of each sentence of ``text`` that has something to pronounce."""
        for part in parts(speakable(text)):
            if self.phoneme_type == "text":
                import unicodedata

                found = [list(unicodedata.normalize("NFD", part))]
            else:
                written = espeak.with_diacritics(part) if self.espeak_voice == "ar" else part
                found = espeak.phonemize(self.espeak_voice, written, self.vowel_clusters)
            for sentence in found:
                if any(phoneme.isalnum() for phoneme in sentence):
                    yield from map(self._ids, _bounded(sentence))

    def _ids(self, phonemes: Sequence[str]) -> list[int]:
        """Return the symbol ids of one sentence; unknown phonemes are left out."""
        pad = self.phoneme_ids["_"]
        ids = [*self.phoneme_ids["^"], *pad]
        for phoneme in phonemes:
            if phoneme in self.phoneme_ids:
                ids += [*self.phoneme_ids[phoneme], *pad]
        return [*ids, *self.phoneme_ids["$"]]


def open_piper(path: Path, say: Say = say_nothing) -> Voice:
    """Load the Piper voice whose ONNX file is ``path``, with ``path`` + ".json" beside it.

    Raises `ModelError` if a file is missing, broken, or of another kind.
    """
    if not path.is_file():
        raise ModelError(f"there is no voice {path}", "check the path of the .onnx file")
    settings = read_settings(path.with_name(path.name + ".json"))
    if settings.phoneme_type == "espeak":
        espeak.phonemize(settings.espeak_voice, "")  # fail on an unknown language before loading

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
            f"{path}.json has the symbol {most}, but the voice has only "
            f"{made.shape.text.symbols} symbols",
            "take the .onnx and the .onnx.json of the same voice",
        )
    manner = settings.manner
    if made.shape.speakers == 1:
        manner = replace(manner, speaker=None)
    return Voice(
        name=path.name.removesuffix(".onnx"),
        family="piper",
        language=settings.espeak_voice,
        sample_rate=settings.sample_rate,
        shape=made.shape,
        weights=made.weights,
        origin=made.origin,
        symbols=settings.symbols,
        manner=manner,
        lead_symbols=len(settings.phoneme_ids["^"]) + len(settings.phoneme_ids["_"]),
    )


def read_settings(path: Path) -> PiperSettings:
    """Read a voice's JSON file. Raises `ModelError` with the key that is wrong."""
    remedy = "a Piper voice is two files: NAME.onnx and NAME.onnx.json"
    try:
        settings = _settings(read_json(path, remedy))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelError(
            f"{path} is not the JSON file of a Piper voice ({type(error).__name__}: {error})",
            remedy,
        ) from None
    if settings.phoneme_type not in ("espeak", "text"):
        raise ModelError(
            f"{path} needs phonemes of the kind {settings.phoneme_type!r}",
            "take a Piper voice with phonemes of espeak-ng or plain characters",
        )
    return settings


def _settings(stored: dict[str, Any]) -> PiperSettings:
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
        manner=Manner(
            noise_scale=float(inference.get("noise_scale", 0.667)),
            length_scale=float(inference.get("length_scale", 1.0)),
            noise_w=float(inference.get("noise_w", 0.8)),
            speaker=int(stored.get("default_speaker_id", 0)),
        ),
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
