"""How the samples of a WAV are stored: its ``fmt `` chunk, and how to decode samples by it.

Format: IBM and Microsoft, "Multimedia Programming Interface and Data Specifications 1.0", 1991;
Microsoft, "WAVEFORMATEXTENSIBLE". A *frame* is one sample of every channel. Integers of 8 bits are
unsigned around 128, wider ones signed; all are little-endian. Samples narrower than their container
(20 bits in 24, 24 in 32) are in its upper bits, so only the width of the container matters.

A header states the length of a frame three times: by channels and bits, by block align, and by
bytes per second. If they disagree, the bits win if one of the others agrees with them. Otherwise it
is an error: read at the wrong width, sound is noise or half as long.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from voicebench.audio.encodings import PcmEncoding, decode_pcm
from voicebench.audio.pcm import mix_down
from voicebench.errors import EngineError
from voicebench.events import Fault

if TYPE_CHECKING:
    from numpy.typing import NDArray

PCM_TAG, FLOAT_TAG, EXTENSIBLE_TAG = 1, 3, 0xFFFE
MAX_CHANNELS = 64
MAX_RATE = 768_000
_INT_BITS, _FLOAT_BITS = (8, 16, 24, 32), (32, 64)
_WIDE = 32
# The last 14 bytes of every KSDATAFORMAT_SUBTYPE GUID; the first two are the format tag.
_SUBTYPE_TAIL = bytes.fromhex("000000001000800000aa00389b71")
_OTHER_TAGS = {2: "ADPCM", 6: "A-law", 7: "µ-law", 0x11: "IMA ADPCM", 0x55: "MP3"}
_ENCODINGS: dict[tuple[str, int], PcmEncoding] = {
    ("int", 8): "u8",
    ("int", 16): "s16le",
    ("int", 24): "s24le",
    ("int", 32): "s32le",
    ("float", 32): "f32le",
    ("float", 64): "f64le",
}


class WavError(EngineError):
    """The bytes are not a WAV that can be decoded; the message says where and why."""

    fault: Fault = "audio"


@dataclass(frozen=True, slots=True)
class WavFormat:
    """How the samples of a WAV are stored."""

    encoding: Literal["int", "float"]
    bits: int
    """Bits of a stored sample, including the padding of a wider container."""
    channels: int
    sample_rate: int

    @property
    def frame_bytes(self) -> int:
        """Bytes of one sample of every channel."""
        return self.channels * self.bits // 8


def parse_format(body: bytes) -> WavFormat:
    """Read the body of a ``fmt `` chunk (at least 16 bytes). Raises `WavError`."""
    tag, channels, rate, bytes_per_s, frame_bytes, bits = struct.unpack("<HHIIHH", body[:16])
    if tag == EXTENSIBLE_TAG:
        subtype = body[24:40]
        if subtype[2:] != _SUBTYPE_TAIL:
            raise WavError(f"a WAV of the unknown subtype {subtype.hex()}")
        tag = int.from_bytes(subtype[:2], "little")
    if tag not in (PCM_TAG, FLOAT_TAG):
        name = _OTHER_TAGS.get(tag, "samples")
        raise WavError(f"a WAV of {name} (format {tag:#x})", "request PCM from the server")
    if not 1 <= channels <= MAX_CHANNELS:
        raise WavError(f"a WAV of {channels} channels; 1 to {MAX_CHANNELS} are supported")
    if not 1 <= rate <= MAX_RATE:
        raise WavError(f"a WAV of {rate} Hz; up to {MAX_RATE} are supported")
    kind, widths = ("integer", _INT_BITS) if tag == PCM_TAG else ("float", _FLOAT_BITS)
    stored = -(-bits // 8) * 8
    if 8 * frame_bytes == channels * _WIDE and 16 < bits < _WIDE:
        stored = _WIDE  # 20 or 24 bits in a container of 32
    if stored not in widths:
        raise WavError(f"a WAV of {bits}-bit {kind} samples in frames of {frame_bytes} bytes")
    due = channels * stored // 8
    if frame_bytes not in (0, due) and bytes_per_s != rate * due:
        raise WavError(
            f"a contradictory WAV: {bits}-bit {kind} samples of {channels} "
            f"channel{'s' * (channels > 1)} are frames of {due} bytes, its block align is "
            f"{frame_bytes}, and it has {bytes_per_s} bytes per second",
            "correct the header in the server, or request raw PCM",
        )
    return WavFormat("int" if tag == PCM_TAG else "float", stored, channels, rate)


def samples_of(raw: bytes, stored: WavFormat) -> NDArray[np.float32]:
    """Decode whole frames to mono float32, full scale ±1."""
    values = decode_pcm(raw, _ENCODINGS[stored.encoding, stored.bits])
    with np.errstate(all="ignore"):
        return mix_down(values.reshape(-1, stored.channels))
