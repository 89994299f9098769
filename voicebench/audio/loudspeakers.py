"""Lists the loudspeakers, and finds one by its name or index.

PortAudio is used through sounddevice, which is imported only here and only for playback. Its wheels
include PortAudio for macOS and Windows. On Linux it is a system package.
"""

from __future__ import annotations

import contextlib
import difflib
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType

from voicebench.errors import DeviceError

WRITE_A_FILE = "write a file with --output FILE.wav"
_INSTALL = {
    "linux": "install it (Debian, Ubuntu: apt install libportaudio2; Fedora: dnf install "
    "portaudio; Arch: pacman -S portaudio)",
    "darwin": "install it (brew install portaudio)",
}


@dataclass(frozen=True, slots=True)
class Loudspeaker:
    """A sound device that can play."""

    index: int
    name: str
    host_api: str
    channels: int
    sample_rate: int
    """The device's own rate, in Hz."""
    is_default: bool


def list_speakers() -> list[Loudspeaker]:
    """Return the devices that can play, possibly none, with the system's default marked.

    Raises `DeviceError` if PortAudio is missing or broken.
    """
    sounddevice = portaudio()
    try:
        apis = sounddevice.query_hostapis()
        default = sounddevice.default.device[1]
        if default < 0:
            default = next((int(api["default_output_device"]) for api in apis), -1)
        return [
            Loudspeaker(
                index=index,
                name=str(device["name"]),
                host_api=str(apis[device["hostapi"]]["name"]),
                channels=int(device["max_output_channels"]),
                sample_rate=int(device["default_samplerate"]),
                is_default=index == default,
            )
            for index, device in enumerate(sounddevice.query_devices())
            if device["max_output_channels"] > 0
        ]
    except sounddevice.PortAudioError as error:
        raise DeviceError(
            f"PortAudio cannot list the sound devices: {error}", WRITE_A_FILE
        ) from None


def find_speaker(wanted: str | None = None) -> Loudspeaker:
    """Return the device ``wanted``: its index, its name, or a part of its name alone.

    None is the system's default. Raises `DeviceError`, which lists the devices.
    """
    speakers = list_speakers()
    if not speakers:
        raise DeviceError(
            "there is no sound device that can play",
            f"connect one or start the sound server, or {WRITE_A_FILE}",
        )
    if wanted is None:
        return next((speaker for speaker in speakers if speaker.is_default), speakers[0])
    return _named(wanted, speakers)


def portaudio() -> ModuleType:
    """Import sounddevice. Raises `DeviceError` if the PortAudio library is missing."""
    try:
        import sounddevice
    except OSError:
        install = _INSTALL.get(sys.platform, "install it")
        raise DeviceError("PortAudio is not installed", f"{install}, or {WRITE_A_FILE}") from None
    module: ModuleType = sounddevice
    return module


def _named(wanted: str, speakers: list[Loudspeaker]) -> Loudspeaker:
    if wanted.isdecimal():
        found = [speaker for speaker in speakers if speaker.index == int(wanted)]
    else:
        lower = wanted.casefold()
        found = [speaker for speaker in speakers if speaker.name.casefold() == lower] or [
            speaker for speaker in speakers if lower in speaker.name.casefold()
        ]
    names = ", ".join(f"{speaker.index} {speaker.name!r}" for speaker in speakers)
    if not found:
        close = difflib.get_close_matches(wanted, [speaker.name for speaker in speakers], n=1)
        guess = f"did you mean {close[0]!r}? " if close else ""
        raise DeviceError(f"there is no sound device {wanted!r}", f"{guess}there are: {names}")
    if len({speaker.name for speaker in found}) > 1:
        several = ", ".join(f"{speaker.index} {speaker.name!r}" for speaker in found)
        raise DeviceError(f"{wanted!r} fits several sound devices: {several}", "name its index")
    # One name in several host APIs: the system's default, else the first in PortAudio's order.
    return next((speaker for speaker in found if speaker.is_default), found[0])


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Hide what ALSA and PortAudio write to stderr.

    They report every refused sample rate there, and then the next one is tried.
    """
    try:
        kept = os.dup(2)
    except OSError:  # the process has no stderr
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
