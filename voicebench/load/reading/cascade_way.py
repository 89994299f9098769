"""The servers of a cascade as the reader reaches them: clients, formats, and a caller's lines."""

from __future__ import annotations

from dataclasses import dataclass

from voicebench.audio.pcm import AudibleRule
from voicebench.load.reading.http_line import HttpLine
from voicebench.load.reading.read_turn import CascadeClients
from voicebench.remote.sound.sound_format import SoundFormat


@dataclass(frozen=True)
class CascadeWay:
    """Clients, formats and limits that all turns of a cascade share."""

    clients: CascadeClients
    sound: SoundFormat
    """What the settings say about the voice's raw samples."""
    first_words: int
    later_words: int
    sequential: bool
    turn_s: float
    audible: AudibleRule


@dataclass(frozen=True)
class CascadeLines:
    """The lines of one caller to both servers."""

    chat: HttpLine
    speech: HttpLine

    def open(self) -> None:
        """Begin to connect where no connection is open."""
        self.chat.open()
        self.speech.open()

    @property
    def are_open(self) -> bool:
        """Whether both are open."""
        return self.chat.is_open and self.speech.is_open

    @property
    def setup_ns(self) -> int | None:
        """How long the slower of both took to open; None if one is not open."""
        times = (self.chat.connect_ns, self.speech.connect_ns)
        return None if None in times else max(time for time in times if time is not None)

    def hang_up(self) -> None:
        """Close both connections."""
        self.chat.hang_up()
        self.speech.hang_up()
