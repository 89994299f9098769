"""An engine in this process as load on the client of a remote engine.

A cascade may have one engine in this process and the other one behind a URL. While the first
computes, the client of the second wakes late. That delay is part of the instrument's own error, so
the error is measured while the engine is at work.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

from voicebench.errors import VoicebenchError
from voicebench.remote import Remote
from voicebench.targets import Target
from voicebench.targets.cascade import Cascade

PROMPT = "What will the weather be like in the coming days?"
TEXT = "The weather will stay clear and mild today, with a light wind from the west."


@dataclass(frozen=True, slots=True)
class Load:
    """An engine in this process that can be kept at work; loads of one ``name`` are equal."""

    name: str
    work: Callable[[], Iterator[object]] = field(compare=False)
    """Start one reply or one piece of speech; each step of the iterator computes a part."""

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        """Keep the engine at work during the block, then wait for its current step."""
        stopped = threading.Event()
        thread = threading.Thread(target=self._work_until, args=(stopped,), name="voicebench-load")
        thread.start()
        try:
            yield
        finally:
            stopped.set()
            thread.join()

    def _work_until(self, stopped: threading.Event) -> None:
        # A turn reports an engine that fails, and where.
        with contextlib.suppress(VoicebenchError):
            while not stopped.is_set():
                with contextlib.closing(cast(Any, self.work())) as steps:
                    for _ in steps:
                        if stopped.is_set():
                            break


def load_beside_clients(target: Target) -> Load | None:
    """Return the engine in process of a cascade whose other engine is remote; None elsewhere."""
    if not isinstance(target, Cascade):
        return None
    llm, tts = target.llm, target.tts
    if isinstance(llm, Remote) == isinstance(tts, Remote):
        return None
    if isinstance(tts, Remote):
        return Load("the language model", lambda: llm.reply(PROMPT))
    return Load("the voice", lambda: tts.speak(TEXT))
