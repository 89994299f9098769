"""Compressed sound decoded as it streams: MP3, AAC (ADTS), FLAC and Opus in Ogg, by PyAV (FFmpeg).

Each stream takes bytes cut anywhere and returns the samples that can be decoded by then. FFmpeg's
container readers are not used: they fill their buffers first (1 KiB for MP3, a quarter of a second
at 32 kbit/s), and that wait would count as the server's.

An encoder may put silence before the speech (about 50 ms for MP3 and AAC). Simple players play it,
so it counts as audio, and as leading silence. Opus declares how much to skip, and the decoder does.
The silent frame with an MP3's table of contents is not sound and is skipped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import av
import av.error
import numpy as np

from voicebench.audio.pcm import mix_down
from voicebench.remote.failure import RemoteError, sound_error
from voicebench.remote.sound.framing import FlacFrames, Id3Skipper, OggPackets, mp3_frame_bytes

if TYPE_CHECKING:
    from av.audio.codeccontext import AudioCodecContext
    from av.audio.frame import AudioFrame
    from numpy.typing import NDArray

_MP3_TABLE_OF_CONTENTS = (b"Xing", b"Info")


class _Decoder:
    """An FFmpeg decoder, and the one rate of all that it decodes."""

    is_compressed = True

    def __init__(self, codec: str) -> None:
        self.sample_rate: int | None = None
        self._codec = codec
        self._decoder = self._new_decoder()

    def _new_decoder(self, extradata: bytes | None = None) -> AudioCodecContext:
        decoder: AudioCodecContext = av.CodecContext.create(self._codec, "r")  # type: ignore[assignment]
        if extradata is not None:
            decoder.extradata = extradata
        return decoder

    def _decode(self, packet: Any) -> Iterator[NDArray[np.float32]]:
        """Yield the samples of ``packet``; None: those that the decoder holds back."""
        if isinstance(packet, bytes):
            packet = av.Packet(packet)
        for frame in self._decoder.decode(packet):
            if self.sample_rate not in (None, frame.sample_rate):
                raise sound_error(
                    f"the sample rate changes from {self.sample_rate} to {frame.sample_rate} Hz "
                    "in mid-stream"
                )
            self.sample_rate = frame.sample_rate
            yield _mono(frame)

    def _decode_whole(self, packet: bytes | None) -> list[NDArray[np.float32]]:
        """Return the samples of ``packet``. Raises `RemoteError` where it is broken."""
        try:
            return list(self._decode(packet))
        except av.error.FFmpegError as error:
            raise sound_error(
                f"the compressed sound cannot be decoded ({error.strerror})"
            ) from None


class _ParsedStream(_Decoder):
    """Frames with their length in their header: FFmpeg's parser returns each with its last byte.

    A packet that cannot be decoded is skipped, as players do: a tag between two files on one
    connection results in such packets.
    """

    def feed(self, data: bytes) -> NDArray[np.float32]:
        """Take the next bytes and return the samples that are decoded by now."""
        return _joined(self._decode_valid(self._decoder.parse(data)))

    def finish(self) -> NDArray[np.float32]:
        """End the stream. Raises `RemoteError` where a frame is cut or none came."""
        parts: list[NDArray[np.float32]] = []
        for packet in self._decoder.parse(None):
            try:
                is_whole = self._is_whole(bytes(packet))
                parts += self._decode(packet)
            except av.error.InvalidDataError:
                is_whole = bytes(packet)[:1] != b"\xff"  # Not a frame, such as a closing tag.
            if not is_whole:
                raise sound_error("the compressed sound ends in the middle of a frame")
        parts += self._decode(None)
        if self.sample_rate is None:
            raise sound_error("nothing in the compressed sound could be decoded")
        return _joined(parts)

    def _is_whole(self, packet: bytes) -> bool:  # noqa: ARG002 (the decoder finds out)
        return True

    def _decode_valid(self, packets: Iterable[Any]) -> Iterator[NDArray[np.float32]]:
        for packet in packets:
            try:
                yield from self._decode(packet)
            except av.error.InvalidDataError:
                continue


class AacStream(_ParsedStream):
    """AAC in ADTS frames."""

    def __init__(self) -> None:
        super().__init__("aac")


class Mp3Stream(_ParsedStream):
    """MP3, with or without an ID3 tag."""

    def __init__(self) -> None:
        super().__init__("mp3float")
        self._tag = Id3Skipper()
        self._is_first = True

    def feed(self, data: bytes) -> NDArray[np.float32]:
        """Take the next bytes and return the samples that are decoded by now."""
        packets = self._decoder.parse(rest) if (rest := self._tag.feed(data)) else []
        if packets and self._is_first:
            self._is_first = False
            if any(mark in bytes(packets[0])[:64] for mark in _MP3_TABLE_OF_CONTENTS):
                packets = packets[1:]
        return _joined(self._decode_valid(packets))

    def _is_whole(self, packet: bytes) -> bool:
        # The decoder returns a whole frame's samples even for half a frame.
        return len(packet) >= (mp3_frame_bytes(packet) or 0)


class FlacStream(_Decoder):
    """FLAC."""

    def __init__(self) -> None:
        super().__init__("flac")
        self._frames = FlacFrames(self._decodes)

    def feed(self, data: bytes) -> NDArray[np.float32]:
        """Take the next bytes and return the samples that are decoded by now."""
        parts: list[NDArray[np.float32]] = []
        for packet in self._frames.feed(data):
            if packet.stream_info:
                self._decoder = self._new_decoder(packet.data)
            else:
                parts += self._decode_whole(packet.data)
        return _joined(parts)

    def finish(self) -> NDArray[np.float32]:
        """End the stream. Raises `RemoteError` where a frame is cut."""
        self._frames.finish()
        return _joined([])

    def _decodes(self, frame: bytes) -> bool:
        try:
            return bool(self._decode_whole(frame))
        except RemoteError:
            return False


class OggOpusStream(_Decoder):
    """Opus in Ogg (RFC 7845); always decoded at 48 kHz."""

    def __init__(self) -> None:
        super().__init__("opus")
        self._packets = OggPackets()
        self._tags_follow = False

    def feed(self, data: bytes) -> NDArray[np.float32]:
        """Take the next bytes and return the samples that are decoded by now."""
        parts: list[NDArray[np.float32]] = []
        for packet in self._packets.feed(data):
            if packet.startswith(b"OpusHead"):
                self._decoder = self._new_decoder(packet)
                self._tags_follow = True
            elif self._tags_follow:
                self._tags_follow = False
            elif self._decoder.extradata is None:
                raise sound_error(f"an Ogg stream that is not Opus: {packet[:8]!r}")
            else:
                parts += self._decode_whole(packet)
        return _joined(parts)

    def finish(self) -> NDArray[np.float32]:
        """End the stream. Raises `RemoteError` where a page is cut or none came."""
        self._packets.finish()
        if self.sample_rate is None:
            raise sound_error("the Ogg stream holds no sound")
        return _joined(self._decode_whole(None))


def _joined(parts: Iterable[NDArray[np.float32]]) -> NDArray[np.float32]:
    return np.concatenate([np.zeros(0, dtype=np.float32), *parts])


def _mono(frame: AudioFrame) -> NDArray[np.float32]:
    """Return the samples of ``frame``, mixed down to mono."""
    array = frame.to_ndarray()
    if not frame.format.is_planar:
        array = array.reshape(-1, frame.layout.nb_channels).T
    scaled = array.astype(np.float32)
    if array.dtype.kind == "i":
        scaled /= np.float32(1 << (8 * array.dtype.itemsize - 1))
    return mix_down(scaled.T)
