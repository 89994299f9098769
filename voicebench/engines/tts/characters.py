"""Characters to symbols, for voices that read text themselves (MMS-TTS).

The files are those of transformers' ``VitsTokenizer``: ``vocab.json`` maps each character to an id,
``tokenizer_config.json`` says whether the text is lower-cased and stripped of unknown characters
(``normalize``), whether symbol 0 stands around every character (``add_blank``), and whether
another program has to prepare the text first.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voicebench.errors import ModelError
from voicebench.text.speakable import parts, speakable

MOST_CHARACTERS = 1000
"""A longer text is spoken in parts: attention grows with its square."""


@dataclass(frozen=True, slots=True)
class Characters:
    """The symbols of a voice that reads characters."""

    ids: Mapping[str, int]
    language: str
    lowers: bool
    blanks: bool
    unknown: int | None

    @property
    def most_id(self) -> int:
        """Return the largest id."""
        return max(self.ids.values())

    def symbols(self, text: str) -> Iterator[list[int]]:
        """Yield the symbol ids of ``text``, in one list unless the text is very long."""
        for part in parts(speakable(text), MOST_CHARACTERS):
            ids = self._ids(part)
            if ids:
                yield ids

    def _ids(self, text: str) -> list[int]:
        if self.language == "ron":  # the vocabulary has the older letter, with a cedilla
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

    Raises `ModelError` where they are missing or broken, and where the text would first have to go
    through a program that is not part of voicebench (uroman, or a phonemizer of its own).
    """
    ids = _object(folder / "vocab.json")
    settings_path = folder / "tokenizer_config.json"
    settings = _object(settings_path) if settings_path.is_file() else {}
    if settings.get("is_uroman"):
        raise ModelError(
            f"the voice {folder} reads text that the program uroman has romanized first",
            "take a voice that reads its language's own letters",
        )
    if settings.get("phonemize"):
        raise ModelError(
            f"the voice {folder} reads phonemes of the package 'phonemizer'",
            "take an MMS-TTS voice (characters) or a Piper voice (phonemes)",
        )
    if not ids or not all(isinstance(i, int) and i >= 0 for i in ids.values()):
        raise ModelError(f"{folder / 'vocab.json'} maps no characters to ids", "fetch it again")
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


def _object(path: Path) -> dict[str, Any]:
    remedy = "a VitsModel's folder has config.json, model.safetensors, vocab.json"
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(f"{path} is missing", remedy) from None
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"cannot read {path}: {error}", "fetch the voice again") from None
    if not isinstance(stored, dict):
        raise ModelError(f"{path} holds no JSON object", "fetch the voice again")
    return stored
