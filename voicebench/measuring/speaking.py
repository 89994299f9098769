"""A turn that is played: its audio goes to a loudspeaker or a file while it is being made.

The recorder stamps each event before its audio is played, so playing changes no figure. The
loudspeaker is open and silent before the turn begins, and reports when it took the first sample
(`SpeakerStarted`). The end of a short turn waits for that event, because no event may follow it.

Ctrl-C silences at once, even while the main thread computes. Python runs a signal's handler only
between two of its own steps, which may be a second apart. But the interpreter writes the signal's
number to a socket immediately (``signal.set_wakeup_fd``), where a thread waits.
"""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from types import TracebackType

from voicebench.audio.pcm import AudibleRule
from voicebench.audio.speaker import LATENCY_S, STUCK_AFTER_S, Played, Speaker
from voicebench.audio.wav_writer import WavWriter
from voicebench.errors import EngineError, VoicebenchError
from voicebench.events import (
    AudioChunk,
    Emit,
    Event,
    SpeakerStarted,
    Token,
    TurnFailed,
    TurnFinished,
    TurnStarted,
)
from voicebench.pipeline.pipeline import speak_text
from voicebench.pipeline.protocols import Synthesizer
from voicebench.secrecy import NO_SECRETS, Secrets
from voicebench.text.chunking import Chunker
from voicebench.turn.recorder import Recorder, Recording


@dataclass(frozen=True, slots=True)
class HeardTurn:
    """A turn that was played, and the report of the loudspeaker; None without one."""

    recording: Recording
    played: Played | None


class Listener:
    """Records one turn and plays its audio.

    ``speaker`` is a loudspeaker's name or index, None for the default one; with ``aloud`` False
    none is used. ``buffer_ms`` is the length of its buffer. ``output`` is a WAV file to write.
    ``on_token`` gets the reply's text as it arrives.
    """

    def __init__(
        self,
        *,
        aloud: bool,
        speaker: str | None = None,
        buffer_ms: float = 1000 * LATENCY_S,
        output: Path | None = None,
        preferred_rate: int | None = None,
        on_token: Callable[[str], None] | None = None,
        secrets: Secrets = NO_SECRETS,
    ) -> None:
        """Open the loudspeaker. Raises `voicebench.errors.DeviceError`."""
        self._recorder = Recorder(watch=self._play_event, secrets=secrets)
        self._output = output
        self._on_token = on_token
        self._file: WavWriter | None = None
        self._broken: VoicebenchError | None = None
        self._audio_came = False
        self.speaker = (
            Speaker(
                speaker,
                preferred_rate=preferred_rate,
                on_start=self._started,
                latency_s=buffer_ms / 1000,
            )
            if aloud
            else None
        )

    def listen(self, turn: Callable[[Emit], None], rule: AudibleRule) -> HeardTurn:
        """Run ``turn``, which takes an `Emit`, and return when its last sample was played.

        Raises what ``turn`` raises, and `VoicebenchError` if the audio cannot be played or written.
        """
        turn(self._emit)
        if self._broken is not None:
            raise self._broken
        if self.speaker is not None:
            self.speaker.finish()
        return HeardTurn(
            recording=self._recorder.seal(1, "cold", rule),
            played=self.speaker.report() if self.speaker else None,
        )

    def __enter__(self) -> Listener:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.speaker is not None:
            self.speaker.stop()
        if self._file is not None:
            self._file.close()

    def _emit(self, event: Event) -> None:
        is_end = isinstance(event, TurnFinished | TurnFailed)
        if is_end and self.speaker is not None and self._audio_came and self._broken is None:
            self.speaker.started.wait(STUCK_AFTER_S)
        self._recorder.emit(event)

    def _started(self, delay_ms: float) -> None:
        if not self._recorder.ended:
            self._recorder.emit(SpeakerStarted(delay_ms))

    def _play_event(self, _at_ns: int, event: Event) -> None:
        """Play an event that was just stamped, in the thread of its source."""
        if isinstance(event, AudioChunk):
            self._audio_came = True
            try:
                self._play(event)
            except VoicebenchError as error:
                self._broken = error
                raise
        elif isinstance(event, Token) and self._on_token is not None:
            self._on_token(event.text)

    def _play(self, audio: AudioChunk) -> None:
        if self.speaker is not None:
            self.speaker.play(audio.pcm, audio.sample_rate)
        if self._output is not None:
            if self._file is None:
                self._file = WavWriter(self._output, audio.sample_rate)
            self._file.append(audio.pcm)


def read_aloud(pieces: Iterator[str], emit: Emit, *, tts: Synthesizer, chunker: Chunker) -> None:
    """Speak text as it arrives, as one turn that starts with the first words.

    If the synthesizer or ``pieces`` raise an error, the turn fails, and the error is raised.
    """
    lead = ""
    for piece in pieces:
        lead += piece
        if not lead.isspace() and lead:
            break
    emit(TurnStarted(lead))
    try:
        speak_text(chain([lead], pieces), emit, tts=tts, chunker=chunker)
    except VoicebenchError as error:
        fault = error.fault if isinstance(error, EngineError) else "engine"
        emit(TurnFailed(str(error), fault, "tts"))
        raise
    except KeyboardInterrupt:
        emit(TurnFailed("interrupted by the user", "interrupted", "turn"))
        raise
    emit(TurnFinished())


@contextlib.contextmanager
def silenced_by_signals(silence: Callable[[], None]) -> Iterator[None]:
    """Call ``silence`` from another thread as soon as a SIGINT or SIGTERM arrives.

    The signal's own handler still runs. Only for the main thread.
    """
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)

    def watch() -> None:
        while number := ours.recv(1):
            if number[0] in (signal.SIGINT, signal.SIGTERM):
                silence()

    watcher = threading.Thread(target=watch, name="voicebench-silence", daemon=True)
    previous = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
    watcher.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(previous)
        theirs.close()
        watcher.join()
        ours.close()
