"""The sound format of an answer; for raw PCM the encoding, rate and channels.

The sources are the settings, the content type and, for raw PCM, further headers. Raw PCM does not
describe itself, and every server has its own way to do so:

- the content type: ``audio/L16`` and similar (RFC 2586, 3190, 3551: high byte first, 8 bits around
  128), ``audio/basic`` (RFC 2046: µ-law, 8000 Hz, one channel), ``audio/PCMU`` and ``PCMA`` (RFC
  4856), and non-standard names (``audio/pcm_f32le``, ``audio/mulaw``);
- its parameters: ``rate``, ``channels``, ``bits``, ``encoding``, ``endianness`` and other
  spellings, as in ``audio/lpcm; sample-rate=8000; sample-size-bits=16; channel-count=1;
  is-big-endian=false`` or ``audio/pcm;encoding=float;bits=32``;
- headers: ``X-Sample-Rate``, ``X-Audio-Channels``, ``X-Bit-Depth``, ``X-Sample-Width``,
  ``X-PCM-Format`` and similar, with or without ``X-`` and the word for sound, however they are
  hyphenated.

Two sources that disagree are an error. So is a sample width that fits two encodings: a wrong guess
would be noise.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeVar, get_args

from voicebench.audio.encodings import SAMPLE_BYTES, PcmEncoding
from voicebench.audio.pcm import SAMPLE_RATES
from voicebench.errors import UsageError
from voicebench.remote.failure import RemoteError, sound_error
from voicebench.remote.sound.signatures import SoundKind

T = TypeVar("T", int, str)

CHANNELS = range(1, 9)
"""How many channels raw PCM may have."""
_RAW_TYPES: dict[str, PcmEncoding | None] = {
    **dict.fromkeys(("audio/pcm", "audio/x-pcm", "audio/lpcm", "audio/raw", "audio/x-raw"), None),
    "audio/l8": "u8",
    **dict.fromkeys(("audio/l16", "audio/x-l16"), "s16be"),
    "audio/l24": "s24be",
    **dict.fromkeys(("audio/basic", "audio/x-basic", "audio/pcmu", "audio/mulaw"), "mulaw"),
    **dict.fromkeys(("audio/x-mulaw", "audio/ulaw", "audio/g711-mulaw"), "mulaw"),
    **dict.fromkeys(("audio/pcma", "audio/alaw", "audio/x-alaw", "audio/x-alaw-basic"), "alaw"),
    "audio/g711-alaw": "alaw",
    **{f"audio/pcm_{encoding}": encoding for encoding in get_args(PcmEncoding)},
}
"""Content types of raw samples, and the encoding that the name stands for, if any."""
_TELEPHONE_TYPES = ("audio/basic", "audio/x-basic", "audio/pcmu", "audio/pcma")
"""Types with 8000 Hz unless a rate is given."""
_KINDS: dict[str, SoundKind] = {
    **dict.fromkeys(("audio/wav", "audio/wave", "audio/x-wav", "audio/vnd.wave"), "wav"),
    **dict.fromkeys(("audio/mpeg", "audio/mp3", "audio/x-mpeg"), "mp3"),
    **dict.fromkeys(("audio/aac", "audio/aacp", "audio/x-aac"), "aac"),
    **dict.fromkeys(("audio/flac", "audio/x-flac"), "flac"),
    **dict.fromkeys(("audio/opus", "audio/ogg", "application/ogg"), "opus"),
    **dict.fromkeys(_RAW_TYPES, "pcm"),
}
_UNSPECIFIC = ("", "application/octet-stream", "binary/octet-stream", "audio/*", "*/*")

_NAMES: dict[str, tuple[str, ...]] = {
    "rate": ("rate", "samplerate", "samplingrate", "sampleratehertz", "sampleratehz"),
    "channels": ("channels", "channelcount", "numchannels", "numberofchannels", "nchannels"),
    "bits": ("bits", "bitdepth", "bitspersample", "samplebits", "samplesizebits"),
    "bytes": ("samplewidth", "bytespersample"),
    "encoding": ("encoding", "format", "codec", "codecs", "sampleformat", "sampletype", "dtype"),
    "order": ("endian", "endianness", "byteorder"),
    "big-endian": ("bigendian", "isbigendian"),
}
"""Names of each property, as `_plain` gives them."""
_ABOUT_SOUND = re.compile(r"(audio|pcm|tts|voice|sound|speech)[-_]")
_VAGUE = ("rate", "bits", "encoding", "format", "codec", "codecs")
"""Names that are about sound only in a content type, or if the header's name says so."""
_VAGUE_BUT_MARKED = ("bits", "encoding", "format", "codec", "codecs")
"""Those that are about sound in a header of the server's own (``X-``) too."""
_NUMBER_TYPES = {
    "mulaw": ("mulaw", "ulaw", "mu-law", "u-law", "pcm_mulaw", "pcm_ulaw", "g711u", "g711_ulaw"),
    "alaw": ("alaw", "a-law", "pcm_alaw", "g711a", "g711_alaw"),
    "float": ("float", "float32", "float64", "f32", "f64", "ieee-float", "pcm_float"),
    "int": (
        *("int", "integer", "signed", "signed-int", "signed-integer", "int16", "int32", "s16"),
        *("s24", "s32", "pcm16", "pcm_16", "linear16", "l16", "pcm_signed"),
    ),
    "unsigned": ("unsigned", "unsigned-int", "unsigned-integer", "uint8"),
}
"""The type of number that a name of an encoding stands for; digits at its end are the width."""
_WIDTHS = (8, 16, 24, 32, 64)


@dataclass(frozen=True, slots=True)
class SoundFormat:
    """The settings for a server's sound; None and ``auto`` leave it to the answer.

    Raises `UsageError` for a sample rate or a number of channels that is out of range.
    """

    kind: SoundKind | Literal["auto"] = "auto"
    encoding: PcmEncoding | None = None
    sample_rate: int | None = None
    channels: int | None = None

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.sample_rate is not None and self.sample_rate not in SAMPLE_RATES:
            raise UsageError(
                f"sample rate {self.sample_rate} Hz is out of range",
                f"use {SAMPLE_RATES[0]} to {SAMPLE_RATES[-1]}",
            )
        if self.channels is not None and self.channels not in CHANNELS:
            raise UsageError(
                f"{self.channels} channels are out of range", f"use 1 to {CHANNELS[-1]}"
            )


@dataclass(frozen=True, slots=True)
class RawSound:
    """How raw samples are stored; the rate is in Hz."""

    encoding: PcmEncoding
    sample_rate: int
    channels: int


def may_be_sound(content_type: str) -> bool:
    """Tell whether a body of this type can be sound without a container's signature as proof."""
    return content_type in (*_KINDS, *_UNSPECIFIC) or content_type.startswith("audio/")


def expected_kind(
    declared: SoundFormat, content_type: str, asked: SoundKind | None
) -> SoundKind | None:
    """Return the format by the settings, else the content type, else the request (``asked``).

    None where no source names one. Raises `RemoteError` for a type that cannot be decoded.
    """
    if declared.kind != "auto":
        return declared.kind
    if content_type in _UNSPECIFIC:
        return asked
    if content_type not in _KINDS:
        raise RemoteError(
            f"answers {content_type}, which cannot be decoded here",
            "ask the server for wav, pcm, mp3, flac or opus",
            fault="protocol",
        )
    return _KINDS[content_type]


def describe_raw(
    declared: SoundFormat,
    content_type: str,
    parameters: Mapping[str, str],
    headers: Mapping[str, str],
) -> RawSound:
    """Return how the raw samples of an answer are stored, by the settings and its head.

    The encoding in the settings has priority: many servers send ``audio/L16`` low byte first.
    Raises `RemoteError` where the sources contradict each other, or a value is impossible or
    missing.
    """
    head = _Head(parameters, headers)
    in_settings = "the settings"
    rates = {in_settings: declared.sample_rate} | head.numbers("rate", SAMPLE_RATES)
    rate = _agreed("sample rate", rates) or (8000 if content_type in _TELEPHONE_TYPES else None)
    if rate is None:
        raise sound_error(
            "sends raw PCM and nothing says its sample rate", "set the sample rate, or ask for wav"
        )
    channels = {in_settings: declared.channels} | head.numbers("channels", CHANNELS)
    return RawSound(
        declared.encoding or _encoding_in(_RAW_TYPES.get(content_type), head),
        rate,
        _agreed("number of channels", channels) or 1,
    )


@dataclass(frozen=True, slots=True)
class _Head:
    """The parameters of an answer's content type, and its headers."""

    parameters: Mapping[str, str]
    headers: Mapping[str, str]

    def words(self, name: str) -> dict[str, str]:
        """Return the values of a property, in lower case, by the source of each."""
        found: dict[str, str] = {}
        names = _NAMES[name]
        for spelling, value in self.parameters.items():
            if _plain(spelling) in names:
                source = f"the content type's {spelling}" if found else "the content type"
                found[source] = value
        found |= {
            header: value for header, value in self.headers.items() if _sound_name(header) in names
        }
        return {source: text.strip().lower() for source, text in found.items()}

    def numbers(self, name: str, allowed: range) -> dict[str, int | None]:
        """Return the values of a numeric property. Raises `RemoteError` for one out of range."""
        numbers: dict[str, int | None] = {}
        for source, text in self.words(name).items():
            is_number = text.isascii() and text.isdigit() and len(text) <= 9
            if not is_number or int(text) not in allowed:
                shown = name if source.startswith("the content type") else source
                raise sound_error(
                    f"declares {shown}={text[:20]}, not a number from {allowed[0]} to {allowed[-1]}"
                )
            numbers[source] = int(text)
        return numbers


def _plain(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")


def _sound_name(header: str) -> str:
    """Return the plain name of the property that a header gives, empty if it may be no sound's."""
    own = header.lower().removeprefix("x-")
    name = _ABOUT_SOUND.sub("", own)
    plain = _plain(name)
    if name != own or plain not in _VAGUE:
        return plain
    return plain if own != header.lower() and plain in _VAGUE_BUT_MARKED else ""


def _encoding_in(named: PcmEncoding | None, head: _Head) -> PcmEncoding:
    """Return the encoding by the content type's name (``named``), its parameters and headers."""
    types: dict[str, str | None] = {}
    widths: dict[str, int | None] = {}
    big: dict[str, int | None] = {}
    if named is not None:
        types["the content type's name"] = _number_type(named)
        widths["the content type's name"] = 8 * SAMPLE_BYTES[named]
    for place, word in head.words("encoding").items():
        source = f"{place}, {word}"  # The same place may give width and byte order again.
        exact = word.removeprefix("pcm_").removeprefix("audio/")
        if exact in SAMPLE_BYTES:
            types[source], widths[source] = _number_type(exact), 8 * SAMPLE_BYTES[exact]
            if SAMPLE_BYTES[exact] > 1:
                big[source] = int(exact.endswith("be"))
            continue
        types[source] = next((key for key, words in _NUMBER_TYPES.items() if word in words), None)
        digits = re.search(r"(8|16|24|32|64)$", word)
        if types[source] is not None and digits:
            widths[source] = int(digits[1])
    sizes = head.numbers("bytes", range(1, 9))
    widths |= head.numbers("bits", range(1, 65))
    widths |= {source: size and 8 * size for source, size in sizes.items()}
    for source, word in head.words("order").items():
        big[source] = int(word.startswith("big") or word == "be")
    for source, word in head.words("big-endian").items():
        big[source] = int(word in ("true", "1", "yes"))
    is_big = _agreed("byte order", big, {0: "low byte first", 1: "high byte first"})
    if is_big is None:
        is_big = int(named is not None and named.endswith("be"))
    return _encoding(_agreed("encoding", types), _agreed("width of a sample", widths), is_big)


def _encoding(number_type: str | None, width: int | None, is_big: int) -> PcmEncoding:
    if number_type in ("mulaw", "alaw"):
        return "mulaw" if number_type == "mulaw" else "alaw"
    if width not in (None, *_WIDTHS):
        raise sound_error(f"declares samples of {width} bits, which cannot be read")
    if number_type is None and width in (8, 32, 64):
        can_be = "u8, s8, mulaw or alaw" if width == 8 else f"s{width}le or f{width}le"
        raise sound_error(
            f"declares samples of {width} bits but not their encoding",
            f"set the encoding, one of {can_be}",
        )
    letter = {"float": "f", "unsigned": "u"}.get(number_type or "", "s")
    width = width or {"f": 32, "u": 8, "s": 16}[letter]
    name = f"{letter}{width}" if width == 8 else f"{letter}{width}{'be' if is_big else 'le'}"
    if name not in SAMPLE_BYTES:
        raise sound_error(f"declares samples of {name}, which cannot be read")
    return name


def _number_type(encoding: PcmEncoding) -> str:
    letters = {"f": "float", "u": "unsigned", "s": "int"}
    return encoding if encoding in ("mulaw", "alaw") else letters[encoding[0]]


def _agreed(
    what: str, values: Mapping[str, T | None], in_words: Mapping[T, str] | None = None
) -> T | None:
    """Return the value on which all sources agree, None where there is none.

    Raises `RemoteError` where two differ.
    """
    known = {source: value for source, value in values.items() if value is not None}
    if len(set(known.values())) > 1:
        listed = ", ".join(
            f"{source}: {in_words[value] if in_words else value}" for source, value in known.items()
        )
        raise sound_error(f"the {what} is contradictory: {listed}")
    return next(iter(known.values()), None)
