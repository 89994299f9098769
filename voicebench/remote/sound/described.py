"""What an answer's head says of raw samples: their encoding, rate and channels.

Nothing in raw PCM tells what it is, so each server says it in words of its own. Read are

- the content type: ``audio/L16`` and its like (RFC 2586, 3190, 3551: high byte first, 8 bits
  around 128), ``audio/basic`` (RFC 2046: µ-law, 8000 Hz, one channel), ``audio/PCMU`` and ``PCMA``
  (RFC 4856), and names of no standard (``audio/pcm_f32le``, ``audio/mulaw``);
- its parameters: ``rate``, ``channels``, ``bits``, ``encoding``, ``endianness`` and their other
  spellings, as in ``audio/lpcm; sample-rate=8000; sample-size-bits=16; channel-count=1;
  is-big-endian=false`` or ``audio/pcm;encoding=float;bits=32``;
- headers: ``X-Sample-Rate``, ``X-Audio-Channels``, ``X-Bit-Depth``, ``X-Sample-Width``,
  ``X-PCM-Format`` and their like.

Two that disagree are an error, and so is a width that can be two things: a guess would be noise.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar, get_args

from voicebench.audio.encodings import SAMPLE_BYTES, PcmEncoding
from voicebench.audio.pcm import SAMPLE_RATES
from voicebench.remote.failure import RemoteError

T = TypeVar("T", int, str)

MAX_CHANNELS = 8

RAW_TYPES: dict[str, PcmEncoding | None] = {
    "audio/pcm": None,
    "audio/x-pcm": None,
    "audio/lpcm": None,
    "audio/raw": None,
    "audio/x-raw": None,
    "audio/l8": "u8",
    "audio/l16": "s16be",
    "audio/x-l16": "s16be",
    "audio/l24": "s24be",
    "audio/basic": "mulaw",
    "audio/x-basic": "mulaw",
    "audio/pcmu": "mulaw",
    "audio/mulaw": "mulaw",
    "audio/x-mulaw": "mulaw",
    "audio/ulaw": "mulaw",
    "audio/g711-mulaw": "mulaw",
    "audio/pcma": "alaw",
    "audio/alaw": "alaw",
    "audio/x-alaw": "alaw",
    "audio/x-alaw-basic": "alaw",
    "audio/g711-alaw": "alaw",
} | {f"audio/pcm_{encoding}": encoding for encoding in get_args(PcmEncoding)}
"""Content types of raw samples, with the encoding that the name stands for where it does."""

_TELEPHONE = ("audio/basic", "audio/x-basic", "audio/pcmu", "audio/pcma")
"""Types whose rate is 8000 Hz where nothing else is said."""

_RATE = ("rate", "sample-rate", "samplerate", "sample_rate")
_CHANNELS = ("channels", "channel-count", "channel_count")
_BITS = ("bits", "bit-depth", "bitdepth", "sample-size-bits", "sample-bits", "bits-per-sample")
_ENCODING = ("encoding", "format", "codec", "codecs")
_ORDER = ("endianness", "endian", "byte-order")
_BIG = ("big-endian", "is-big-endian")
_IN_HEADERS = {
    "rate": ("x-sample-rate", "x-audio-sample-rate", "x-audio-rate", "sample-rate"),
    "channels": ("x-channels", "x-audio-channels", "x-channel-count", "x-num-channels"),
    "bits": (
        *("x-bits-per-sample", "x-bit-depth", "x-audio-bits-per-sample", "x-audio-bit-depth"),
        "x-sample-bits",
    ),
    "bytes": ("x-sample-width", "x-audio-sample-width"),
    "encoding": (
        "x-pcm-format",
        "x-audio-encoding",
        "x-encoding",
        "x-audio-codec",
        "x-codec",
        "x-audio-format",
    ),
    "order": ("x-audio-endian", "x-audio-endianness", "x-endian", "x-endianness"),
}
_WIDTHS = (8, 16, 24, 32, 64)

_KINDS = {
    "mulaw": ("mulaw", "ulaw", "mu-law", "u-law", "pcm_mulaw", "pcm_ulaw", "g711u", "g711_ulaw"),
    "alaw": ("alaw", "a-law", "pcm_alaw", "g711a", "g711_alaw"),
    "float": ("float", "float32", "float64", "f32", "f64", "ieee-float", "pcm_float"),
    "int": (
        *("int", "integer", "signed", "signed-int", "signed-integer", "int16", "int32", "s16"),
        *("s24", "s32", "pcm16", "pcm_16", "linear16", "l16", "pcm_signed"),
    ),
    "unsigned": ("unsigned", "unsigned-int", "unsigned-integer", "uint8"),
}
"""What kind of number a word for an encoding stands for; its digits are the width."""


class Declared(Protocol):
    """What the settings say; None leaves it to the answer."""

    @property
    def encoding(self) -> PcmEncoding | None: ...

    @property
    def sample_rate(self) -> int | None: ...

    @property
    def channels(self) -> int | None: ...


@dataclass(frozen=True, slots=True)
class RawSound:
    """How raw samples are stored."""

    encoding: PcmEncoding
    sample_rate: int
    channels: int


def describe_raw(
    declared: Declared,
    content_type: str,
    parameters: Mapping[str, str],
    headers: Mapping[str, str],
) -> RawSound:
    """Return what the settings and an answer's head say of its raw samples.

    The encoding of the settings goes before what the head says: many a server sends ``audio/L16``
    low byte first. Raises `RemoteError` for what is contradictory, impossible, or not said.
    """
    said = _Said(parameters, headers)
    rates = {"the settings": declared.sample_rate} | said.numbers(_RATE, "rate", SAMPLE_RATES)
    rate = _agreed("sample rate", rates)
    if rate is None and content_type in _TELEPHONE:
        rate = 8000
    if rate is None:
        raise RemoteError(
            "sends raw PCM and nothing says its sample rate",
            "set the sample rate, or ask for wav",
            fault="audio",
        )
    several = range(1, MAX_CHANNELS + 1)
    counts = {"the settings": declared.channels} | said.numbers(_CHANNELS, "channels", several)
    return RawSound(
        declared.encoding or _encoding_of(RAW_TYPES.get(content_type), said),
        rate,
        _agreed("number of channels", counts) or 1,
    )


class _Said:
    """The parameters and headers of an answer, and where each is from."""

    def __init__(self, parameters: Mapping[str, str], headers: Mapping[str, str]) -> None:
        self._parameters = parameters
        self._headers = headers

    def words(self, names: Iterable[str], header: str = "") -> dict[str, str]:
        """Return what is said under these names, in lower case, by its source."""
        found: dict[str, str] = {}
        for name in names:
            if name in self._parameters:
                source = f"the content type's {name}" if found else "the content type"
                found[source] = self._parameters[name]
        for name in _IN_HEADERS.get(header, ()):
            if name in self._headers:
                found[name] = self._headers[name]
        return {source: text.strip().lower() for source, text in found.items()}

    def numbers(self, names: Iterable[str], header: str, allowed: range) -> dict[str, int | None]:
        """Return the numbers that are said. Raises `RemoteError` for what is none."""
        return {
            source: _number(header if " " in source else source, text, allowed)
            for source, text in self.words(names, header).items()
        }


def _encoding_of(named: PcmEncoding | None, said: _Said) -> PcmEncoding:
    """Return the encoding that the content type's name, its parameters and the headers make."""
    kinds: dict[str, str | None] = {}
    widths: dict[str, int | None] = {}
    big: dict[str, int | None] = {}
    if named is not None:
        kinds["the content type's name"] = _kind_of(named)
        widths["the content type's name"] = 8 * SAMPLE_BYTES[named]
    for place, word in said.words(_ENCODING, "encoding").items():
        source = f"{place}, {word}"  # the same place may name width and order once more
        plain = word.removeprefix("pcm_").removeprefix("audio/")
        if plain in SAMPLE_BYTES:
            exact = plain
            kinds[source], widths[source] = _kind_of(exact), 8 * SAMPLE_BYTES[exact]
            if SAMPLE_BYTES[exact] > 1:
                big[source] = int(exact.endswith("be"))
            continue
        kinds[source] = next((kind for kind, words in _KINDS.items() if word in words), None)
        digits = re.search(r"(8|16|24|32|64)$", word)
        if kinds[source] is not None and digits:
            widths[source] = int(digits[1])
    bits = said.numbers(_BITS, "bits", range(1, 65))
    of_bytes = said.numbers((), "bytes", range(1, 9))
    widths |= bits | {source: count and 8 * count for source, count in of_bytes.items()}
    for source, word in said.words(_ORDER, "order").items():
        big[source] = int(word.startswith("big") or word == "be")
    for source, word in said.words(_BIG).items():
        big[source] = int(word in ("true", "1", "yes"))
    order = _agreed("byte order", big, {0: "low byte first", 1: "high byte first"})
    if order is None:
        order = int(named is not None and named.endswith("be"))
    return _encoding(_agreed("encoding", kinds), _agreed("width of a sample", widths), order)


def _encoding(kind: str | None, width: int | None, big: int) -> PcmEncoding:
    if kind in ("mulaw", "alaw"):
        return "mulaw" if kind == "mulaw" else "alaw"
    if width not in (None, *_WIDTHS):
        raise RemoteError(f"declares samples of {width} bits, which cannot be read", fault="audio")
    if kind is None and width in (8, 32, 64):
        can_be = "u8, s8, mulaw or alaw" if width == 8 else f"s{width}le or f{width}le"
        raise RemoteError(
            f"declares samples of {width} bits and not of which kind",
            f"set the encoding, one of {can_be}",
            fault="audio",
        )
    letter = {"float": "f", "unsigned": "u"}.get(kind or "", "s")
    width = width or (32 if kind == "float" else 8 if kind == "unsigned" else 16)
    name = f"{letter}{width}" if width == 8 else f"{letter}{width}{'be' if big else 'le'}"
    if name not in SAMPLE_BYTES:
        raise RemoteError(f"declares samples of {name}, which cannot be read", fault="audio")
    return name


def _kind_of(encoding: PcmEncoding) -> str:
    first = {"f": "float", "u": "unsigned", "s": "int"}
    return encoding if encoding in ("mulaw", "alaw") else first[encoding[0]]


def _agreed(
    what: str, said: Mapping[str, T | None], words: Mapping[T, str] | None = None
) -> T | None:
    """Return what all sources that speak say, None where none does. Raises `RemoteError`."""
    told = {source: value for source, value in said.items() if value is not None}
    if len(set(told.values())) > 1:
        listed = ", ".join(
            f"{source}: {words[value] if words else value}" for source, value in told.items()
        )
        raise RemoteError(f"the {what} is contradictory: {listed}", fault="audio")
    return next(iter(told.values()), None)


def _number(name: str, text: str, allowed: range) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 9 or int(text) not in allowed:
        raise RemoteError(f"declares {name}={text[:20]}, which is none", fault="audio")
    return int(text)
