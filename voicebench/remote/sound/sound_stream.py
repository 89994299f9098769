"""The bytes of an answer become samples: choose the decoder by the first bytes, then feed it.

What the head of the answer says is in `voicebench.remote.sound.sound_format`. The first bytes can
correct it:

- a container's signature (``RIFF``, ``OggS``, ``fLaC``, ``ID3``), or frames of MP3 or AAC, show the
  real format, whatever the head said. So the header of a WAV that is labelled raw PCM is not heard
  as sound;
- text instead of raw PCM is an error.

Where nothing says the format, or the rate of raw PCM, that is an error too: a guessed rate would
make every duration wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

from voicebench.audio.encodings import SAMPLE_BYTES, PcmEncoding, decode_pcm
from voicebench.audio.pcm import mix_down
from voicebench.audio.wav import WavStream
from voicebench.remote.failure import RemoteError, sound_error
from voicebench.remote.sound.signatures import (
    SIGNATURE_BYTES,
    SoundKind,
    framed_kind,
    is_sound,
    kind_by_signature,
    undecodable_format,
)
from voicebench.remote.sound.sound_format import SoundFormat, describe_raw, expected_kind

if TYPE_CHECKING:
    from numpy.typing import NDArray


class SoundDecoder(Protocol):
    """Bytes in, samples out: float32 mono, shape ``(n,)``, ``n`` maybe 0.

    Both methods raise `voicebench.errors.EngineError` for bytes that cannot be decoded.
    """

    @property
    def sample_rate(self) -> int | None:
        """The rate in Hz, None as long as it is not known."""
        ...

    @property
    def is_compressed(self) -> bool:
        """Whether the bytes hold no samples: those have to be decoded."""
        ...

    def feed(self, data: bytes) -> NDArray[np.float32]:
        """Take the next bytes and return the samples that are whole by now."""
        ...

    def finish(self) -> NDArray[np.float32]:
        """End the stream and return the last samples."""
        ...


class PcmStream:
    """Raw samples: whole frames are returned as they arrive, mixed down to mono."""

    is_compressed = False

    def __init__(self, encoding: PcmEncoding, sample_rate: int, channels: int) -> None:
        self.sample_rate = sample_rate
        self._encoding = encoding
        self._channels = channels
        self._frame_bytes = SAMPLE_BYTES[encoding] * channels
        self._rest = b""

    @property
    def has_rest(self) -> bool:
        """Whether a sample has begun that is not whole yet."""
        return bool(self._rest)

    def feed(self, data: bytes) -> NDArray[np.float32]:
        """Take the next bytes and return the samples that are whole by now."""
        data = self._rest + data
        whole = len(data) - len(data) % self._frame_bytes
        self._rest = data[whole:]
        return mix_down(decode_pcm(data[:whole], self._encoding).reshape(-1, self._channels))

    def finish(self) -> NDArray[np.float32]:
        """End the stream. Raises `RemoteError` where a sample is cut."""
        if self._rest:
            raise sound_error("the sound ends in the middle of a sample")
        return np.zeros(0, dtype=np.float32)


class SoundStream:
    """A `SoundDecoder` for the body of an answer; it chooses the real decoder by the first bytes.

    ``declared``, ``content_type`` (lower case), ``parameters`` and ``headers`` (names in lower
    case) describe the answer; ``asked`` is the format that the request asked for. Raises
    `RemoteError` for a content type that cannot be decoded, and for raw PCM of unknown rate.
    """

    def __init__(
        self,
        declared: SoundFormat,
        content_type: str = "",
        parameters: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        asked: SoundKind | None = None,
    ) -> None:
        self._kind = expected_kind(declared, content_type, asked)
        self._expected_rate = declared.sample_rate
        self._pcm: PcmStream | None = None
        if self._kind == "pcm":
            # Checked now, so that an incomplete description fails whatever the bytes are.
            raw = describe_raw(declared, content_type, parameters or {}, headers or {})
            self._pcm = PcmStream(raw.encoding, raw.sample_rate, raw.channels)
        self._head = b""
        self._decoder: SoundDecoder | None = None

    @property
    def sample_rate(self) -> int | None:
        """The rate in Hz, None as long as it is not known."""
        return None if self._decoder is None else self._decoder.sample_rate

    @property
    def is_compressed(self) -> bool:
        """Whether the bytes hold no samples."""
        return self._decoder is not None and self._decoder.is_compressed

    def feed(self, data: bytes) -> NDArray[np.float32]:
        """Take the next bytes and return the samples that are whole by now."""
        if self._decoder is None:
            self._head += data
            kind = self._kind_of_head()
            if kind == "too early" or (kind == "pcm" and not is_sound(self._head, ended=False)):
                return np.zeros(0, dtype=np.float32)
            data = self._start(kind)
        assert self._decoder is not None
        samples = self._decoder.feed(data)
        self._check_rate()
        return samples

    def finish(self) -> NDArray[np.float32]:
        """End the stream and return the last samples."""
        parts = []
        if self._decoder is None:
            if self._kind == "pcm":
                is_sound(self._head, ended=True)
            head = self._start(self._kind)
            assert self._decoder is not None
            parts.append(self._decoder.feed(head))
        parts.append(self._decoder.finish())
        self._check_rate()
        return np.concatenate(parts)

    def _kind_of_head(self) -> SoundKind | Literal["too early"] | None:
        """Return the format by the first bytes, else as described. Raises `RemoteError`.

        Only few samples look like an MP3 or AAC frame. Those wait for a second frame.
        """
        head = self._head
        if len(head) < SIGNATURE_BYTES:
            return "too early"
        if head[:3] == bytes(3) and 8 < head[3] < 64 and len(head) < 8:
            return "too early"  # It may be an MP4.
        undecodable = undecodable_format(head)
        if undecodable is not None:
            raise RemoteError(
                f"sends {undecodable}, which cannot be decoded here",
                "ask the server for wav, pcm, mp3, flac or opus",
                fault="protocol",
            )
        by_signature = kind_by_signature(head)
        if by_signature is not None or self._kind in ("mp3", "aac"):
            return by_signature or self._kind
        return framed_kind(head) or self._kind

    def _start(self, kind: SoundKind | None) -> bytes:
        """Choose the decoder for ``kind`` and return the bytes that were held back for it."""
        if kind is None:
            raise sound_error(
                "sends sound, and nothing says the format", "set the format and the sample rate"
            )
        if kind == "opus":
            self._expected_rate = None  # Decoded at 48 kHz, at any rate of the encoder.
        self._decoder = self._pcm if kind == "pcm" else _decoder_of(kind)
        head, self._head = self._head, b""
        return head

    def _check_rate(self) -> None:
        if self._expected_rate is not None and self.sample_rate not in (None, self._expected_rate):
            raise sound_error(
                f"the sample rate is contradictory: the settings: {self._expected_rate}, "
                f"the sound's own header: {self.sample_rate}",
                "correct the sample rate in the settings, or leave it out",
            )


def load_decoder(*kinds: SoundKind | Literal["auto"] | None) -> None:
    """Load the decoder of ``kinds`` now, so that no turn waits for it."""
    if not set(kinds) <= {None, "auto", "pcm", "wav"}:
        import voicebench.remote.sound.compressed  # noqa: F401


def _decoder_of(kind: SoundKind) -> SoundDecoder:
    if kind == "wav":
        return WavStream()
    # FFmpeg is loaded only for compressed sound.
    from voicebench.remote.sound import compressed

    decoders: dict[SoundKind, type[SoundDecoder]] = {
        "mp3": compressed.Mp3Stream,
        "aac": compressed.AacStream,
        "flac": compressed.FlacStream,
        "opus": compressed.OggOpusStream,
    }
    return decoders[kind]()
