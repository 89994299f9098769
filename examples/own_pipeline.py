"""Measure a pipeline of your own: a function that emits each event when it happens."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

import voicebench
from voicebench.events import AudioChunk, Emit, TextChunk, Token

RATE = 16_000


def language_model(prompt: str) -> Iterator[str]:
    """Stands for yours: repeats the prompt word by word."""
    yield from (f"{word} " for word in prompt.split())


def voice(text: str) -> Iterator[NDArray[np.float32]]:
    """Stands for yours: a tone, 0.2 s long for each word."""
    moments = np.arange(RATE // 5 * len(text.split())) / RATE
    yield (0.3 * np.sin(2 * np.pi * 220 * moments)).astype(np.float32)


def answer(prompt: str, emit: Emit) -> None:
    words = []
    for word in language_model(prompt):
        emit(Token(word))
        words.append(word)
    emit(TextChunk("".join(words)))
    for pcm in voice("".join(words)):
        emit(AudioChunk(pcm, RATE))


run = voicebench.measure(answer, runs=20, gates=["first_audio.p50 < 300ms"])
print(run.judge())
sys.exit(0 if run.judge().passed else 1)
