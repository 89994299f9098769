"""Read only the part of a turn's line that the figures of levels need.

A line is mostly tokens and text chunks. Without them and without the checks of everything else, it
is read in a third of the time. The metrics in `LIGHT_METRICS` are the same numbers as those of the
whole turn. `voicebench verify` reads whole lines.
"""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from voicebench.errors import ResultsError
from voicebench.figures.call_metrics import CALL_METRICS
from voicebench.results.codec import check_schema
from voicebench.turn.call_turn import CallTurn
from voicebench.turn.cut import Cut
from voicebench.turn.load_place import LoadPlace
from voicebench.turn.playback import Arrival
from voicebench.turn.timeline import Failure, Sound, Timeline
from voicebench.turn.typed_json import LARGEST, read_as

LIGHT_METRICS = frozenset(
    {
        "late_ms",
        "client_lag_ms",
        "setup_ms",
        "first_audio_ms",
        "first_audio_due_ms",
        "first_sound_ms",
        "first_sound_due_ms",
        "gapless_start_ms",
        "leading_silence_ms",
        "stall_count",
        "stall_ms",
        "longest_stall_ms",
        "worst_deficit_ms",
        "turn_ms",
        "audio_s",
        "stop_ms",
        "wasted_audio_s",
        "interrupting_first_audio_ms",
        *(metric.name for metric in CALL_METRICS),
    }
)
"""The metrics that need only the audio's arrivals, its sound, its call and its place."""


def decode_light(line: str | bytes, where: str) -> Timeline:
    """Read one line without its texts. Raises `ResultsError` naming ``where``."""
    try:
        stored = orjson.loads(line)
        if not isinstance(stored, dict):
            raise ValueError("it is not a JSON object")
        check_schema(stored, where)
        return _turn_of(stored)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise ResultsError(f"{where} is no turn of voicebench ({error})") from None


def _turn_of(stored: Mapping[str, object]) -> Timeline:
    audio: tuple[Arrival, ...] = read_as(tuple[Arrival, ...], stored["audio"])
    end_ns = _count(stored["end_ns"])
    stamps = [at_ns for at_ns, _ in audio]
    if stamps and (stamps[0] < 0 or stamps[-1] > end_ns or stamps != sorted(stamps)):
        raise ValueError("audio runs back in time")
    if any(samples < 1 for _, samples in audio):
        raise ValueError("audio has a piece without a sample")
    sound, failure, cut = stored["sound"], stored["failure"], stored.get("cut")
    return Timeline(
        turn=_count(stored["turn"]),
        phase="load",
        prompt="",
        started_at=str(stored["started_at"]),
        end_ns=end_ns,
        audio=audio,
        sound=None if sound is None else _sound(sound),
        failure=None if failure is None else read_as(Failure, failure),
        cut=None if cut is None else read_as(Cut, cut),
        call=None if stored.get("call") is None else read_as(CallTurn, stored["call"]),
        load=None if stored.get("load") is None else _place(stored["load"]),
    )


def _count(value: object) -> int:
    if type(value) is not int or not 0 <= value <= LARGEST:
        raise ValueError(f"{str(value)[:40]} is not a whole number")
    return value


def _sound(stored: object) -> Sound:
    """Return the sound without its spectrum."""
    if not isinstance(stored, dict):
        raise ValueError("sound is not an object")
    sound: Sound = read_as(Sound, {**stored, "hearing": None})
    if sound.sample_rate < 1:
        raise ValueError("sound has a sample rate of 0")
    return sound


def _place(stored: object) -> LoadPlace:
    place: LoadPlace = read_as(LoadPlace, stored)
    return place
