"""Cut a compressed stream into packets while the bytes arrive.

A decoder needs whole packets. The parsers that come with decoders look far ahead to be sure
(FFmpeg's for FLAC takes ten frames, over a second of speech), which would count as the server's
delay. The classes here return a packet with its last byte.

- **Ogg** (RFC 3533): pages, each with a table of its packets' lengths. A packet may span several
  pages.
- **FLAC** (RFC 9639): frames without a length, each ended by a CRC-16 over all of it. A frame is
  complete where that checksum matches and the next frame's sync code follows. If no more bytes have
  come yet, the decoder has to agree: a checksum of 16 bits also matches by chance.
- **MP3** (ISO 11172-3, 13818-3): frames whose header gives their length, to detect a cut frame; and
  **ID3v2** (id3.org), the tag at the beginning of MP3 files, which is skipped by its length.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from voicebench.remote.failure import sound_error

MAX_PACKET_BYTES = 1 << 20
_OGG_HEADER_BYTES = 27
_OGG_CONTINUED = 0x01
_STREAMINFO_BYTES = 34
_MP3_KBITS = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_MP3_KBITS_LOW = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)


class OggPackets:
    """Takes the bytes of Ogg streams, one after the other, and returns their packets."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._packet = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take the next bytes and yield the packets that they complete."""
        self._buffer += data
        while (page := self._take_page()) is not None:
            yield from page

    def finish(self) -> None:
        """Raise `RemoteError` where the stream ends in the middle of a page or a packet."""
        if self._buffer or self._packet:
            raise sound_error("the Ogg stream ends in the middle of a page")

    def _take_page(self) -> list[bytes] | None:
        """Remove a page from the buffer and return the packets it ends; None: no whole page."""
        buffer = self._buffer
        if len(buffer) >= 4 and buffer[:4] != b"OggS":
            raise sound_error(f"no Ogg page where one is expected: {bytes(buffer[:4])!r}")
        if len(buffer) < _OGG_HEADER_BYTES or len(buffer) < _OGG_HEADER_BYTES + buffer[26]:
            return None
        body = _OGG_HEADER_BYTES + buffer[26]
        lacing = bytes(buffer[_OGG_HEADER_BYTES:body])
        if len(buffer) < body + sum(lacing):
            return None
        if not buffer[5] & _OGG_CONTINUED:
            self._packet.clear()
        packets = []
        for length in lacing:
            self._packet += buffer[body : body + length]
            body += length
            if len(self._packet) > MAX_PACKET_BYTES:
                raise sound_error("an Ogg packet without end")
            if length < 255:
                packets.append(bytes(self._packet))
                self._packet.clear()
        del buffer[:body]
        return packets


@dataclass(frozen=True, slots=True)
class FlacPacket:
    """A FLAC frame; or, with ``stream_info``, the 34 bytes that describe the frames after it."""

    data: bytes
    stream_info: bool = False


class FlacFrames:
    """Takes the bytes of FLAC streams, one after the other, and returns their frames.

    ``decodes`` tells whether bytes that look like a whole frame can be decoded.
    """

    def __init__(self, decodes: Callable[[bytes], bool]) -> None:
        self._decodes = decodes
        self._buffer = bytearray()
        self._in_metadata = True
        self._checked = 0
        self._crc = 0

    def feed(self, data: bytes) -> Iterator[FlacPacket]:
        """Take the next bytes and yield the packets that they complete."""
        self._buffer += data
        while True:
            packet = self._take_metadata() if self._in_metadata else self._take_frame()
            if packet is None:
                return
            if packet.data:
                yield packet

    def finish(self) -> None:
        """Raise `RemoteError` where the stream ends in the middle of a frame."""
        if self._buffer or self._in_metadata:
            raise sound_error("the FLAC stream ends in the middle of a frame")

    def _take_metadata(self) -> FlacPacket | None:
        """Remove a block of metadata; return an empty packet for one that is not needed."""
        buffer = self._buffer
        if buffer[:4] == b"fLaC":
            del buffer[:4]
        if len(buffer) < 4 or b"fLaC".startswith(bytes(buffer[:4])):
            return None
        kind, size = buffer[0] & 0x7F, int.from_bytes(buffer[1:4])
        if len(buffer) < 4 + size:
            if size > MAX_PACKET_BYTES:
                raise sound_error(f"a FLAC header of {size} bytes")
            return None
        body = bytes(buffer[4 : 4 + size])
        self._in_metadata = not buffer[0] & 0x80
        del buffer[: 4 + size]
        is_stream_info = kind == 0 and size == _STREAMINFO_BYTES
        return FlacPacket(body, stream_info=True) if is_stream_info else FlacPacket(b"")

    def _take_frame(self) -> FlacPacket | None:
        """Remove a whole frame; return an empty packet where a new stream begins."""
        buffer = self._buffer
        if len(buffer) < 4:
            return None
        if buffer[:4] == b"fLaC":
            self._in_metadata = True
            return FlacPacket(b"")
        if not _is_flac_sync(buffer, 0):
            raise sound_error(f"no FLAC frame where one is expected: {bytes(buffer[:4])!r}")
        crc, table = self._crc, _CRC16
        for at in range(self._checked, len(buffer)):
            crc = (crc << 8 & 0xFFFF) ^ table[crc >> 8 ^ buffer[at]]
            if crc == 0 and at > 8 and self._ends_frame(at + 1):
                frame = bytes(buffer[: at + 1])
                del buffer[: at + 1]
                self._checked = self._crc = 0
                return FlacPacket(frame)
        self._checked, self._crc = len(buffer), crc
        if len(buffer) > MAX_PACKET_BYTES:
            raise sound_error("a FLAC frame without end")
        return None

    def _ends_frame(self, end: int) -> bool:
        following = bytes(self._buffer[end : end + 4])
        if len(following) < 2:
            may_be_next = following in (b"", b"f", b"\xff")
            return may_be_next and self._decodes(bytes(self._buffer[:end]))
        return b"fLaC".startswith(following) or _is_flac_sync(self._buffer, end)


class Id3Skipper:
    """Takes the bytes of an MP3 stream and returns them without the tag at its beginning."""

    def __init__(self) -> None:
        self._head = b""
        self._left: int | None = None
        """Bytes of the tag that are still to come; None as long as they are not known."""

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes and return those after the tag."""
        if self._left is None:
            data = self._head + data
            if len(data) < 10 and b"ID3".startswith(data[:3]):
                self._head = data
                return b""
            self._left = _id3_bytes(data)
        skipped = min(self._left, len(data))
        self._left -= skipped
        return data[skipped:]


def mp3_frame_bytes(head: bytes) -> int | None:
    """Return the length of the MP3 (layer III) frame at ``head``, None where there is none.

    None also for the rare "free format", whose header has no length.
    """
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE6 != 0xE2:
        return None
    version, bitrate_code, rate_code = head[1] >> 3 & 3, head[2] >> 4, head[2] >> 2 & 3
    if version == 1 or bitrate_code in (0, 15) or rate_code == 3:
        return None
    is_mpeg1 = version == 3
    kbits = (_MP3_KBITS if is_mpeg1 else _MP3_KBITS_LOW)[bitrate_code]
    rate = (44100, 48000, 32000)[rate_code] >> {3: 0, 2: 1, 0: 2}[version]
    return (144_000 if is_mpeg1 else 72_000) * kbits // rate + (head[2] >> 1 & 1)


def _id3_bytes(head: bytes) -> int:
    """Return the length of the ID3v2 tag at ``head``, its header included; 0 for no tag."""
    if head[:3] != b"ID3":
        return 0
    size = 0
    for byte in head[6:10]:
        size = size << 7 | byte & 0x7F
    footer = 10 if head[5] & 0x10 else 0
    return 10 + size + footer


def _is_flac_sync(buffer: bytearray, at: int) -> bool:
    """Tell whether a FLAC frame's sync code (14 ones and a zero, a zero) is at ``at``."""
    return buffer[at] == 0xFF and buffer[at + 1] & 0xFE == 0xF8


def _crc16_table() -> tuple[int, ...]:
    """Return the table of FLAC's CRC-16: polynomial 0x8005, from 0, highest bit first."""
    table = []
    for byte in range(256):
        crc = byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x8005 if crc & 0x8000 else crc << 1) & 0xFFFF
        table.append(crc)
    return tuple(table)


_CRC16 = _crc16_table()
