"""One reply of the pipeline in threads of its own: it can be held back, and thrown away."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from voicebench.events import AudioChunk, Event, TextChunk, Token, TurnFailed
from voicebench.pipeline.device_queue import DeviceQueue, TurnCancelled
from voicebench.pipeline.scheduling import TurnTaking
from voicebench.targets.cascade import Cascade
from voicebench.text.chat_template import PastMessage


class CountedSteps(TurnTaking):
    """A turn that adds up how long its steps have used the device."""

    def __init__(self, device: DeviceQueue) -> None:
        super().__init__(device=device)
        self.work_ns = 0

    @contextmanager
    def token_step(self) -> Iterator[None]:
        """Take one token step."""
        with super().token_step(), self._counted():
            yield

    @contextmanager
    def speech_step(self) -> Iterator[None]:
        """Take one window of speech."""
        with super().speech_step(), self._counted():
            yield

    @contextmanager
    def _counted(self) -> Iterator[None]:
        begun = time.perf_counter_ns()
        try:
            yield
        finally:
            self.work_ns += time.perf_counter_ns() - begun


class SpokenReply:
    """A reply to ``prompt`` after the messages ``earlier``; it begins at once.

    ``take`` gets the reply and each event, from the reply's threads. Nothing is taken after
    `discard`.
    """

    def __init__(
        self,
        prompt: str,
        earlier: Sequence[PastMessage],
        *,
        cascade: Cascade,
        device: DeviceQueue,
        scope: str,
        take: Callable[[SpokenReply, Event], None],
    ) -> None:
        self.prompt = prompt
        self.tokens = 0
        self.audio_s = 0.0
        self.said: list[tuple[str, float]] = []
        """Each text chunk, and how many seconds of audio were there when it was begun."""
        self._take = take
        self._schedule = CountedSteps(device)
        self._is_discarded = False
        self._thread = threading.Thread(
            target=self._run,
            args=(cascade.in_conversation(tuple(earlier), scope),),
            name="voicebench-reply",
        )
        self._thread.start()

    @property
    def work_ms(self) -> float:
        """How long the engines have computed for it, in milliseconds."""
        return self._schedule.work_ns / 1e6

    @property
    def is_running(self) -> bool:
        """Whether its threads still run."""
        return self._thread.is_alive()

    def discard(self) -> None:
        """Start no further step, and take nothing any more."""
        self._is_discarded = True
        self._schedule.cancel()

    def join(self) -> None:
        """Wait until its threads have ended."""
        self._thread.join()

    def heard(self, seconds: float) -> str:
        """Return the text that was heard when ``seconds`` of the audio had been played."""
        chunks = [text for text, begins_s in self.said if begins_s < seconds]
        return "".join(chunks).strip()

    def _run(self, cascade: Cascade) -> None:
        try:
            cascade.run(self.prompt, self._emit, self._schedule)
        except TurnCancelled:
            pass
        except Exception as error:  # a defect; the turn was emitted as failed already
            self._emit(TurnFailed(f"{type(error).__name__}: {error}", "engine", "turn"))

    def _emit(self, event: Event) -> None:
        if self._is_discarded:
            raise TurnCancelled
        if isinstance(event, Token):
            self.tokens += 1
        elif isinstance(event, TextChunk):
            self.said.append((event.text, self.audio_s))
        elif isinstance(event, AudioChunk):
            self.audio_s += event.pcm.size / event.sample_rate
        self._take(self, event)
