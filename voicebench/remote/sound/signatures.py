"""File signatures: the first bytes by which a sound's format is recognised.

Containers begin with fixed bytes. MP3 and AAC often come without a container, frame after frame. A
frame's header is recognised by its sync code, and by a second such header where this frame ends.
Two headers in the right places occur in about one of a thousand million random beginnings.

Raw PCM has no signature. A server that answers 200 with an error page, and labels it ``audio/pcm``
or not at all, would be heard as noise, and its turn would count as a success. Text has no control
characters and is valid UTF-8. Speech as 16-bit or float samples breaks one of the two within a few
bytes.
"""

from __future__ import annotations

import codecs
from typing import Literal

from voicebench.remote.failure import RemoteError, message_in
from voicebench.remote.sound.framing import mp3_frame_bytes

SoundKind = Literal["pcm", "wav", "mp3", "aac", "flac", "opus"]

SIGNATURE_BYTES = 4
"""Bytes that tell a container from raw samples and from text."""
_SIGNATURES: dict[bytes, SoundKind] = {b"RIFF": "wav", b"OggS": "opus", b"fLaC": "flac"}
_UNDECODABLE = {
    b"RIFX": "a big-endian WAV (RIFX)",
    b"RF64": "an RF64 file",
    b"FORM": "AIFF",
    b".snd": "an AU file",
    b"caff": "a CAF file",
    b"#!AM": "AMR",
    b"\x1a\x45\xdf\xa3": "WebM or Matroska",
    b"\x30\x26\xb2\x75": "WMA",
    b"\x1f\x8b\x08\x00": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"%PDF": "PDF",
}
_ADTS_HEADER_BYTES = 7
_MAX_ADTS_FRAME_BYTES = 8191
TEXT_BYTES = 64
"""This many bytes that all read as text are text."""
_LEAST_TEXT_BYTES = 4
"""A body that ends earlier than `TEXT_BYTES` is text from this length on."""
_PAGES = (b"<!do", b"<htm", b"<?xm")
"""How a page begins, in any encoding."""
_NOT_IN_TEXT = bytes({*range(32), 127} - {*b"\t\n\r"})


def kind_by_signature(head: bytes) -> SoundKind | None:
    """Return the format whose signature ``head`` begins with, None for no signature."""
    return "mp3" if head[:3] == b"ID3" else _SIGNATURES.get(head[:SIGNATURE_BYTES])


def undecodable_format(head: bytes) -> str | None:
    """Return the name of a format that begins with ``head`` and cannot be decoded; None: other."""
    if head[4:8] == b"ftyp" and not any(head[:3]):
        return "MP4"
    return _UNDECODABLE.get(head[:SIGNATURE_BYTES])


def framed_kind(head: bytes) -> SoundKind | Literal["too early"] | None:
    """Tell whether ``head`` begins with frames of MP3 or AAC; "too early": needs more bytes."""
    kinds: tuple[SoundKind, SoundKind] = ("mp3", "aac")
    for kind in kinds:
        frame_bytes = mp3_frame_bytes if kind == "mp3" else _adts_frame_bytes
        header_bytes = SIGNATURE_BYTES if kind == "mp3" else _ADTS_HEADER_BYTES
        length = frame_bytes(head)
        if length is None:
            if len(head) < header_bytes and head[:1] == b"\xff" and _has_adts_sync(head):
                return "too early"
            continue
        second = head[length : length + header_bytes]
        if len(second) < header_bytes:
            return "too early"
        # Version, layer and sample rate are the same in all frames of a stream.
        rate_bits = 0x0C if kind == "mp3" else 0x3C
        is_alike = (head[1] ^ second[1]) & 0xFE == 0 and (head[2] ^ second[2]) & rate_bits == 0
        if frame_bytes(second) is not None and is_alike:
            return kind
    return None


def _has_adts_sync(head: bytes) -> bool:
    return len(head) < 2 or head[1] & 0xF6 == 0xF0


def _adts_frame_bytes(head: bytes) -> int | None:
    """Return the length of the ADTS frame (ISO 13818-7) at ``head``, None where there is none."""
    if len(head) < _ADTS_HEADER_BYTES or head[0] != 0xFF or not _has_adts_sync(head):
        return None
    if head[2] >> 2 & 15 > 12:
        return None
    length = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
    return length if _ADTS_HEADER_BYTES < length <= _MAX_ADTS_FRAME_BYTES else None


def is_sound(head: bytes, *, ended: bool) -> bool | None:
    """Tell whether a body that begins with ``head`` can be samples; None: too few bytes to say.

    ``ended`` says that no further byte follows. Raises `RemoteError` for text, and quotes it.
    """
    is_text = head[:4].lower() in _PAGES
    if not is_text and not _may_be_text(head[:TEXT_BYTES]):
        return True
    if is_text or len(head) >= (_LEAST_TEXT_BYTES if ended else TEXT_BYTES):
        raise RemoteError(
            f"sends text instead of sound: {message_in(head.decode('utf-8', 'replace'))}",
            "check the URL's path, and what the server logs",
            fault="protocol",
        )
    return True if ended else None


def _may_be_text(head: bytes) -> bool:
    """Tell whether ``head`` can be the beginning of a text, cut within a letter at most."""
    if len(head.translate(None, _NOT_IN_TEXT)) < len(head):
        return False
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return True
