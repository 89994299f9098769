"""Broken engines in this process: a language model whose ids are letters, and a voice."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager

import numpy as np
from hostile import Broken, End, EndOfNothing, Fail, Say, Silence, Sound, Step, Wait
from hostile_kinds import Kind
from hostile_servers import SPEECH, Turns

from voicebench.engines.llm.generation import InProcessLanguageModel, ReplyRules
from voicebench.errors import EngineError
from voicebench.events import AudioChunk
from voicebench.targets import Target
from voicebench.targets.cascade import Cascade
from voicebench.targets.simulated import SAMPLE_RATE

END = 0


class Letters:
    """A tokenizer of which each letter is an id."""

    turn_ends = frozenset({END})
    reasoning_marks = None
    ends_at_line = False

    def encode_turn(self, _system: str, prompt: str, _earlier: Sequence[object] = ()) -> list[int]:
        return self.encode_text(prompt)

    def encode_beginning(self, *_conversation: object) -> list[int]:
        return []

    def encode_text(self, text: str) -> list[int]:
        return [ord(letter) for letter in text]

    def decode(self, ids: Sequence[int]) -> str:
        return "".join(map(chr, ids))


class BrokenEngines:
    """What samples the ids of the turns' replies, and speaks their speech."""

    context_tokens = 10_000

    def __init__(self, turns: Turns) -> None:
        self._turns = turns

    def read_ahead(self, ids: Sequence[int], scope: str) -> None: ...

    def generate(self, *_prompt_ids: object) -> Generator[int]:
        for step in self._turns.reply():
            match step:
                case Say(text):
                    yield from map(ord, text)
                case Wait(seconds):
                    time.sleep(seconds)
                case Fail(said):
                    raise EngineError(said)
                case End() | EndOfNothing():
                    yield END

    def speak(self, _text: str) -> Iterator[AudioChunk]:
        for step in self._turns.speech():
            if isinstance(step, Fail):
                raise EngineError(step.said)
            if isinstance(step, Sound | Silence):
                pcm = SPEECH if isinstance(step, Sound) else np.zeros_like(SPEECH)
                yield AudioChunk(pcm, SAMPLE_RATE)

    def describe(self) -> dict[str, object]:
        return {"engine": "broken"}

    def close(self) -> None:
        pass


@contextmanager
def in_process(broken: Broken) -> Iterator[Target]:
    engines = BrokenEngines(Turns(broken))
    llm = InProcessLanguageModel("letters", engines, Letters(), ReplyRules(max_tokens=1000))
    with closing(Cascade(llm, engines, first_words=3, later_words=8)) as target:
        yield target


_TEXT: frozenset[type[Step]] = frozenset({Say, Wait, Fail, End, EndOfNothing})
IN_PROCESS = Kind("in process", in_process, _TEXT, frozenset({Sound, Silence, Fail, End}))
