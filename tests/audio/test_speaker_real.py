"""What a listener really gets: PortAudio plays through PulseAudio, and its monitor is recorded.

A PulseAudio daemon of the test's own, with two loudspeakers that are null sinks: ``hall`` (48 kHz,
stereo) and ``kitchen`` (at the rate of the speech, mono). Both take floats, so in the kitchen the
very samples arrive that were played.
"""

from __future__ import annotations

import ctypes.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from wav_files import read_wav

from voicebench.audio.loudspeakers import find_speaker, list_speakers
from voicebench.audio.speaker import Played, Speaker
from voicebench.errors import DeviceError

pytestmark = pytest.mark.sound

RATE = 24000
HALL_RATE = 48000
ALSA_CONFIG = """
pcm.!default { type pulse }
ctl.!default { type pulse }
pcm.hall { type pulse device hall }
pcm.kitchen { type pulse device kitchen }
"""
BUFFER_S = 0.3
"""So much that a busy machine does not matter, where underruns are not the question."""
SILENT = 1e-4
"""What a resampler may leave where there is no speech."""
REAL_HOME = {"HOME": os.environ["HOME"]} if "HOME" in os.environ else {}
"""Taken before a fixture changes it."""


def missing_part() -> str | None:
    """Name what the sound stack lacks on this machine, with the Debian package that has it."""
    for tool, package in (
        ("pulseaudio", "pulseaudio"),
        ("parec", "pulseaudio-utils"),
        ("pactl", "pulseaudio-utils"),
    ):
        if shutil.which(tool) is None:
            return f"{tool} (package {package})"
    if ctypes.util.find_library("portaudio") is None:
        return "PortAudio (package libportaudio2)"
    places = [Path("/usr/lib"), Path("/usr/lib64")]
    if not any(list(p.glob("**/alsa-lib/libasound_module_pcm_pulse.so")) for p in places):
        return "ALSA's pulse plugin (package libasound2-plugins)"
    return None


def until(what: str, reached: object, seconds: float = 20.0) -> None:
    """Wait until ``reached()`` is true; fail after so many seconds."""
    deadline = time.monotonic() + seconds
    while not reached():  # type: ignore[operator]
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.02)


@dataclass(frozen=True)
class SoundServer:
    """The daemon, and the environment in which programs find it."""

    environment: dict[str, str]


@pytest.fixture(scope="module")
def server() -> Iterator[SoundServer]:
    if lack := missing_part():
        pytest.skip(f"no sound stack to test with: {lack} is missing")
    # Not pytest's own folder: the path of a socket may have 107 characters only.
    home = Path(tempfile.mkdtemp(prefix="voicebench-"))
    socket = home / "native"
    (home / "alsa.conf").write_text(ALSA_CONFIG, encoding="utf-8")
    private = {
        "HOME": str(home),
        "XDG_RUNTIME_DIR": str(home),
        "PULSE_RUNTIME_PATH": str(home),
        "PULSE_SERVER": f"unix:{socket}",
        "ALSA_CONFIG_PATH": str(home / "alsa.conf"),
    }
    with (home / "log").open("wb") as log:
        daemon = subprocess.Popen(
            [
                *("pulseaudio", "-n", "--daemonize=no", "--use-pid-file=no", "--disable-shm=yes"),
                *("--exit-idle-time=-1", "--realtime=no", "--high-priority=no"),
                # Without norewinds a null sink renders two seconds ahead, and its monitor loses
                # what is rewritten.
                "--load=module-null-sink sink_name=hall rate=48000 channels=2 "
                "format=float32le norewinds=1",
                f"--load=module-null-sink sink_name=kitchen rate={RATE} channels=1 "
                "format=float32le norewinds=1",
                f"--load=module-native-protocol-unix socket={socket} auth-anonymous=1",
            ],
            env=os.environ | private,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        ask = ["pactl", "list", "short", "sinks"]

        def is_up() -> bool:
            assert daemon.poll() is None, (home / "log").read_text(encoding="utf-8")
            told = subprocess.run(ask, env=os.environ | private, capture_output=True, check=False)
            return b"kitchen" in told.stdout

        until("PulseAudio starts", is_up)
        yield SoundServer(os.environ | private)
    finally:
        daemon.terminate()
        daemon.wait(20)
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def room(server: SoundServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[SoundServer]:
    """Let this process's PortAudio find the daemon, though it may have looked around before."""
    import sounddevice

    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    sounddevice._terminate()
    sounddevice._initialize()
    yield server
    sounddevice._terminate()
    monkeypatch.undo()
    sounddevice._initialize()


class Microphone:
    """Records what a loudspeaker plays, from its monitor."""

    def __init__(self, server: SoundServer, sink: str, rate: int, folder: Path) -> None:
        self._path = folder / f"{sink}.raw"
        self._forgotten = 0
        self._file = self._path.open("wb")
        self._recorder = subprocess.Popen(
            [
                *("parec", "--device", f"{sink}.monitor", "--raw", "--format=float32le"),
                *(f"--rate={rate}", "--channels=1", "--latency-msec=10"),
            ],
            env=server.environment,
            stdout=self._file,
            stderr=subprocess.DEVNULL,
        )
        until("the monitor is being recorded", lambda: self.heard().size > rate // 10)

    def heard(self) -> NDArray[np.float32]:
        """Return everything so far."""
        data = self._path.read_bytes()
        return np.frombuffer(data[: len(data) // 4 * 4], "<f4")[self._forgotten :]

    def forget(self) -> None:
        """Begin anew: what was heard until now is not to be looked at any more."""
        self._forgotten += self.heard().size

    def wait_for(self, samples: int) -> None:
        """Wait until so many samples more have been recorded."""
        before = self.heard().size
        until("the recording goes on", lambda: self.heard().size >= before + samples)

    def close(self) -> None:
        self._recorder.terminate()
        self._recorder.wait(20)
        self._file.close()


@pytest.fixture
def kitchen(room: SoundServer, tmp_path: Path) -> Iterator[Microphone]:
    microphone = Microphone(room, "kitchen", RATE, tmp_path)
    yield microphone
    microphone.close()


@pytest.fixture
def hall(room: SoundServer, tmp_path: Path) -> Iterator[Microphone]:
    microphone = Microphone(room, "hall", HALL_RATE, tmp_path)
    yield microphone
    microphone.close()


def tried_anew(attempt: Callable[[], None]) -> None:
    """Make ``attempt`` until it passes, five times at most.

    On a busy machine the sound server or the device's thread is late now and then, and nobody says
    so. What the loudspeaker itself loses or repeats, it does every time.
    """
    for left in reversed(range(5)):
        try:
            attempt()
        except AssertionError:
            if not left:
                raise
        else:
            return


def speech(seconds: float, rate: int = RATE) -> NDArray[np.float32]:
    """Return noise between 200 and 3000 Hz whose loudness goes up and down: unlike itself
    everywhere, so that a shift, a hole and a repetition all show."""
    count = int(seconds * rate)
    spectrum = np.fft.rfft(np.random.default_rng(5).normal(0, 1, count))
    frequencies = np.fft.rfftfreq(count, 1 / rate)
    spectrum[(frequencies < 200) | (frequencies > 3000)] = 0
    noise = np.fft.irfft(spectrum, count)
    loudness = 0.6 + 0.4 * np.sin(2 * np.pi * 3 * np.arange(count) / rate)
    pcm: NDArray[np.float32] = (0.5 * loudness * noise / np.abs(noise).max()).astype(np.float32)
    return pcm


def aligned(heard: NDArray[np.float32], said: NDArray[np.float32]) -> int:
    """Return at which sample of ``heard`` ``said`` begins, by cross-correlation."""
    size = 1 << (heard.size + said.size - 1).bit_length()
    product = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(said, size))
    lag = int(np.argmax(np.fft.irfft(product, size)))
    assert lag + said.size <= heard.size, "the recording ends before the speech does"
    return lag


def check_heard_once(
    heard: NDArray[np.float32], said: NDArray[np.float32], *, tolerance: float
) -> None:
    """Fail unless ``heard`` is silence, then ``said`` once and whole, then silence.

    ``tolerance`` is the largest error of any sample, as a share of the speech's peak; a gap, a
    loss or a repetition shifts all that follows, and its error is about 1.
    """
    begin = aligned(heard, said)
    peak = np.abs(said).max()
    error = np.abs(heard[begin : begin + said.size] - said) / peak
    assert error.max() < tolerance, f"worst at sample {error.argmax()} of {said.size}"
    margin = 64  # a resampler's ringing
    assert np.abs(heard[: max(0, begin - margin)]).max(initial=0) <= SILENT
    assert np.abs(heard[begin + said.size + margin :]).max(initial=0) <= SILENT


def without_gaps(heard: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return ``heard`` without its runs of 32 zeros and more."""
    zero = np.concatenate(([False], heard == 0, [False]))
    edges = np.flatnonzero(np.diff(zero.astype(np.int8)))
    keep = np.ones(heard.size, dtype=np.bool_)
    for begin, end in zip(edges[::2], edges[1::2], strict=True):
        keep[begin:end] = end - begin < 32
    return heard[keep]


def play(
    said: NDArray[np.float32], wanted: str, *, rate: int = RATE, opened_at: int = RATE
) -> Played:
    """Play in pieces of uneven sizes, as a synthesizer makes them, and return the report."""
    # The first piece is long: this thread may be held up before the second.
    sizes = [3 * rate // 2, 1, 3000, 97, 441, 5000]
    with Speaker(wanted, preferred_rate=opened_at, latency_s=BUFFER_S) as speaker:
        at, turn = 0, 0
        while at < said.size:
            speaker.play(said[at : at + sizes[turn % len(sizes)]], rate)
            at, turn = at + sizes[turn % len(sizes)], turn + 1
        speaker.finish()
        return speaker.report()


def test_every_sample_is_heard_once_in_order_and_without_a_gap(kitchen: Microphone) -> None:
    said = speech(2.0)

    def attempt() -> None:
        kitchen.forget()
        played = play(said, "kitchen")
        kitchen.wait_for(RATE // 4)
        check_heard_once(kitchen.heard(), said, tolerance=1e-6)
        assert played.audio_s == pytest.approx(2.0)
        assert (played.gaps, played.device_underruns) == (0, 0)
        assert played.delay_ms is not None
        assert 0 <= played.delay_ms < 1000

    tried_anew(attempt)


def test_speech_of_another_rate_is_resampled_without_a_seam(kitchen: Microphone) -> None:
    import soxr

    said = speech(2.0, 16000)
    expected = soxr.resample(said, 16000, RATE)

    def attempt() -> None:
        kitchen.forget()
        play(said, "kitchen", rate=16000, opened_at=RATE)
        kitchen.wait_for(RATE // 4)
        check_heard_once(kitchen.heard(), expected, tolerance=0.01)

    tried_anew(attempt)


def test_a_loudspeaker_of_another_rate_hears_the_same(hall: Microphone) -> None:
    import soxr

    said = speech(2.0, 24000)
    expected = soxr.resample(said, 24000, HALL_RATE)

    def attempt() -> None:
        hall.forget()
        play(said, "hall", rate=24000, opened_at=24000)
        hall.wait_for(HALL_RATE // 4)
        check_heard_once(hall.heard(), expected, tolerance=0.05)

    tried_anew(attempt)


def test_speech_that_stays_away_is_heard_as_a_gap_and_reported_as_one(
    kitchen: Microphone,
) -> None:
    said = speech(1.0)
    half = said.size // 2

    def attempt() -> None:
        kitchen.forget()
        with Speaker("kitchen", preferred_rate=RATE, latency_s=BUFFER_S) as speaker:
            speaker.play(said[:half], RATE)
            time.sleep(1.2)
            speaker.play(said[half:], RATE)
            speaker.finish()
            played = speaker.report()
        kitchen.wait_for(RATE // 4)
        heard = kitchen.heard()
        first, second = aligned(heard, said[:half]), aligned(heard, said[half:])
        gap_ms = 1000 * (second - first - half) / RATE
        assert played.gaps == 1
        assert played.gap_ms == pytest.approx(gap_ms, abs=1)
        assert 200 < gap_ms < 1200

    tried_anew(attempt)


def test_an_audio_thread_that_is_held_up_is_an_underrun_of_the_device(
    kitchen: Microphone, capfd: pytest.CaptureFixture[str]
) -> None:
    said = speech(1.5)

    def attempt() -> None:
        with Speaker(
            "kitchen", preferred_rate=RATE, on_start=lambda delay_ms: time.sleep(0.5)
        ) as speaker:
            kitchen.wait_for(RATE // 2)  # a device that has only begun may itself wait for us
            speaker.play(said, RATE)
            speaker.finish()
            played = speaker.report()
        assert played.gaps == 0
        assert played.device_underruns >= 1

    tried_anew(attempt)
    capfd.readouterr()  # ALSA remarks on it too


def test_stopping_silences_at_once(kitchen: Microphone) -> None:
    said = speech(8.0)

    def attempt() -> None:
        kitchen.forget()
        with Speaker("kitchen", preferred_rate=RATE) as speaker:
            speaker.play(said, RATE)
            until("speech is heard", lambda: np.abs(kitchen.heard()).max(initial=0) > 0.1)
            begin = time.monotonic()
            speaker.stop()
            assert time.monotonic() - begin < 1.0
            at_stop = kitchen.heard().size
        kitchen.wait_for(RATE)
        last = np.flatnonzero(np.abs(kitchen.heard()) > SILENT)[-1]
        # The recording itself lags by some 10 ms; the device's buffer of 50 ms is thrown away too.
        assert last - at_stop < 0.3 * RATE

    tried_anew(attempt)


def test_the_speech_comes_out_of_the_chosen_loudspeaker_alone(
    kitchen: Microphone, hall: Microphone
) -> None:
    said = speech(0.5)
    play(said, "KITCH")
    kitchen.wait_for(RATE // 4)
    assert np.abs(kitchen.heard()).max() > 0.1
    assert np.abs(hall.heard()).max() == 0


def test_the_loudspeakers_are_listed_by_name(room: SoundServer) -> None:
    names = [speaker.name for speaker in list_speakers()]
    assert set(names) >= {"kitchen", "hall", "default"}
    assert find_speaker().name == "default"
    with pytest.raises(DeviceError, match=r"did you mean 'kitchen'.*'hall'"):
        Speaker("kichen")


def voicebench(
    server: SoundServer, *arguments: str, text: str = ""
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "voicebench", *arguments],
        env=server.environment,
        input=text,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def in_cache_of_this_user(server: SoundServer) -> SoundServer:
    """Give back the real home: the models' cache is there."""
    return SoundServer(server.environment | REAL_HOME)


def test_say_lists_the_loudspeakers(server: SoundServer) -> None:
    said = voicebench(server, "say", "--list-speakers", "--json")
    assert {"kitchen", "hall"} <= {speaker["name"] for speaker in json.loads(said.stdout)}
    lines = voicebench(server, "say", "--list-speakers").stdout.splitlines()
    assert any(line.startswith("*") and "default" in line for line in lines)


def test_say_plays_an_answer_and_reports_when_it_was_heard(
    server: SoundServer, kitchen: Microphone
) -> None:
    def attempt() -> None:
        kitchen.forget()
        said = voicebench(
            server,
            *("say", "--ask", "What is the weather?", "--speaker", "kitchen", "--json"),
            *("--speaker-buffer", "300"),
            *("--set", "run.target=sim:ttft=50ms,ttfb=40ms,words=6,speed=50x"),
        )
        assert said.returncode == 0, said.stderr
        document = json.loads(said.stdout)
        metrics, speaker = document["metrics"], document["speaker"]
        assert metrics["speaker_ms"] >= metrics["first_audio_ms"]
        assert metrics["speaker_ms"] < metrics["first_audio_ms"] + 1000
        assert speaker["audio_s"] == pytest.approx(metrics["audio_s"], abs=0.01)
        assert (speaker["gaps"], speaker["device_underruns"]) == (0, 0)
        kitchen.wait_for(RATE // 4)
        loud = np.flatnonzero(np.abs(kitchen.heard()) > 0.01)
        assert (loud[-1] - loud[0]) / RATE == pytest.approx(metrics["audio_s"], abs=0.02)

    tried_anew(attempt)


def test_ctrl_c_stops_the_sound_at_once_and_exits_130(
    server: SoundServer, kitchen: Microphone
) -> None:
    def attempt() -> None:
        kitchen.forget()
        speaking = subprocess.Popen(
            [
                *(sys.executable, "-m", "voicebench", "say", "--ask", "Tell me all", "--speaker"),
                *("kitchen", "--set", "run.target=sim:ttft=50ms,ttfb=40ms,words=200,speed=50x"),
            ],
            env=server.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            until("speech is heard", lambda: np.abs(kitchen.heard()).max(initial=0) > 0.1)
            speaking.send_signal(signal.SIGINT)
            at_signal = kitchen.heard().size
            _, told = speaking.communicate(timeout=20)
        finally:
            speaking.kill()
            speaking.wait()
        assert speaking.returncode == 130
        assert "Traceback" not in told
        kitchen.wait_for(RATE)
        last = np.flatnonzero(np.abs(kitchen.heard()) > SILENT)[-1]
        assert last - at_signal < 0.5 * RATE

    tried_anew(attempt)


@pytest.mark.models
@pytest.mark.slow
def test_the_embedded_voice_is_heard_as_it_was_synthesized(
    server: SoundServer, kitchen: Microphone, tmp_path: Path
) -> None:
    text = "The ferry leaves at ten."
    file = tmp_path / "said.wav"
    both = (
        "say",
        "-",
        "--output",
        str(file),
        "--speaker",
        "kitchen",
        "--json",
        "--speaker-buffer",
        "300",
        "--force",  # another attempt replaces the file
    )

    def attempt() -> None:
        kitchen.forget()
        said = voicebench(in_cache_of_this_user(server), *both, text=text)
        assert said.returncode == 0, said.stderr
        document = json.loads(said.stdout)
        pcm, rate = read_wav(file)
        assert rate == RATE
        assert pcm.size / rate == pytest.approx(document["metrics"]["audio_s"])
        kitchen.wait_for(RATE // 4)
        # A voice that is slower than speech leaves gaps; between them nothing may be lost. Its
        # samples are never exactly 0 for long, the loudspeaker's silence is.
        heard = without_gaps(kitchen.heard())
        check_heard_once(np.pad(heard, RATE // 10), pcm, tolerance=1e-3)

    tried_anew(attempt)
