"""Phonemes are Piper's own, without loading what Piper loads."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from voicebench.engines.tts import espeak
from voicebench.errors import ModelError

TEXTS = [
    "Hello there. How are you, Dr. Smith?",
    "It's 9:45; the 3rd of May, 3.14 and U.S. dollars!",
    "A mixed “quoted” text — with dashes… and (parentheses)",
    "no end",
]


@pytest.mark.parametrize("text", TEXTS)
def test_phonemes_are_those_of_pipers_own_phonemizer(text: str) -> None:
    from piper.phonemize_espeak import EspeakPhonemizer

    theirs = EspeakPhonemizer().phonemize("en-us", text)
    assert espeak.phonemize("en-us", text) == theirs
    assert any(theirs)


def test_taking_phonemes_loads_neither_onnxruntime_nor_torch() -> None:
    program = (
        "import sys; from voicebench.engines.tts import espeak; "
        "assert espeak.phonemize('en-us', 'hello'); "
        "print(sorted({'onnxruntime', 'torch', 'piper'} & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


def test_a_language_that_espeak_does_not_know_is_named() -> None:
    with pytest.raises(ModelError, match="xx-zz"):
        espeak.phonemize("xx-zz", "hello")
    assert espeak.phonemize("en-us", "hello")  # and the next one is served


def test_many_threads_with_two_languages_get_their_own_phonemes() -> None:
    expected = {voice: espeak.phonemize(voice, "Paris, 25") for voice in ("en-us", "fr")}
    assert expected["en-us"] != expected["fr"]
    wrong: list[list[list[str]]] = []

    def speak(voice: str) -> None:
        heard = [espeak.phonemize(voice, "Paris, 25") for _ in range(30)]
        wrong.extend(phonemes for phonemes in heard if phonemes != expected[voice])

    threads = [threading.Thread(target=speak, args=(voice,)) for voice in expected for _ in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
