"""Raw speech in the reader: how samples are stored, is a piece audible, when did it arrive."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache

from voicebench.audio.encodings import SAMPLE_BYTES, decode_pcm
from voicebench.audio.pcm import AudibleRule, first_audible_sample, mix_down
from voicebench.errors import EngineError
from voicebench.load.reading.http_framing import AnswerHead
from voicebench.load.reading.read_log import ReadLog
from voicebench.remote.connection.answer import media_type_in
from voicebench.remote.sound.sound_format import RawSound, SoundFormat, describe_raw, may_be_sound
from voicebench.turn.playback import Arrival


@lru_cache(maxsize=256)
def raw_sound(head: AnswerHead, declared: SoundFormat) -> RawSound | None:
    """Return how the samples of an answer are stored; None if it is not plain raw sound."""
    kind, parameters = media_type_in(head.field(b"content-type").decode("latin-1"))
    fields = {n.decode("latin-1").lower(): v.decode("latin-1") for n, v in head.headers}
    if not 200 <= head.status < 300 or head.status == 206 or not may_be_sound(kind):
        return None
    try:
        return describe_raw(replace(declared, kind="pcm"), kind, parameters, fields)
    except EngineError:
        return None


def frame_bytes(sound: RawSound) -> int:
    """Return the bytes of one sample of all channels."""
    return SAMPLE_BYTES[sound.encoding] * sound.channels


def is_audible(piece: memoryview, sound: RawSound, rule: AudibleRule) -> bool:
    """Return whether a piece of sound, that begins with a whole sample, is audible."""
    whole = len(piece) - len(piece) % frame_bytes(sound)
    pcm = decode_pcm(bytes(piece[:whole]), sound.encoding).reshape(-1, sound.channels)
    return first_audible_sample(mix_down(pcm), sound.sample_rate, rule) is not None


def sound_in(logs: Iterable[ReadLog], sound: RawSound) -> list[Arrival]:
    """Return when the speech in the logs arrived, and how much."""
    frame = frame_bytes(sound)
    return [
        Arrival(at_ns, size // frame)
        for log in logs
        for at_ns, size in zip(log.at_ns, log.sizes, strict=True)
    ]
