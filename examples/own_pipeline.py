"""Measure a pipeline of your own: a function that emits each event when it happens."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

import voicebench
from voicebench.events import AudioChunk, Emit, TextChunk, Token

RATE = 16_000


def language_model(prompt: str) -> Iterator[str]:
    """Stands for yours: repeats the prompt word by word."""
    yield from (f"{word} " for word in prompt.split())


def voice(text: str) -> Iterator[np.ndarray]:
    """Stands for yours: 0.2 s of sound for each word, at changing pitches."""
    turns = np.arange(RATE // 5) * 2 * np.pi / RATE
    for number, _ in enumerate(text.split()):
        yield (0.3 * np.sin(turns * 200 * (1 + number % 3))).astype(np.float32)


def answer(prompt: str, emit: Emit) -> None:
    text = ""
    for word in language_model(prompt):
        emit(Token(word))
        text += word
    emit(TextChunk(text))
    for pcm in voice(text):
        emit(AudioChunk(pcm, RATE))


judgement = voicebench.measure(answer, runs=20, gates=["first_audio.p50 < 300ms"]).judge()
print(judgement)
raise SystemExit(not judgement.passed)
