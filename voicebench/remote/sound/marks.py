"""By which first bytes a sound's format is known, whatever it is called.

Containers begin with a mark of their own. MP3 and AAC often come without one, frame after frame:
a frame's head is known by its sync code, and by another such head where this frame ends. Two heads
in the right place come once in a thousand million random beginnings.
"""

from __future__ import annotations

from typing import Literal

from voicebench.remote.sound.framing import mp3_frame_bytes

SoundKind = Literal["pcm", "wav", "mp3", "aac", "flac", "opus"]

MARK_BYTES = 4
"""Bytes that tell a container from raw samples and from text."""
_MARKS: dict[bytes, SoundKind] = {b"RIFF": "wav", b"OggS": "opus", b"fLaC": "flac"}
_OTHERS = {
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
_ADTS_HEAD = 7
_MOST_FRAME_BYTES = 8191


def marked_kind(head: bytes) -> SoundKind | None:
    """Return what the first `MARK_BYTES` of a body mark it as, None where they are no mark."""
    return "mp3" if head[:3] == b"ID3" else _MARKS.get(head[:MARK_BYTES])


def undecodable(head: bytes) -> str | None:
    """Return the name of what begins with ``head`` and cannot be decoded here; None for others."""
    if head[4:8] == b"ftyp" and not any(head[:3]):
        return "MP4"
    return _OTHERS.get(head[:MARK_BYTES])


def framed_kind(head: bytes) -> SoundKind | Literal["too early"] | None:
    """Return whether ``head`` begins with frames of MP3 or AAC; "too early": more bytes tell."""
    for kind, length_of, least in (
        ("mp3", mp3_frame_bytes, MARK_BYTES),
        ("aac", _adts_frame_bytes, _ADTS_HEAD),
    ):
        length = length_of(head)
        if length is None:
            if least > len(head) and head[:1] == b"\xff" and _may_be_adts(head):
                return "too early"
            continue
        second = head[length : length + least]
        if len(second) < least:
            return "too early"
        if length_of(second) is not None and _alike(kind, head, second):
            return "mp3" if kind == "mp3" else "aac"
    return None


def _may_be_adts(head: bytes) -> bool:
    return len(head) < 2 or head[1] & 0xF6 == 0xF0


def _adts_frame_bytes(head: bytes) -> int | None:
    """Return the length of the ADTS frame that begins with ``head`` (ISO 13818-7), None if none."""
    if len(head) < _ADTS_HEAD or head[0] != 0xFF or not _may_be_adts(head):
        return None
    if head[2] >> 2 & 15 > 12:
        return None
    length = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
    return length if _ADTS_HEAD < length <= _MOST_FRAME_BYTES else None


def _alike(kind: str, first: bytes, second: bytes) -> bool:
    """Whether two heads are of one stream: version, layer and sample rate are the same."""
    rate = 0x0C if kind == "mp3" else 0x3C
    return first[1] & 0xFE == second[1] & 0xFE and first[2] & rate == second[2] & rate
