"""A turn that is heard: recorded first, let out at once, silent the moment it is asked to be."""

from __future__ import annotations

import hashlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from odd_device import OddDevice, use
from scripted_engines import RATE, Scripted, sound
from wav_files import read_wav

from voicebench.audio.pcm import AudibleRule
from voicebench.errors import DeviceError, EngineError, UsageError
from voicebench.events import (
    AudioChunk,
    Emit,
    Event,
    TextChunk,
    Token,
    TurnFailed,
    TurnFinished,
    TurnStarted,
)
from voicebench.figures.metrics import compute
from voicebench.measuring.speaking import Listener, read_aloud, silenced_by_signals
from voicebench.text.chunking import Chunker

RULE = AudibleRule()


def scripted_turn(*events: Event) -> Callable[[Emit], None]:
    def turn(emit: Emit) -> None:
        for event in (TurnStarted("hello"), *events, TurnFinished()):
            emit(event)

    return turn


def kinds(events: list[Event]) -> list[str]:
    return [type(event).__name__ for event in events]


def test_what_is_written_is_what_was_emitted(tmp_path: Path) -> None:
    file = tmp_path / "heard.wav"
    with Listener(aloud=False, output=file) as listener:
        heard = listener.listen(scripted_turn(sound(100), sound(60)), RULE)
    pcm, rate = read_wav(file)
    assert rate == RATE
    assert pcm == pytest.approx(heard.recording.pcm, abs=1 / 32768)
    assert heard.recording.timeline.failure is None
    assert heard.played is None


def test_without_audio_no_file_is_made(tmp_path: Path) -> None:
    file = tmp_path / "heard.wav"
    with Listener(aloud=False, output=file) as listener:
        heard = listener.listen(scripted_turn(), RULE)
    assert not file.exists()
    assert heard.recording.timeline.failed


def test_the_reply_is_shown_token_by_token() -> None:
    seen: list[str] = []
    with Listener(aloud=False, on_token=seen.append) as listener:
        listener.listen(scripted_turn(Token("So"), Token(" it"), Token(" is."), sound()), RULE)
    assert seen == ["So", " it", " is."]


def test_the_loudspeaker_hears_every_sample_and_its_start_is_in_the_timeline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    device = OddDevice(rate=RATE, dac_offset=0.04)
    use(device, monkeypatch)
    with Listener(aloud=True, preferred_rate=RATE) as listener:

        def turn(emit: Emit) -> None:
            emit(TurnStarted("hello"))
            emit(sound(100))
            device.run()
            emit(sound(100))
            emit(TurnFinished())

        heard = listener.listen(turn, RULE)
    played = np.trim_zeros(device.sound[:, 0])
    expected = np.trim_zeros(heard.recording.pcm)
    # Between the two chunks the device may have been faster than this thread.
    assert np.array_equal(played[played != 0], expected[expected != 0])
    figures = compute(heard.recording.timeline)
    speaker_ms, first_audio_ms = figures["speaker_ms"], figures["first_audio_ms"]
    assert speaker_ms is not None
    assert first_audio_ms is not None
    assert speaker_ms >= first_audio_ms + 40
    assert heard.played is not None
    assert heard.played.delay_ms == pytest.approx(40)


def test_a_turn_that_is_over_before_the_loudspeaker_begins_waits_for_its_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    device = OddDevice(rate=RATE)
    use(device, monkeypatch)
    with Listener(aloud=True, preferred_rate=RATE) as listener:
        starter = threading.Timer(0.05, device.run)
        starter.start()
        heard = listener.listen(scripted_turn(sound(100)), RULE)
        starter.join()
    assert heard.recording.timeline.speaker_ns is not None


def test_a_turn_without_audio_does_not_wait_for_the_loudspeaker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    device = OddDevice(rate=RATE)
    use(device, monkeypatch)
    with Listener(aloud=True, preferred_rate=RATE) as listener:
        device.run()
        heard = listener.listen(scripted_turn(), RULE)
    assert heard.recording.timeline.failed


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full, a disk that is full")
def test_a_full_disk_ends_in_the_users_error() -> None:
    with (
        Listener(aloud=False, output=Path("/dev/full")) as listener,
        pytest.raises(UsageError, match="cannot write /dev/full: No space left"),
    ):
        listener.listen(scripted_turn(sound()), RULE)


def test_a_loudspeaker_that_fails_in_mid_turn_is_the_error_also_where_the_turn_hides_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    device = OddDevice(rate=RATE)
    use(device, monkeypatch)

    def turn(emit: Emit) -> None:
        emit(TurnStarted("hello"))
        emit(sound())
        try:
            # Speech that changes its rate is one thing that no device can play.
            emit(AudioChunk(sound().pcm, 2 * RATE))
            emit(AudioChunk(sound().pcm, 3 * RATE))
        except DeviceError as error:
            emit(TurnFailed(str(error), "engine", "tts"))

    with (
        Listener(aloud=True, preferred_rate=RATE) as listener,
        pytest.raises(DeviceError, match="the speech changes"),
    ):
        listener.listen(turn, RULE)


def reading(*pieces: str, voice: Scripted) -> list[Event]:
    events: list[Event] = []
    read_aloud(iter(pieces), events.append, tts=voice, chunker=Chunker(3, 8))
    return events


def test_text_that_arrives_is_spoken_as_soon_as_a_chunk_is_complete() -> None:
    events: list[Event] = []
    progress: list[int] = []

    def pieces() -> Iterator[str]:
        yield "One two three"
        yield " four five."
        progress.append(len(events))
        yield " Six"

    voice = Scripted([sound()], [sound()], [sound()])
    read_aloud(pieces(), events.append, tts=voice, chunker=Chunker(3, 8))
    assert progress[0] >= 3  # started, a chunk, its audio: before the rest was asked for
    assert "".join(voice.heard) == "One two three four five. Six"
    assert kinds(events)[0] == "TurnStarted"
    assert kinds(events)[-1] == "TurnFinished"


def test_the_turn_starts_when_there_is_something_to_say() -> None:
    events = reading("  \n", " Hello", " there.", voice=Scripted([sound()]))
    assert events[0] == TurnStarted("  \n Hello")
    assert isinstance(events[1], TextChunk)
    assert events[1].text == "  \n Hello there."


def test_a_voice_that_breaks_ends_the_turn_and_raises() -> None:
    events: list[Event] = []
    voice = Scripted([EngineError("the voice broke")])
    with pytest.raises(EngineError, match="the voice broke"):
        read_aloud(iter(["Hello."]), events.append, tts=voice, chunker=Chunker(3, 8))
    assert events[-1] == TurnFailed("the voice broke", "engine", "tts")


def test_an_interrupted_turn_is_on_record() -> None:
    events: list[Event] = []
    voice = Scripted([sound(), KeyboardInterrupt()])
    with pytest.raises(KeyboardInterrupt):
        read_aloud(iter(["Hello."]), events.append, tts=voice, chunker=Chunker(3, 8))
    assert events[-1] == TurnFailed("interrupted by the user", "interrupted", "turn")


def interrupted_while_computing(silenced: threading.Event) -> None:
    """Get a SIGINT while a step of C code runs that no signal handler can get into."""
    sender = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT))
    with silenced_by_signals(silenced.set):
        sender.start()
        for _ in range(100):
            hashlib.pbkdf2_hmac("sha256", b"", b"", 1_000_000)


@pytest.mark.slow
def test_ctrl_c_silences_before_the_interrupted_step_is_over() -> None:
    silenced = threading.Event()
    with pytest.raises(KeyboardInterrupt):
        interrupted_while_computing(silenced)
    assert silenced.is_set()


def test_another_signal_silences_nothing_and_all_is_put_back() -> None:
    silenced, seen = threading.Event(), []
    previous = signal.signal(signal.SIGUSR1, lambda number, frame: seen.append(number))
    try:
        with silenced_by_signals(silenced.set):
            os.kill(os.getpid(), signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, previous)
    assert seen == [signal.SIGUSR1]
    assert not silenced.is_set()
    assert signal.set_wakeup_fd(-1) == -1
