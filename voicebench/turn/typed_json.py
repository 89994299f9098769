"""JSON values read into dataclasses and named tuples, checked by their annotations.

One reader for what comes from a file (a line of ``turns.jsonl``) and from a peer (a message on a
socket). A field that is added to a class is checked without further code. What each annotation
accepts:

* ``int``: a whole number from 0 to `LARGEST`; ``float``: a finite number;
* ``str``, ``bool`` and `Literal`: exactly these;
* a class: an object with its fields, or a list of all of them in order;
* ``tuple[X, ...]``: a list of these; ``dict[str, X]``: an object of these;
* ``X | None``: these, or null; ``Any``: anything.

A field with a default may be missing. Unknown keys are ignored: a later version may write them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache, partial
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

LARGEST = 2**53
"""The largest count and, in nanoseconds, the latest moment: 104 days after the turn's start."""

_Reader = Callable[[Any], Any]


def read_as(kind: Any, value: object) -> Any:
    """Return ``value`` as ``kind``, a class or an annotation.

    Raises `ValueError` naming the field that does not fit, `TypeError` for a row that is no list.
    """
    return _reader_of(kind)(value)


@cache
def _reader_of(kind: Any) -> _Reader:
    arguments = get_args(kind)
    if get_origin(kind) in (Union, UnionType):
        allowed = [argument for argument in arguments if argument is not NoneType]
        if all(get_origin(argument) is Literal for argument in allowed):
            allowed = [Literal[tuple(choice for one in allowed for choice in get_args(one))]]
        (only,) = allowed
        return partial(_optional, _reader_of(only)) if NoneType in arguments else _reader_of(only)
    if get_origin(kind) is Literal:
        return partial(_choice, frozenset(arguments))
    if get_origin(kind) is tuple:
        item = arguments[0]
        return partial(_rows, item, _types_of(item)) if _is_row(item) else partial(_items, item)
    if get_origin(kind) is dict:
        return partial(_values, arguments[1])
    if _is_row(kind):
        return lambda value: _rows(kind, _types_of(kind), [value])[0]
    return partial(_record, kind, _fields_of(kind)) if is_dataclass(kind) else _SIMPLE[kind]


def _is_row(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, tuple)


def _types_of(kind: Any) -> tuple[type, ...]:
    return tuple(get_type_hints(kind).values())


def _fields_of(kind: Any) -> dict[str, tuple[_Reader, bool]]:
    """Return the reader of each field, and whether the field is required."""
    hints = get_type_hints(kind)
    return {
        field.name: (
            _reader_of(hints[field.name]),
            field.default is MISSING and field.default_factory is MISSING,
        )
        for field in fields(kind)
    }


def _record(kind: Any, known: Mapping[str, tuple[_Reader, bool]], value: object) -> Any:
    if isinstance(value, list) and len(value) == len(known):
        value = dict(zip(known, value, strict=True))
    if not isinstance(value, dict):
        raise _unfit(value, "an object")
    found = {}
    for name, (read, is_required) in known.items():
        if name in value:
            try:
                found[name] = read(value[name])
            except ValueError as error:
                why = str(error)
                raise ValueError(f"{name}{' ' if why.startswith('is ') else '.'}{why}") from None
        elif is_required:
            raise ValueError(f"it has no {name}")
    return kind(**found)


def _rows(kind: Any, types: tuple[type, ...], value: object) -> tuple[Any, ...]:
    """Read named tuples. A turn has hundreds: each column is checked as a whole, which is fast."""
    if not isinstance(value, list):
        raise _unfit(value, "a list")
    found = tuple(map(partial(tuple.__new__, kind), value))
    if found:
        for wanted, column in zip(types, zip(*found, strict=True), strict=True):
            if set(map(type, column)) != {wanted}:
                raise ValueError(f"is a list of rows that are not {kind.__name__}")
    return found


def _items(kind: Any, value: object) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise _unfit(value, "a list")
    return tuple(map(_reader_of(kind), value))


def _values(kind: Any, value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _unfit(value, "an object")
    return {name: _reader_of(kind)(inner) for name, inner in value.items()}


def _optional(read: _Reader, value: object) -> Any:
    return None if value is None else read(value)


def _choice(allowed: frozenset[object], value: object) -> object:
    if type(value) is str and value in allowed:
        return value
    raise _unfit(value, f"one of {', '.join(sorted(map(str, allowed)))}")


def _whole(value: Any) -> int:
    if type(value) is int and 0 <= value <= LARGEST:
        return value
    raise _unfit(value, "a whole number from 0")


def _number(value: Any) -> float:
    if type(value) is float and math.isfinite(value):
        return value
    if type(value) is int and -LARGEST <= value <= LARGEST:
        return float(value)
    raise _unfit(value, "a number")


def _text(value: object) -> str:
    if type(value) is str:
        return value
    raise _unfit(value, "text")


def _flag(value: object) -> bool:
    if type(value) is bool:
        return value
    raise _unfit(value, "true or false")


def _anything(value: object) -> object:
    return value


_SIMPLE: Mapping[Any, _Reader] = {
    int: _whole,
    float: _number,
    str: _text,
    bool: _flag,
    Any: _anything,
}


def _unfit(value: object, wanted: str) -> ValueError:
    if value is None or isinstance(value, int | float | str):
        shown = repr(value)
        return ValueError(f"is {shown[:39] + '…' if len(shown) > 40 else shown}, not {wanted}")
    return ValueError(f"is a {type(value).__name__}, not {wanted}")
