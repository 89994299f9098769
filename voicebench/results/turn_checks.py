"""What a recorded turn may hold: values of the types that `Timeline` names, and time that goes on.

The checks are made of the annotations, so a field that is added to a timeline is checked too. They
take a fifth of the time that reading a line takes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from voicebench.turn.playback import Arrival
from voicebench.turn.timeline import TimedText, Timeline

MOST = 2**53
"""The largest count and, in nanoseconds, the latest moment: 104 days after the turn's start."""


def check_turn(turn: Timeline) -> None:
    """Raise `ValueError` for a value that no turn has, naming the field."""
    _check_record(turn)
    datetime.fromisoformat(turn.started_at)
    for name in ("tokens", "chunks", "audio"):
        _check_order(name, getattr(turn, name), turn.end_ns)
    for name in ("tokens", "chunks"):
        _require(
            all(piece.text for piece in getattr(turn, name)), name, "have a piece without text"
        )
    if turn.sound is not None:
        _require(turn.sound.peak >= 0 and turn.sound.rms >= 0, "sound", "has a level below nothing")
    samples = [arrival.samples for arrival in turn.audio]
    _require(not samples or min(samples) >= 1, "audio", "has a piece without a sample")
    if samples and turn.sound is not None and turn.sound.first_audible_sample is not None:
        fits = turn.sound.first_audible_sample < sum(samples) <= MOST
        _require(fits, "first_audible_sample", "is after the audio")


@dataclass(frozen=True, slots=True)
class _Fields:
    """The fields of a kind of record, by what they hold: whole numbers from 0 up, numbers, …"""

    optional: frozenset[str]
    """Those that may hold None instead."""
    counts: tuple[str, ...]
    numbers: tuple[str, ...]
    plain: tuple[tuple[str, type], ...]
    """Texts and truth values."""
    choices: tuple[tuple[str, frozenset[object]], ...]
    records: tuple[str, ...]
    """One record, or a tuple of them."""


def _check_record(record: Any) -> None:
    known = _fields_of(type(record))
    for name in known.counts:
        value = getattr(record, name)
        if type(value) is not int or not 0 <= value <= MOST:
            _refuse(known, name, value)
    for name in known.numbers:
        value = getattr(record, name)
        if type(value) is not float or not -math.inf < value < math.inf:
            _refuse(known, name, value)
    for name, kind in known.plain:
        if type(getattr(record, name)) is not kind:
            _refuse(known, name, getattr(record, name))
    for name, allowed in known.choices:
        if getattr(record, name) not in allowed:
            _refuse(known, name, getattr(record, name))
    for name in known.records:
        value = getattr(record, name)
        if value is None:
            _refuse(known, name, value)
        for one in value if type(value) is tuple else (value,):
            if one is not None:
                _check_record(one)


def _refuse(known: _Fields, name: str, value: object) -> None:
    """Raise `ValueError`, but for what may be None, and for a number that happens to be whole."""
    if value is None and name in known.optional:
        return
    if name in known.numbers and type(value) is int and -MOST <= value <= MOST:
        return
    raise ValueError(f"{name} is {_shown(value)}")


_KNOWN: dict[Any, _Fields] = {}


def _fields_of(kind: Any) -> _Fields:
    if kind not in _KNOWN:
        _KNOWN[kind] = _read_fields(kind)
    return _KNOWN[kind]


def _read_fields(kind: Any) -> _Fields:
    """Sort the fields of a record by their annotations."""
    hints = get_type_hints(kind)
    names = [field.name for field in fields(kind)] if is_dataclass(kind) else list(hints)
    optional = {name for name in names if NoneType in get_args(hints[name])}
    only = {name: _without_none(hints[name]) for name in names}
    plain = [(name, only[name]) for name in names if only[name] in (str, bool)]
    choices = [
        (name, frozenset(get_args(only[name])))
        for name in names
        if get_origin(only[name]) is Literal
    ]
    counts = [name for name in names if only[name] is int]
    numbers = [name for name in names if only[name] is float]
    sorted_in = {*counts, *numbers, *dict(plain), *dict(choices)}
    return _Fields(
        frozenset(optional),
        tuple(counts),
        tuple(numbers),
        tuple(plain),
        tuple(choices),
        # Texts and pieces of audio are hundreds: `_check_order` looks at all of them at once.
        tuple(
            name
            for name in names
            if name not in sorted_in and not {TimedText, Arrival} & {*get_args(only[name])}
        ),
    )


def _without_none(hint: Any) -> Any:
    if get_origin(hint) not in (Union, UnionType):
        return hint
    only = [one for one in get_args(hint) if one is not NoneType]
    if all(get_origin(one) is Literal for one in only):
        return Literal[tuple(value for one in only for value in get_args(one))]
    (kind,) = only
    return kind


def _check_order(name: str, pairs: Sequence[tuple[int, object]], end_ns: int) -> None:
    stamps = [pair[0] for pair in pairs]
    if not stamps:
        return
    _require(stamps == sorted(stamps), name, "run back in time")
    _require(stamps[0] >= 0, name, "begin before the turn")
    _require(stamps[-1] <= end_ns, name, "go on after the turn's end")


def _require(holds: bool, name: str, what: str) -> None:
    if not holds:
        raise ValueError(f"{name} {what}")


def _shown(value: object) -> str:
    if value is None or isinstance(value, int | float | str):
        text = repr(value)
        return text if len(text) <= 40 else f"{text[:39]}…"
    return f"a {type(value).__name__}"
