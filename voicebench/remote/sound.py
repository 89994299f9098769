"""Which sound an answer holds, and the stream that turns its bytes into samples.

Format and rate come from the container's header, from the content type, or from the settings, and
where none of them says, there is an error: a guessed rate makes every duration wrong. In
particular

- a content type that names a format is believed, unless the settings name one;
- a content type that names none (``application/octet-stream``, or nothing) leaves it to the format
  that was asked for, else to the container's own mark (``RIFF``, ``OggS``, ``fLaC``, ``ID3``);
- raw PCM needs a rate: from the content type's ``rate``, a header such as ``x-sample-rate``, or the
  settings; if two of them disagree, that is an error too. ``audio/L16`` is big-endian (RFC 2586)
  unless the settings name the encoding.
- What is called raw PCM and begins with a container's mark is what the mark says; its header is not
  sound.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

from voicebench.audio.pcm import mix_down
from voicebench.audio.wav import WavStream
from voicebench.errors import UsageError
from voicebench.remote.failure import RemoteError

if TYPE_CHECKING:
    from numpy.typing import NDArray

SoundKind = Literal["pcm", "wav", "mp3", "aac", "flac", "opus"]
PcmEncoding = Literal["s16le", "s16be", "f32le"]

RATES = range(4000, 192_001)
MARK_BYTES = 4
"""Bytes that tell a container from raw samples and from text."""
MAX_CHANNELS = 8
_KINDS: dict[str, SoundKind] = {
    "audio/wav": "wav",
    "audio/wave": "wav",
    "audio/x-wav": "wav",
    "audio/vnd.wave": "wav",
    "audio/pcm": "pcm",
    "audio/x-pcm": "pcm",
    "audio/raw": "pcm",
    "audio/x-raw": "pcm",
    "audio/l16": "pcm",
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
_RAW: dict[str, PcmEncoding] = {
    "audio/pcm_s16le": "s16le",
    "audio/pcm_s16be": "s16be",
    "audio/pcm_f32le": "f32le",
}
"""Names of no standard (FFmpeg's, after ``audio/``) that some servers use; they say it all."""
_KINDS |= dict.fromkeys(_RAW, "pcm")
_MARKS: dict[bytes, SoundKind] = {b"RIFF": "wav", b"OggS": "opus", b"fLaC": "flac"}
_UNSPECIFIC = ("", "application/octet-stream", "binary/octet-stream", "audio/*", "*/*")
_RATE_HEADERS = ("x-sample-rate", "x-audio-sample-rate", "sample-rate")
_ENCODINGS = {"s16le": "<i2", "s16be": ">i2", "f32le": "<f4"}


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
    channels: int = 1

    def __post_init__(self) -> None:
        """Raise `UsageError` for what no sound can be."""
        if self.sample_rate is not None and self.sample_rate not in RATES:
            raise UsageError(
                f"sample rate {self.sample_rate} Hz is none", f"use {RATES[0]} to {RATES[-1]}"
            )
        if not 1 <= self.channels <= MAX_CHANNELS:
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
    kind = declared.kind
    if kind == "auto":
        if content_type in _KINDS:
            kind = _KINDS[content_type]
        elif content_type in _UNSPECIFIC:
            return Marked(_otherwise(asked, declared, content_type, parameters, headers))
        else:
            raise RemoteError(
                f"answers {content_type}, which is no sound that can be decoded here",
                "ask the server for wav, pcm, mp3, flac or opus",
                fault="protocol",
            )
    return Marked(_otherwise(kind, declared, content_type, parameters, headers))


class PcmStream:
    """Raw samples: whole frames are given back as they come, mixed down to mono."""

    def __init__(self, encoding: PcmEncoding, sample_rate: int, channels: int) -> None:
        self.sample_rate = sample_rate
        self._dtype = np.dtype(_ENCODINGS[encoding])
        self._channels = channels
        self._rest = b""

    def feed(self, data: bytes) -> NDArray[np.float32]:
        """Take the next bytes and return the samples that are whole by now."""
        data = self._rest + data
        whole = len(data) - len(data) % (self._dtype.itemsize * self._channels)
        self._rest = data[whole:]
        stored = np.frombuffer(data[:whole], dtype=self._dtype).reshape(-1, self._channels)
        frames = stored.astype(np.float32)
        if self._dtype.kind == "i":
            frames /= np.float32(32768)
        return mix_down(frames)

    def finish(self) -> NDArray[np.float32]:
        """Say that no byte follows. Raises `RemoteError` where a sample is cut."""
        if self._rest:
            raise RemoteError("the sound ends in the middle of a sample", fault="audio")
        return np.zeros(0, dtype=np.float32)


class Marked:
    """A stream that looks at the first bytes: a container's mark goes before what was said of it.

    ``otherwise`` makes the stream of what bears no mark.
    """

    def __init__(self, otherwise: Callable[[], SoundStream]) -> None:
        self._otherwise = otherwise
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
            if len(self._head) < MARK_BYTES:
                return np.zeros(0, dtype=np.float32)
            data, self._head = self._head, b""
            self._stream = _stream_of_mark(data[:MARK_BYTES]) or self._otherwise()
        return self._stream.feed(data)

    def finish(self) -> NDArray[np.float32]:
        """Say that no byte follows, and return the last samples."""
        if self._stream is None:
            self._stream = self._otherwise()
        samples = self._stream.feed(self._head)
        self._head = b""
        return np.concatenate([samples, self._stream.finish()])


def marked_kind(head: bytes) -> SoundKind | None:
    """Return what the first `MARK_BYTES` of a body mark it as, None where they are no mark."""
    return "mp3" if head[:3] == b"ID3" else _MARKS.get(head)


def load_decoder(*kinds: SoundKind | Literal["auto"] | None) -> None:
    """Load what decodes ``kinds`` now, so that no turn waits for it."""
    if not set(kinds) <= {None, "auto", "pcm", "wav"}:
        import voicebench.remote.compressed  # noqa: F401


def _otherwise(
    kind: SoundKind | None,
    declared: SoundFormat,
    content_type: str,
    parameters: Mapping[str, str] | None,
    headers: Mapping[str, str] | None,
) -> Callable[[], SoundStream]:
    """Return what makes the stream of ``kind``; what is wrong with raw PCM is said at once."""
    if kind == "pcm":
        pcm = _open_pcm(declared, content_type, parameters or {}, headers or {})
        return lambda: pcm
    if kind is None:
        return _refuse_unmarked
    return lambda: _stream_of(kind)


def _open_pcm(
    declared: SoundFormat,
    content_type: str,
    parameters: Mapping[str, str],
    headers: Mapping[str, str],
) -> PcmStream:
    encoding = declared.encoding or _RAW.get(content_type)
    encoding = encoding or ("s16be" if content_type == "audio/l16" else "s16le")
    channels = _number("channels", parameters.get("channels"), range(1, MAX_CHANNELS + 1))
    return PcmStream(
        encoding, _pcm_rate(declared, parameters, headers), channels or declared.channels
    )


def _pcm_rate(
    declared: SoundFormat, parameters: Mapping[str, str], headers: Mapping[str, str]
) -> int:
    said = {
        "the settings": declared.sample_rate,
        "the content type": _number("rate", parameters.get("rate"), RATES),
    }
    said |= {name: _number(name, headers.get(name), RATES) for name in _RATE_HEADERS}
    rates = {source: rate for source, rate in said.items() if rate is not None}
    if not rates:
        raise RemoteError(
            "sends raw PCM and nothing says its sample rate",
            "set the sample rate, or ask for wav",
            fault="audio",
        )
    if len(set(rates.values())) > 1:
        told = ", ".join(f"{source}: {rate}" for source, rate in rates.items())
        raise RemoteError(f"the sample rate is contradictory: {told}", fault="audio")
    return next(iter(rates.values()))


def _number(name: str, text: str | None, allowed: range) -> int | None:
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 9 or int(text) not in allowed:
        raise RemoteError(f"declares {name}={text[:20]}, which is none", fault="audio")
    return int(text)


def _refuse_unmarked() -> SoundStream:
    raise RemoteError(
        "sends sound of which nothing says the format",
        "set the format and the sample rate",
        fault="audio",
    )


def _stream_of_mark(head: bytes) -> SoundStream | None:
    kind = marked_kind(head)
    return None if kind is None else _stream_of(kind)


def _stream_of(kind: SoundKind) -> SoundStream:
    if kind == "wav":
        return WavStream()
    # FFmpeg is loaded only where something has to be decoded.
    from voicebench.remote import compressed

    streams: dict[SoundKind, type[SoundStream]] = {
        "mp3": compressed.Mp3Stream,
        "aac": compressed.AacStream,
        "flac": compressed.FlacStream,
        "opus": compressed.OggOpusStream,
    }
    return streams[kind]()
