"""One sealed timeline as one line of JSON, and back.

The line is self-describing (``schema``) and compact: stamps are whole nanoseconds after the turn's
start, texts and audio are pairs ``[at_ns, text]`` and ``[at_ns, samples]``. Reading a line gives
the timeline that was written, field by field, so figures computed later are the same numbers.
The fields in `LATER` came with later versions and may be missing. Those in `SPARSE` are written
only where they differ from their default.

Lines are read by `orjson`, in half the time of the standard library: a file may hold a hundred
thousand. Half a surrogate pair, which orjson rejects, is left to the standard library.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple, fields, is_dataclass
from datetime import datetime

import orjson

from voicebench.errors import ResultsError
from voicebench.quoting import as_json
from voicebench.results.strict_json import parse_json
from voicebench.turn.timeline import Timeline
from voicebench.turn.typed_json import LARGEST, read_as

SCHEMA = 1
OF_CONVERSATIONS = ("conversation", "conversation_turn", "prompt_tokens", "cached_tokens")
SPARSE = (
    "remarks",
    "usage_with_hidden",
    "connected_in_turn",
    "load",
    "cut",
    "call",
    *OF_CONVERSATIONS,
)
LATER = (*SPARSE, "machine")
_FIELDS = tuple(field.name for field in fields(Timeline))


def encode_line(turn: Timeline) -> str:
    """Return ``turn`` as one line of JSON, without the line's end."""
    made = turn.connections
    line: dict[str, object] = {name: getattr(turn, name) for name in _FIELDS}
    for name in ("sound", "failure", "machine", "load", "cut", "call"):
        line[name] = _plain(line[name])
    line |= {
        "remarks": [astuple(remark) for remark in turn.remarks],
        "connections": [[one.connect_ms, one.reused, one.number] for one in made],
        "server_timings": [astuple(timing) for timing in turn.server_timings],
        "connected_in_turn": [place for place, one in enumerate(made) if one.in_turn],
    }
    written = {
        name: value
        for name, value in line.items()
        # No token is a count, and not the same as a count that nobody gave.
        if value or name not in SPARSE or (name in OF_CONVERSATIONS and value is not None)
    }
    return as_json({"schema": SCHEMA, **written})


def _plain(value: object) -> object:
    """Return a dataclass of plain values as a dict; four times as fast as `dataclasses.asdict`."""
    if not is_dataclass(value) or isinstance(value, type):
        return value
    return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}


def decode_line(line: str | bytes, where: str) -> Timeline:
    """Read one line. Raises `ResultsError` naming ``where`` (file and line number)."""
    try:
        stored = _load(line)
        check_schema(stored, where)
        turn: Timeline = read_as(Timeline, _in_todays_form(stored))
        _check_turn(turn)
    except UnicodeDecodeError:
        raise ResultsError(f"{where} is not UTF-8 text") from None
    except _UNREADABLE as error:
        raise ResultsError(f"{where} is no turn of voicebench ({error})") from None
    return turn


_UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)


def _load(line: str | bytes) -> dict[str, object]:
    try:
        found: object = orjson.loads(line)
    except ValueError:
        found = parse_json(line if isinstance(line, str) else line.decode("utf-8"))
    if not isinstance(found, dict):
        raise ValueError("it is not a JSON object")
    return found


def check_schema(document: Mapping[str, object], where: str) -> None:
    """Raise `ResultsError` for a document of another version's schema."""
    schema = document.get("schema")
    if type(schema) is not int or schema != SCHEMA:
        raise ResultsError(
            f"{where} has schema {str(schema)[:40]}, and this voicebench reads schema {SCHEMA}",
            "read it with the version of voicebench that wrote it",
        )


def _in_todays_form(stored: dict[str, object]) -> dict[str, object]:
    """Return the fields as `Timeline` names them. Raises `ValueError` for one that is missing."""
    for name in _FIELDS:
        if name not in stored and name not in LATER:
            raise ValueError(f"it has no {name}")
    waits = read_as(tuple[int, ...], stored.get("connected_in_turn", []))
    connections = _list_in(stored, "connections")
    return stored | {
        "connections": [[*made, place in waits, 0] for place, made in enumerate(connections)],
        "server_timings": [
            [timing, None, "turn"] if isinstance(timing, int | float) else timing
            for timing in _list_in(stored, "server_timings")
            # Older lines have bare numbers. Where `our_timings` lies beside them they are of
            # several requests, and it is unknown which of them came first.
            if not (isinstance(timing, int | float) and stored.get("our_timings"))
        ],
    }


def _list_in(stored: Mapping[str, object], name: str) -> list[list[object]]:
    value = stored[name]
    if not isinstance(value, list):
        raise ValueError(f"{name} is not a list")
    return value


def _check_turn(turn: Timeline) -> None:
    """Raise `ValueError` for values that no turn can have, although their types are right."""
    datetime.fromisoformat(turn.started_at)
    for name in ("tokens", "chunks"):
        texts = getattr(turn, name)
        _check_order(name, texts, turn.end_ns)
        _require(all(text for _, text in texts), f"{name} have a piece without text")
    _check_order("audio", turn.audio, turn.end_ns)
    place = (turn.conversation, turn.conversation_turn)
    _require(place == (None, None) or all(place), "its place in a conversation is incomplete")
    samples = [count for _, count in turn.audio]
    _require(min(samples, default=1) >= 1, "audio has a piece without a sample")
    _require(sum(samples) <= LARGEST, "audio has too many samples")
    if turn.sound is not None:
        _require(turn.sound.sample_rate > 0, "sound has a sample rate of 0")
        levels = turn.sound.peak, turn.sound.rms
        _require(min(levels) >= 0, "sound has a level below nothing")
        first = turn.sound.first_audible_sample or 0
        _require(not samples or first < sum(samples), "first_audible_sample is after the audio")


def _check_order(name: str, stamped: Sequence[tuple[int, object]], end_ns: int) -> None:
    stamps = [at_ns for at_ns, _ in stamped]
    if stamps:
        _require(stamps == sorted(stamps), f"{name} run back in time")
        _require(stamps[0] >= 0, f"{name} begin before the turn")
        _require(stamps[-1] <= end_ns, f"{name} go on after the turn's end")


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise ValueError(otherwise)
