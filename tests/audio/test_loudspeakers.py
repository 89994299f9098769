"""Which loudspeaker a name means, and what is said where there is none."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from voicebench.audio import loudspeakers
from voicebench.audio.loudspeakers import Loudspeaker, find_speaker, list_speakers
from voicebench.errors import DeviceError


def speaker(index: int, name: str, *, default: bool = False, api: str = "ALSA") -> Loudspeaker:
    return Loudspeaker(index, name, api, 2, 48000, default)


ROOM = [
    speaker(0, "HDA Intel PCH: ALC257"),
    speaker(2, "pulse", default=True),
    speaker(3, "USB Headset"),
    speaker(5, "USB Headset Mono"),
    speaker(7, "pulse", api="JACK"),
]


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loudspeakers, "list_speakers", lambda: ROOM)


@pytest.mark.usefixtures("room")
@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        (None, 2),
        ("3", 3),
        ("USB Headset", 3),
        ("usb headset", 3),
        ("intel", 0),
        ("mono", 5),
        ("pulse", 2),
    ],
)
def test_a_speaker_is_found_by_index_by_name_or_by_a_part_that_only_it_has(
    wanted: str | None, index: int
) -> None:
    assert find_speaker(wanted).index == index


@pytest.mark.usefixtures("room")
def test_a_wrong_name_is_refused_with_the_close_one_and_all_there_are() -> None:
    with pytest.raises(DeviceError) as refused:
        find_speaker("USB Hedset")
    assert "no sound device 'USB Hedset'" in str(refused.value)
    assert "did you mean 'USB Headset'?" in str(refused.value)
    assert "0 'HDA Intel PCH: ALC257', 2 'pulse'" in str(refused.value)


@pytest.mark.usefixtures("room")
def test_a_wrong_index_is_refused() -> None:
    with pytest.raises(DeviceError, match="no sound device '1'"):
        find_speaker("1")


@pytest.mark.usefixtures("room")
def test_a_part_of_several_names_is_refused_with_these() -> None:
    with pytest.raises(DeviceError, match=r"several.*3 'USB Headset', 5 'USB Headset Mono'"):
        find_speaker("usb")


def test_without_a_device_the_remedy_is_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loudspeakers, "list_speakers", list)
    with pytest.raises(DeviceError, match=r"no sound device that can play.*--output FILE\.wav"):
        find_speaker()


def test_without_a_default_the_first_speaker_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loudspeakers, "list_speakers", lambda: [ROOM[3], ROOM[0]])
    assert find_speaker().index == 5


def test_without_portaudio_the_remedy_is_its_package_or_a_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # What sounddevice does where the library is missing.
    (tmp_path / "sounddevice.py").write_text('raise OSError("PortAudio library not found")')
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    with pytest.raises(DeviceError, match=r"PortAudio is not installed.*apt install libportaudio2"):
        list_speakers()
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(DeviceError, match=r"brew install portaudio.*--output FILE\.wav"):
        find_speaker()
