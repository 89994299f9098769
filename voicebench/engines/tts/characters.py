"""Characters to symbols, for voices that need no phonemes (MMS-TTS).

The files are those of transformers' ``VitsTokenizer``. ``vocab.json`` maps each character to an id.
``tokenizer_config.json`` says whether the text is lower-cased and loses unknown characters
(``normalize``), whether symbol 0 is around every character (``add_blank``), and whether
another program has to prepare the text first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voicebench.engines.tts.voice import read_json
from voicebench.errors import ModelError
from voicebench.text.speakable import parts, speakable

MOST_CHARACTERS = 1000
"""A longer text is spoken in parts, because the cost of attention grows with its square."""

REMEDY = "name a VitsModel's folder, with config.json, model.safetensors and vocab.json"


@dataclass(frozen=True, slots=True)
class Characters:
    """The symbols of a voice that reads characters."""

    ids: Mapping[str, int]
    language: str
    lowers: bool
    blanks: bool
    unknown: int | None

    def symbols(self, text: str) -> Iterator[list[int]]:
        """Yield the symbol ids of ``text``, in one list unless the text is very long."""
        for part in parts(speakable(text), MOST_CHARACTERS):
            ids = self._ids(part)
            if ids:
                yield ids

    def _ids(self, text: str) -> list[int]:
        if self.language == "ron":  # its vocabulary has the older letter, with a cedilla
            text = text.replace("ț", "ţ")
        if self.lowers:
            kept = (c if c in self.ids else c.lower() for c in text)
            text = "".join(c for cased in kept for c in cased if c in self.ids).strip()
        if not any(character.isalnum() for character in text):
            return []
        found = [self.ids.get(character, self.unknown) for character in text]
        ids = [i for i in found if i is not None]
        if not self.blanks:
            return ids
        return [0, *(i for symbol in ids for i in (symbol, 0))]


def read_characters(folder: Path) -> Characters:
    """Read the tokenizer files of ``folder``.

    Raises `ModelError` if they are missing or broken, or if another program has to prepare the
    text (uroman, phonemizer).
    """
    ids = read_json(folder / "vocab.json", REMEDY)
    settings_path = folder / "tokenizer_config.json"
    settings = read_json(settings_path, REMEDY) if settings_path.is_file() else {}
    if settings.get("is_uroman"):
        raise ModelError(
            f"the voice {folder} needs text that the program uroman has romanized",
            "take a voice that reads its language's own letters",
        )
    if settings.get("phonemize"):
        raise ModelError(
            f"the voice {folder} needs phonemes of the package 'phonemizer'",
            "take an MMS-TTS voice (characters) or a Piper voice (phonemes)",
        )
    if not ids or not all(isinstance(i, int) and i >= 0 for i in ids.values()):
        raise ModelError(
            f"{folder / 'vocab.json'} does not map characters to ids", "fetch it again"
        )
    return Characters(
        ids=ids,
        language=str(settings.get("language") or "unknown"),
        lowers=bool(settings.get("normalize", True)),
        blanks=bool(settings.get("add_blank", True)),
        unknown=ids.get(_content(settings.get("unk_token", "<unk>"))),
    )


def _content(token: Any) -> str:
    """Return a special token's text: stored as a string, or as an object with its content."""
    return str(token.get("content")) if isinstance(token, dict) else str(token)
