"""The engine in process as load: what it takes from the clients of a remote engine beside it.

A cascade may have one engine in process and the other one behind a wire. Then the first computes
while the client of the second waits to be woken, and the client is woken late. What that costs
belongs to the instrument's own error, which is therefore measured while the engine is at work.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import cast

from voicebench.errors import VoicebenchError
from voicebench.remote import Remote
from voicebench.targets import Target
from voicebench.targets.cascade import Cascade

PROMPT = "What will the weather be like in the coming days?"
TEXT = "The weather will stay clear and mild today, with a light wind from the west."


@dataclass(frozen=True, slots=True)
class Load:
    """An engine in process that can be kept at work; loads of one ``name`` are alike."""

    name: str
    work: Callable[[], Iterator[object]] = field(compare=False)
    """Begin one reply or one piece of speech, and compute it step by step."""

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        """Keep the engine at work within; on leaving, the step at hand is waited for."""
        stopped = threading.Event()
        thread = threading.Thread(target=self._go_on, args=(stopped,), name="voicebench-load")
        thread.start()
        try:
            yield
        finally:
            stopped.set()
            thread.join()

    def _go_on(self, stopped: threading.Event) -> None:
        # An engine that breaks is told of by the turns, which say where.
        with contextlib.suppress(VoicebenchError):
            while not stopped.is_set():
                with contextlib.closing(cast("_Closable", self.work())) as steps:
                    for _ in cast("Iterator[object]", steps):
                        if stopped.is_set():
                            break


class _Closable:
    """Something with a ``close``, as every generator is."""

    def close(self) -> None: ...


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
