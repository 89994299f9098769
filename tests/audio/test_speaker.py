"""The loudspeaker's faults and odd devices, on a sound library that is made to misbehave.

What a working device does is held by ``test_speaker_real.py`` on a real sound stack.
"""

from __future__ import annotations

import sys

import numpy as np
import pytest
from numpy.typing import NDArray
from odd_device import BLOCK, OddDevice, use

from voicebench.audio import speaker as speaker_module
from voicebench.audio.speaker import Speaker
from voicebench.errors import DeviceError

RAMP = np.linspace(0.1, 0.9, 1000, dtype=np.float32)


def trimmed(sound: NDArray[np.float32]) -> NDArray[np.float32]:
    loud = np.flatnonzero(sound)
    return sound[loud[0] : loud[-1] + 1]


def test_every_sample_reaches_the_device_and_the_delay_is_the_converters(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    device = OddDevice(dac_offset=0.035)
    use(device, monkeypatch)
    delays: list[float] = []
    with Speaker(preferred_rate=8000, on_start=delays.append) as speaker:
        speaker.play(RAMP, 8000)
        device.run()
        speaker.finish()
        played = speaker.report()
    assert np.array_equal(trimmed(device.sound[:, 0]), RAMP)
    assert delays == [pytest.approx(35)]
    assert played.delay_ms == delays[0]
    assert played.audio_s == RAMP.size / 8000
    assert (played.device_underruns, played.gaps, played.speaker) == (0, 0, "odd")


@pytest.mark.parametrize("offset", [-3.0, 1e6])
def test_where_the_host_tells_no_converter_time_the_streams_latency_stands_in(
    offset: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = OddDevice(dac_offset=offset, latency=0.017)
    use(device, monkeypatch)
    with Speaker(preferred_rate=8000) as speaker:
        speaker.play(RAMP, 8000)
        device.run()
        speaker.finish()
        assert speaker.report().delay_ms == pytest.approx(17)


def test_a_device_of_another_rate_gets_resampled_speech(monkeypatch: pytest.MonkeyPatch) -> None:
    device = OddDevice(rate=48000)
    use(device, monkeypatch)
    tone = np.sin(2 * np.pi * 500 * np.arange(22050) / 22050).astype(np.float32)
    with Speaker(preferred_rate=22050) as speaker:
        assert speaker.sample_rate == 48000
        for piece in np.split(tone, 10):
            speaker.play(piece, 22050)
        device.run()
        speaker.finish()
        assert speaker.report().audio_s == pytest.approx(1.0, abs=1e-3)
    sound = device.sound[:, 0]
    start = np.flatnonzero(np.abs(sound) > 0.05)[0]
    expected = np.sin(2 * np.pi * 500 * np.arange(-200, 48000) / 48000)
    middle = sound[start + 4800 : start + 43200]
    correlation = np.correlate(expected[5000:43900], middle, "valid").max()
    assert correlation / np.dot(middle, middle) == pytest.approx(1.0, abs=1e-3)


def test_a_device_that_cannot_play_mono_gets_the_speech_on_two_channels(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    device = OddDevice(channels=2)
    use(device, monkeypatch)
    with Speaker(preferred_rate=8000) as speaker:
        speaker.play(RAMP, 8000)
        device.run()
        speaker.finish()
    assert np.array_equal(trimmed(device.sound[:, 0]), RAMP)
    assert np.array_equal(device.sound[:, 0], device.sound[:, 1])


def test_a_device_that_accepts_nothing_is_refused_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    device = OddDevice(rate=8000)
    library = device.module()
    library.query_devices()[0]["default_samplerate"] = 44100.0
    monkeypatch.setitem(sys.modules, "sounddevice", library)
    with pytest.raises(DeviceError, match=r"'odd' cannot be used: Invalid sample rate.*--output"):
        Speaker(preferred_rate=22050)


def test_a_device_that_is_unplugged_ends_in_an_error_and_not_in_a_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    device = OddDevice()
    use(device, monkeypatch)
    with Speaker(preferred_rate=8000) as speaker:
        speaker.play(RAMP, 8000)
        device.run(blocks=3)
        with pytest.raises(DeviceError, match="'odd' stopped taking samples"):
            speaker.finish()


def test_a_device_that_hangs_ends_in_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speaker_module, "STUCK_AFTER_S", 0.02)
    monkeypatch.setattr(speaker_module, "MAX_WAITING_S", 0.05)
    use(OddDevice(), monkeypatch)
    with Speaker(preferred_rate=8000) as speaker:
        speaker.play(RAMP, 8000)
        with pytest.raises(DeviceError, match="stopped taking samples"):
            speaker.play(RAMP, 8000)
        with pytest.raises(DeviceError, match="stopped taking samples"):
            speaker.finish()


def test_underruns_count_only_while_there_is_speech(monkeypatch: pytest.MonkeyPatch) -> None:
    device = OddDevice()
    use(device, monkeypatch)
    with Speaker(preferred_rate=8000) as speaker:
        device.take(underrun=True)
        speaker.play(RAMP, 8000)
        device.take()
        device.take(underrun=True)
        device.take(underrun=True)
        device.run()
        speaker.finish()
        device.take(underrun=True)
        assert speaker.report().device_underruns == 2


def test_speech_that_is_not_ready_is_a_gap_and_no_underrun(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    device = OddDevice()
    use(device, monkeypatch)
    with Speaker(preferred_rate=8000) as speaker:
        device.take()
        speaker.play(RAMP[:BLOCK], 8000)
        for _ in range(4):
            device.take()
        speaker.play(RAMP[BLOCK:], 8000)
        device.run()
        speaker.finish()
        played = speaker.report()
    assert (played.gaps, played.device_underruns) == (1, 0)
    assert played.gap_ms == pytest.approx(3 * 1000 * BLOCK / 8000)


def test_a_defect_in_the_audio_thread_is_raised_and_not_swallowed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    device = OddDevice()
    use(device, monkeypatch)

    def broken(delay_ms: float) -> None:
        raise ZeroDivisionError("a defect")

    with Speaker(preferred_rate=8000, on_start=broken) as speaker:
        speaker.play(RAMP, 8000)
        device.run()
        with pytest.raises(ZeroDivisionError, match="a defect"):
            speaker.finish()


def test_stopping_drops_what_waits_and_may_be_said_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    device = OddDevice()
    use(device, monkeypatch)
    with Speaker(preferred_rate=8000) as speaker:
        speaker.play(RAMP, 8000)
        device.take()
        speaker.stop()
        device.take()
        speaker.stop()
        speaker.play(RAMP, 8000)
        device.take()
        speaker.finish()
    assert np.array_equal(trimmed(device.sound[:, 0]), RAMP[:BLOCK])


def test_leaving_without_finishing_is_silence_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    device = OddDevice()
    use(device, monkeypatch)

    def interrupted() -> None:
        with Speaker(preferred_rate=8000) as speaker:
            speaker.play(RAMP, 8000)
            device.take()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert device.stopping.is_set()
    device.take()
    assert np.array_equal(trimmed(device.sound[:, 0]), RAMP[:BLOCK])


def test_finishing_without_a_sample_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    device = OddDevice()
    use(device, monkeypatch)
    with Speaker() as speaker:
        device.run()
        speaker.finish()
        assert speaker.report().delay_ms is None
        assert not speaker.started.is_set()


def test_speech_that_changes_its_rate_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    device = OddDevice()
    use(device, monkeypatch)
    with Speaker() as speaker:
        speaker.play(RAMP, 22050)
        with pytest.raises(DeviceError, match="22050 to 16000 Hz"):
            speaker.play(RAMP, 16000)
