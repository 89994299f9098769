"""One sealed timeline as one line of JSON, and back.

The line is self-describing (``schema``) and compact: stamps are whole nanoseconds after the turn's
start, texts and audio are pairs ``[at_ns, text]`` and ``[at_ns, samples]``. Reading a line gives
the timeline that was written, field by field, so figures computed later are the same numbers.
Fields that came later may be missing: ``machine`` and the sound's ``seam_clicks`` and ``hearing``
are None then. Fields that most turns do not need (``remarks``, ``usage_with_hidden``,
``connected_in_turn``) are written only where they say something.

Lines are read by `orjson`, in half of the time that the standard library's reader takes: a file may
hold a hundred thousand. Only what orjson does not take (half a surrogate pair) is left to the
standard library.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from dataclasses import fields as fields_of
from functools import partial
from itertools import chain
from typing import Any, cast, get_args

import orjson

from voicebench.audio.hearing import Hearing
from voicebench.audio.misreading import FORMS
from voicebench.errors import ResultsError
from voicebench.events import Connected, Fault, Phase, RemarkKind, ServerTiming, Stage
from voicebench.quoting import as_json
from voicebench.results.strict_json import parse_json
from voicebench.results.turn_checks import check_turn
from voicebench.turn.playback import Arrival
from voicebench.turn.timeline import Failure, MachineState, Sound, TimedRemark, TimedText, Timeline

SCHEMA = 1
_PHASES, _FAULTS, _STAGES = get_args(Phase), get_args(Fault), get_args(Stage)
_MACHINE_FIELDS = tuple(field.name for field in fields_of(MachineState))
_HEARING_FIELDS = tuple(field.name for field in fields_of(Hearing))


def encode_line(turn: Timeline) -> str:
    """Return ``turn`` as one line of JSON, without the line's end."""
    return as_json(
        {
            "schema": SCHEMA,
            "turn": turn.turn,
            "phase": turn.phase,
            "prompt": turn.prompt,
            "started_at": turn.started_at,
            "end_ns": turn.end_ns,
            "tokens": [[token.at_ns, token.text] for token in turn.tokens],
            "whole_reply": turn.whole_reply and [turn.whole_reply.at_ns, turn.whole_reply.text],
            "chunks": [[chunk.at_ns, chunk.text] for chunk in turn.chunks],
            "audio": [[arrival.at_ns, arrival.samples] for arrival in turn.audio],
            "sound": _encode_sound(turn.sound),
            "failure": _encode_failure(turn.failure),
            "usage_tokens": turn.usage_tokens,
            "first_byte_ns": turn.first_byte_ns,
            "connections": [
                [made.connect_ms, made.reused, made.number] for made in turn.connections
            ],
            "server_timings": [
                [timing.duration_ms, timing.our_ms, timing.stage] for timing in turn.server_timings
            ],
            "silence_trimmed_ms": turn.silence_trimmed_ms,
            "speaker_ns": turn.speaker_ns,
            "machine": turn.machine and asdict(turn.machine),
        }
        | _encode_waits(turn)
        | _encode_remarks(turn)
    )


def decode_line(line: str | bytes, where: str) -> Timeline:
    """Read one line. Raises `ResultsError` naming ``where`` (file and line number)."""
    try:
        fields = _load(line)
        _check_schema(fields, where)
        turn = _decode(fields)
        check_turn(turn)
    except KeyError as error:
        raise ResultsError(
            f"{where} is no turn of voicebench (it has no {error.args[0]})"
        ) from None
    except _UNREADABLE as error:
        raise ResultsError(f"{where} is no turn of voicebench ({error})") from None
    return turn


_UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)


def _load(line: str | bytes) -> dict[str, object]:
    try:
        found: object = orjson.loads(line)
    except ValueError:
        found = parse_json(line)
    if not isinstance(found, dict):
        raise ValueError("it is no JSON object")
    return found


def _check_schema(fields: Mapping[str, object], where: str) -> None:
    schema = fields.get("schema")
    if type(schema) is not int or schema != SCHEMA:
        raise ResultsError(
            f"{where} has schema {str(schema)[:40]}, and this voicebench reads schema {SCHEMA}",
            "read it with the version of voicebench that wrote it",
        )


def _decode(fields: dict[str, object]) -> Timeline:
    return Timeline(
        turn=cast(int, fields["turn"]),
        phase=cast(Phase, _one_of(fields["phase"], _PHASES)),
        prompt=cast(str, fields["prompt"]),
        started_at=cast(str, fields["started_at"]),
        end_ns=cast(int, fields["end_ns"]),
        tokens=_decode_texts(fields["tokens"]),
        whole_reply=_decode_reply(fields["whole_reply"]),
        chunks=_decode_texts(fields["chunks"]),
        audio=_decode_audio(fields["audio"]),
        sound=_decode_sound(fields["sound"]),
        failure=_decode_failure(fields["failure"]),
        usage_tokens=cast("int | None", fields["usage_tokens"]),
        usage_with_hidden=cast(bool, fields.get("usage_with_hidden", False)),
        remarks=_decode_remarks(fields.get("remarks", [])),
        first_byte_ns=cast("int | None", fields["first_byte_ns"]),
        connections=_decode_connections(fields),
        server_timings=_decode_timings(fields),
        silence_trimmed_ms=cast("float | None", fields["silence_trimmed_ms"]),
        speaker_ns=cast("int | None", fields["speaker_ns"]),
        machine=_decode_machine(fields.get("machine")),
    )


def _decode_timings(fields: Mapping[str, object]) -> tuple[ServerTiming, ...]:
    """Return what the server said of itself.

    Lines of before have bare numbers: of the turn, or, where ours stand beside them, of requests of
    which nobody can tell any more which were the first. Those are left out.
    """
    entries: list[float | tuple[float, float | None, str]] = _list(fields["server_timings"])
    known = []
    for entry in entries:
        if not isinstance(entry, int | float):
            duration_ms, our_ms, stage = entry
            named = cast(Stage, _one_of(stage, _STAGES))
            known.append(ServerTiming(_number(duration_ms), our_ms, named))
        elif not fields.get("our_timings"):
            known.append(ServerTiming(float(entry)))
    return tuple(known)


def _encode_waits(turn: Timeline) -> dict[str, object]:
    """Return which of its connections the turn waited for; no field where it waited for none."""
    waits = [place for place, made in enumerate(turn.connections) if made.in_turn]
    return {"connected_in_turn": waits} if waits else {}


def _encode_remarks(turn: Timeline) -> dict[str, object]:
    """Return what was withheld or odd; no field where nothing was."""
    fields: dict[str, object] = {}
    if turn.remarks:
        fields["remarks"] = [[made.at_ns, made.kind, made.said] for made in turn.remarks]
    if turn.usage_with_hidden:
        fields["usage_with_hidden"] = True
    return fields


def _decode_remarks(entries: object) -> tuple[TimedRemark, ...]:
    stored: list[tuple[int, RemarkKind, str]] = _list(entries)
    return tuple(TimedRemark(at_ns, kind, said) for at_ns, kind, said in stored)


def _decode_connections(fields: Mapping[str, object]) -> tuple[Connected, ...]:
    waits: list[int] = _list(fields.get("connected_in_turn", []))
    _check_types(waits, int)
    stored: list[tuple[float, bool, int]] = _list(fields["connections"])
    return tuple(
        Connected(_number(connect_ms), reused, number, place in waits)
        for place, (connect_ms, reused, number) in enumerate(stored)
    )


def _encode_sound(sound: Sound | None) -> dict[str, object] | None:
    if sound is None:
        return None
    return {
        "sample_rate": sound.sample_rate,
        "first_audible_sample": sound.first_audible_sample,
        "peak": sound.peak,
        "rms": sound.rms,
        "clipped_samples": sound.clipped_samples,
        "seam_clicks": sound.seam_clicks,
        "hearing": sound.hearing and asdict(sound.hearing),
    }


def _decode_sound(fields: object) -> Sound | None:
    if fields is None:
        return None
    stored = cast(dict[str, object], fields)
    sound = Sound(**(stored | {"hearing": _decode_hearing(stored.get("hearing"))}))  # type: ignore[arg-type]
    if not sound.sample_rate:
        raise ValueError("a sample rate of 0")
    return sound


def _decode_hearing(fields: object) -> Hearing | None:
    """Read what was heard; a field that a later version adds is left out."""
    if fields is None:
        return None
    stored = cast(dict[str, object], fields)
    heard = Hearing(**{name: stored[name] for name in _HEARING_FIELDS if name in stored})  # type: ignore[arg-type]
    for figure in (heard.audible_s, heard.noise_s, heard.flatness_db or 0, heard.change_db or 0):
        if not isinstance(figure, int | float):
            raise ValueError(f"a figure of what was heard is {figure!r}")
    if heard.looks_like is not None:
        _one_of(heard.looks_like, FORMS)
    return heard


def _decode_machine(fields: object) -> MachineState | None:
    """Read what the machine did; a field that a later version adds is left out."""
    if fields is None:
        return None
    if not isinstance(fields, dict):
        raise ValueError("machine is no object")
    stored = cast(dict[str, float], fields)
    return MachineState(**{name: stored[name] for name in _MACHINE_FIELDS if name in stored})  # type: ignore[arg-type]


def _encode_failure(failure: Failure | None) -> dict[str, str] | None:
    if failure is None:
        return None
    return {"reason": failure.reason, "fault": failure.fault, "stage": failure.stage}


def _decode_failure(fields: object) -> Failure | None:
    if fields is None:
        return None
    failure = cast(dict[str, str], fields)
    return Failure(
        failure["reason"],
        cast(Fault, _one_of(failure["fault"], _FAULTS)),
        cast(Stage, _one_of(failure["stage"], _STAGES)),
    )


def _decode_texts(pairs: object) -> tuple[TimedText, ...]:
    found = tuple(map(_new_text, cast(list[list[object]], pairs)))
    _check_pairs(found)
    _check_types([at_ns for at_ns, _ in found], int)
    _check_types([text for _, text in found], str)
    return found


def _decode_audio(pairs: object) -> tuple[Arrival, ...]:
    found = tuple(map(_new_arrival, cast(list[list[object]], pairs)))
    _check_pairs(found)
    _check_types(chain.from_iterable(found), int)
    return found


# A turn has a hundred of these: they are made, and checked, without a Python call for each.
_new_text: Callable[[list[object]], TimedText] = partial(tuple.__new__, TimedText)
_new_arrival: Callable[[list[object]], Arrival] = partial(tuple.__new__, Arrival)


def _check_pairs(found: Iterable[tuple[object, ...]]) -> None:
    if not set(map(len, found)) <= {2}:
        raise ValueError("an event is a pair")


def _check_types(values: Iterable[object], wanted: type) -> None:
    """Raise `ValueError` unless all are of one type; a call for each value would take twice."""
    for found in set(map(type, values)):
        if found is not wanted:
            raise ValueError(f"a value of type {found.__name__}, not {wanted.__name__}")


def _decode_reply(pair: object) -> TimedText | None:
    return None if pair is None else _decode_texts([pair])[0]


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"a list of type {type(value).__name__}")
    return value


def _number(value: object) -> float:
    if type(value) not in (int, float):
        raise ValueError(f"a number of type {type(value).__name__}")
    return float(cast(float, value))


def _one_of(value: object, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise ValueError(f"{value!r} is none of {', '.join(allowed)}")
    return str(value)
