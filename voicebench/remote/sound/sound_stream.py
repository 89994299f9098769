"""Which sound an answer holds, and the stream that turns its bytes into samples.

Format and rate come from the container's header, from the content type, or from the settings, and
where none of them says, there is an error: a guessed rate makes every duration wrong. In
particular

- a content type that names a format is believed, unless the settings name one;
- a content type that names none (``application/octet-stream``, or nothing) leaves it to the format
  that was asked for, else to the container's own mark (``RIFF``, ``OggS``, ``fLaC``, ``ID3``);
- raw PCM needs a rate, from the content type, a header or the settings; these say its encoding and
  channels as well (`voicebench.remote.sound.described`). If two of them disagree, that is an error,
  and so is a container whose header says another rate than the settings;
- what is called raw PCM, or nothing, and begins with a container's mark or with frames of MP3 or
  AAC is what these say (`voicebench.remote.sound.marks`); its header is not sound. What is called
  raw PCM and reads as text is an error (`voicebench.remote.sound.raw_sound`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

from voicebench.audio.encodings import PcmEncoding
from voicebench.audio.pcm import SAMPLE_RATES
from voicebench.audio.wav import WavStream
from voicebench.errors import UsageError
from voicebench.remote.failure import RemoteError
from voicebench.remote.sound.described import MAX_CHANNELS, RAW_TYPES, describe_raw
from voicebench.remote.sound.marks import (
    MARK_BYTES,
    SoundKind,
    framed_kind,
    marked_kind,
    undecodable,
)
from voicebench.remote.sound.raw_sound import PcmStream, PcmUnlessText

if TYPE_CHECKING:
    from numpy.typing import NDArray

_KINDS: dict[str, SoundKind] = {
    "audio/wav": "wav",
    "audio/wave": "wav",
    "audio/x-wav": "wav",
    "audio/vnd.wave": "wav",
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
    "audio/x-mpeg": "mp3",
    "audio/aac": "aac",
    "audio/aacp": "aac",
    "audio/x-aac": "aac",
    "audio/flac": "flac",
    "audio/x-flac": "flac",
    "audio/opus": "opus",
    "audio/ogg": "opus",
    "application/ogg": "opus",
}
_KINDS |= dict.fromkeys(RAW_TYPES, "pcm")
_UNSPECIFIC = ("", "application/octet-stream", "binary/octet-stream", "audio/*", "*/*")


class SoundStream(Protocol):
    """Bytes in, samples out: float32 mono, shape ``(n,)``, ``n`` maybe 0.

    Both methods raise an `voicebench.errors.EngineError` where the bytes are no such sound.
    """

    @property
    def sample_rate(self) -> int | None:
        """The rate in Hz, None as long as it is not known."""
        ...

    def feed(self, data: bytes) -> NDArray[np.float32]:
        """Take the next bytes and return the samples that are whole by now."""
        ...

    def finish(self) -> NDArray[np.float32]:
        """Say that no byte follows, and return the last samples."""
        ...


@dataclass(frozen=True, slots=True)
class SoundFormat:
    """What the settings say of a server's sound; None and ``auto`` leave it to the answer."""

    kind: SoundKind | Literal["auto"] = "auto"
    encoding: PcmEncoding | None = None
    sample_rate: int | None = None
    channels: int | None = None

    def __post_init__(self) -> None:
        """Raise `UsageError` for what no sound can be."""
        if self.sample_rate is not None and self.sample_rate not in SAMPLE_RATES:
            raise UsageError(
                f"sample rate {self.sample_rate} Hz is out of range",
                f"use {SAMPLE_RATES[0]} to {SAMPLE_RATES[-1]}",
            )
        if self.channels is not None and not 1 <= self.channels <= MAX_CHANNELS:
            raise UsageError(f"{self.channels} channels", f"use 1 to {MAX_CHANNELS}")


def open_sound(
    declared: SoundFormat,
    content_type: str = "",
    parameters: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    asked: SoundKind | None = None,
) -> SoundStream:
    """Return the stream for an answer of this content type (lower case) and head.

    ``asked`` is the format that the request asked for. Raises `RemoteError` where nothing says
    what the sound is.
    """
    kind: SoundKind | None = None if declared.kind == "auto" else declared.kind
    if kind is None:
        if content_type in _KINDS:
            kind = _KINDS[content_type]
        elif content_type in _UNSPECIFIC:
            kind = asked
        else:
            raise RemoteError(
                f"answers {content_type}, which is no sound that can be decoded here",
                "ask the server for wav, pcm, mp3, flac or opus",
                fault="protocol",
            )
    # What is wrong with raw PCM is said at once, whatever comes.
    pcm = None
    if kind == "pcm":
        raw = describe_raw(declared, content_type, parameters or {}, headers or {})
        pcm = PcmStream(raw.encoding, raw.sample_rate, raw.channels)
    return Marked(kind, declared.sample_rate, pcm)


def may_be_sound(content_type: str) -> bool:
    """Whether what is called so can be sound without a container's mark to prove it."""
    named = content_type in _KINDS or content_type in _UNSPECIFIC
    return named or content_type.startswith("audio/")


class Marked:
    """A stream that looks at the first bytes: a container's mark goes before what was said of it.

    ``kind`` is what was said; ``pcm`` the stream of it where that is raw. ``sample_rate`` is the
    one that the settings name: a container that has another contradicts them.
    """

    def __init__(
        self, kind: SoundKind | None, sample_rate: int | None, pcm: PcmStream | None
    ) -> None:
        self._kind = kind
        self._expected = sample_rate
        self._pcm = pcm
        self._head = b""
        self._stream: SoundStream | None = None

    @property
    def sample_rate(self) -> int | None:
        """The rate in Hz, None as long as it is not known."""
        return None if self._stream is None else self._stream.sample_rate

    def feed(self, data: bytes) -> NDArray[np.float32]:
        """Take the next bytes and return the samples that are whole by now."""
        if self._stream is None:
            self._head += data
            kind = self._kind_by_marks()
            if kind == "too early":
                return np.zeros(0, dtype=np.float32)
            data, self._head = self._head, b""
            self._stream = self._stream_of(kind)
        samples = self._stream.feed(data)
        self._check_rate(self._stream.sample_rate)
        return samples

    def finish(self) -> NDArray[np.float32]:
        """Say that no byte follows, and return the last samples."""
        if self._stream is None:
            self._stream = self._stream_of(self._kind)
        samples = np.concatenate([self._stream.feed(self._head), self._stream.finish()])
        self._head = b""
        self._check_rate(self._stream.sample_rate)
        return samples

    def _kind_by_marks(self) -> SoundKind | Literal["too early"] | None:
        """Return what the first bytes are, else what was said. Raises `RemoteError`.

        Only what may be frames, which few samples look like, is held back until a second one tells.
        """
        head = self._head
        if len(head) < MARK_BYTES or (head[:3] == bytes(3) and 8 < head[3] < 64 and len(head) < 8):
            return "too early"
        foreign = undecodable(head)
        if foreign is not None:
            raise RemoteError(
                f"sends {foreign}, which cannot be decoded here",
                "ask the server for wav, pcm, mp3, flac or opus",
                fault="protocol",
            )
        marked = marked_kind(head)
        if marked is not None or self._kind in ("mp3", "aac"):
            return marked or self._kind
        return framed_kind(head) or self._kind

    def _stream_of(self, kind: SoundKind | None) -> SoundStream:
        if kind is None:
            raise RemoteError(
                "sends sound of which nothing says the format",
                "set the format and the sample rate",
                fault="audio",
            )
        if kind == "opus":
            self._expected = None  # Decoded at 48 kHz, whatever was encoded.
        if kind == "pcm":
            assert self._pcm is not None
            return PcmUnlessText(self._pcm)
        return _decoder_of(kind)

    def _check_rate(self, rate: int | None) -> None:
        if self._expected is not None and rate not in (None, self._expected):
            raise RemoteError(
                f"the sample rate is contradictory: the settings: {self._expected}, "
                f"the sound's own header: {rate}",
                "correct the sample rate in the settings, or leave it out",
                fault="audio",
            )


def load_decoder(*kinds: SoundKind | Literal["auto"] | None) -> None:
    """Load what decodes ``kinds`` now, so that no turn waits for it."""
    if not set(kinds) <= {None, "auto", "pcm", "wav"}:
        import voicebench.remote.sound.compressed  # noqa: F401


def _decoder_of(kind: SoundKind) -> SoundStream:
    if kind == "wav":
        return WavStream()
    # FFmpeg is loaded only where something has to be decoded.
    from voicebench.remote.sound import compressed

    streams: dict[SoundKind, type[SoundStream]] = {
        "mp3": compressed.Mp3Stream,
        "aac": compressed.AacStream,
        "flac": compressed.FlacStream,
        "opus": compressed.OggOpusStream,
    }
    return streams[kind]()
