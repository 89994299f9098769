"""Which character voices can be read for, and which are refused with a sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from voicebench.engines.tts.characters import MOST_CHARACTERS, Characters, read_characters
from voicebench.errors import ModelError


def write_files(folder: Path, settings: dict[str, Any], vocabulary: object = None) -> Path:
    vocabulary = {"|": 0, "a": 1, "B": 2, " ": 3} if vocabulary is None else vocabulary
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    return folder


def test_letters_are_lowered_only_where_the_voice_has_no_capital(tmp_path: Path) -> None:
    characters = read_characters(write_files(tmp_path, {"add_blank": False}))
    assert list(characters.symbols("AaBb")) == [[1, 1, 2]]


def test_blanks_stand_around_every_character(tmp_path: Path) -> None:
    characters = read_characters(write_files(tmp_path, {}))
    assert list(characters.symbols("aB")) == [[0, 1, 0, 2, 0]]


def test_the_vocabulary_of_romanian_has_the_older_letter() -> None:
    characters = Characters({"ţ": 1}, "ron", lowers=True, blanks=False, unknown=None)
    assert list(characters.symbols("ț")) == [[1]]


@pytest.mark.parametrize("text", ["", "!?", "🙂", "你好", "-"])
def test_nothing_to_pronounce_gives_no_symbols(text: str, tmp_path: Path) -> None:
    assert list(read_characters(write_files(tmp_path, {})).symbols(text)) == []


def test_a_long_text_is_spoken_in_parts(tmp_path: Path) -> None:
    characters = read_characters(write_files(tmp_path, {"add_blank": False}))
    lengths = [len(symbols) for symbols in characters.symbols("a" * (3 * MOST_CHARACTERS))]
    assert lengths == [MOST_CHARACTERS] * 3


@pytest.mark.parametrize(
    ("settings", "word"), [({"is_uroman": True}, "uroman"), ({"phonemize": True}, "phonemizer")]
)
def test_a_voice_that_needs_another_program_is_refused(
    settings: dict[str, Any], word: str, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match=word):
        read_characters(write_files(tmp_path, settings))


@pytest.mark.parametrize("vocabulary", [{}, {"a": "b"}, ["a"], {"a": -1}])
def test_a_vocabulary_of_another_kind_is_refused(vocabulary: object, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"vocab\.json"):
        read_characters(write_files(tmp_path, {}, vocabulary))


def test_a_missing_vocabulary_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"vocab\.json is missing"):
        read_characters(tmp_path)
