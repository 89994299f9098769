"""One sealed timeline as one line of JSON, and back.

The line is self-describing (``schema``) and compact: stamps are whole nanoseconds after the turn's
start, texts and audio are pairs ``[at_ns, text]`` and ``[at_ns, samples]``. Reading a line gives
the timeline that was written, field by field, so figures computed later are the same numbers.
Fields that came later (``machine``, the sound's ``seam_clicks``) may be missing, and are None then.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from dataclasses import fields as fields_of
from typing import cast, get_args

from voicebench.errors import ResultsError
from voicebench.events import Connected, Fault, Phase, Stage
from voicebench.playback import Arrival
from voicebench.timeline import Failure, MachineState, Sound, TimedText, Timeline

SCHEMA = 1
_MACHINE_FIELDS = tuple(field.name for field in fields_of(MachineState))


def encode_line(turn: Timeline) -> str:
    """Return ``turn`` as one line of JSON, without the line's end."""
    return json.dumps(
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
            "server_timings": list(turn.server_timings),
            "our_timings": list(turn.our_timings),
            "silence_trimmed_ms": turn.silence_trimmed_ms,
            "speaker_ns": turn.speaker_ns,
            "machine": turn.machine and asdict(turn.machine),
        },
        ensure_ascii=False,
        separators=(",", ":"),
    )


def decode_line(line: str, where: str) -> Timeline:
    """Read one line. Raises `ResultsError` naming ``where`` (file and line number)."""
    try:
        fields = json.loads(line)
        _check_schema(fields, where)
        return _decode(fields)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ResultsError(f"{where} is no turn of voicebench ({error})") from None


def _check_schema(fields: Mapping[str, object], where: str) -> None:
    schema = fields.get("schema")
    if schema != SCHEMA:
        raise ResultsError(
            f"{where} has schema {schema!r}, and this voicebench reads schema {SCHEMA}",
            "read it with the version of voicebench that wrote it",
        )


def _decode(fields: dict[str, object]) -> Timeline:
    return Timeline(
        turn=cast(int, fields["turn"]),
        phase=cast(Phase, _one_of(fields["phase"], get_args(Phase))),
        prompt=cast(str, fields["prompt"]),
        started_at=cast(str, fields["started_at"]),
        end_ns=int(cast(int, fields["end_ns"])),
        tokens=_decode_texts(fields["tokens"]),
        whole_reply=_decode_reply(fields["whole_reply"]),
        chunks=_decode_texts(fields["chunks"]),
        audio=tuple(Arrival(int(at), int(n)) for at, n in cast(list[list[int]], fields["audio"])),
        sound=_decode_sound(fields["sound"]),
        failure=_decode_failure(fields["failure"]),
        usage_tokens=cast("int | None", fields["usage_tokens"]),
        first_byte_ns=cast("int | None", fields["first_byte_ns"]),
        connections=tuple(
            Connected(float(connect_ms), bool(reused), int(number))
            for connect_ms, reused, number in cast(
                list[tuple[float, bool, int]], fields["connections"]
            )
        ),
        server_timings=tuple(cast(list[float], fields["server_timings"])),
        our_timings=tuple(cast(list[float], fields["our_timings"])),
        silence_trimmed_ms=cast("float | None", fields["silence_trimmed_ms"]),
        speaker_ns=cast("int | None", fields["speaker_ns"]),
        machine=_decode_machine(fields.get("machine")),
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
    }


def _decode_sound(fields: object) -> Sound | None:
    if fields is None:
        return None
    sound = Sound(**cast(dict[str, int], fields))
    if not isinstance(sound.sample_rate, int) or sound.sample_rate < 1:
        raise ValueError(f"a sample rate of {sound.sample_rate!r}")
    if not isinstance(sound.first_audible_sample, int | None):
        raise ValueError(f"an audible sample of {sound.first_audible_sample!r}")
    return sound


def _decode_machine(fields: object) -> MachineState | None:
    """Read what the machine did; a field that a later version adds is left out."""
    if fields is None:
        return None
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
        cast(Fault, _one_of(failure["fault"], get_args(Fault))),
        cast(Stage, _one_of(failure["stage"], get_args(Stage))),
    )


def _decode_texts(pairs: object) -> tuple[TimedText, ...]:
    return tuple(TimedText(int(at), str(text)) for at, text in cast(list[tuple[int, str]], pairs))


def _decode_reply(pair: object) -> TimedText | None:
    return None if pair is None else _decode_texts([pair])[0]


def _one_of(value: object, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise ValueError(f"{value!r} is none of {', '.join(allowed)}")
    return str(value)
