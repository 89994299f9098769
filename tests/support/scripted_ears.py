"""Ears and replies of an agent in process by script: frames count the time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from voicebench.engines.ears import SAMPLE_RATE
from voicebench.engines.ears.voice_activity import SpeechStarted, SpeechStopped
from voicebench.text.chat_template import PastMessage

FRAME = SAMPLE_RATE // 50


@dataclass
class ScriptedHearing:
    """Speech is where a frame is not zero; edges are seen at once."""

    position: int = 0
    is_speech: bool = False
    may_start: bool = False

    def feed(self, frame: np.ndarray[Any, Any]) -> Sequence[SpeechStarted | SpeechStopped]:
        begins, self.position = self.position, self.position + frame.size
        if bool(frame[0]) == self.is_speech:
            return []
        self.is_speech = not self.is_speech
        return [SpeechStarted(begins) if self.is_speech else SpeechStopped(begins)]


@dataclass
class Asked:
    """Keeps the questions."""

    judged: list[int] = field(default_factory=list)
    heard: list[int] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    looked: list[int] = field(default_factory=list)

    def judge(self, number: int, pcm: np.ndarray[Any, Any], silent: int) -> None:
        self.judged.append(number)

    def recognise(self, number: int, pcm: np.ndarray[Any, Any]) -> None:
        self.heard.append(number)
        self.sizes.append(pcm.size)

    def look(self, began: int, pcm: np.ndarray[Any, Any]) -> None:
        self.looked.append(began)


@dataclass(eq=False)
class ScriptedReply:
    """A reply whose events the test gives."""

    prompt: str
    earlier: Sequence[PastMessage]
    tokens: int = 3
    work_ms: float = 7.0
    is_discarded: bool = False

    def discard(self) -> None:
        self.is_discarded = True

    def heard(self, seconds: float) -> str:
        return f"{seconds:.1f} s of it" if seconds > 0 else ""
