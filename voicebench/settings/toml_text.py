"""Settings as a TOML file that gives the same settings again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol


class ShownSetting(Protocol):
    """A setting: its key with its section, its value, its origin, and its meaning."""

    @property
    def key(self) -> str: ...
    @property
    def value(self) -> object: ...
    @property
    def origin(self) -> str: ...
    @property
    def description(self) -> str: ...


def toml_of(settings: Iterable[ShownSetting], *, commented: bool = False) -> str:
    """Return a TOML file with every setting and its meaning.

    Defaults are comments: some settings have no effect beside others, and setting them is an
    error. ``commented`` makes all of them comments, for a file to start from.
    """
    lines: list[str] = []
    section = ""
    for setting in sorted(settings, key=lambda one: ("." in one.key, one.key.partition(".")[0])):
        place, dot, name = setting.key.rpartition(".")
        if dot and place != section:
            section = place
            lines += ["", f"[{section}]"]
        is_default = setting.origin == "default" or setting.value is None
        mark = "# " if commented or is_default else ""
        value = "(not set)" if setting.value is None else toml_value(setting.value)
        lines += [f"# {setting.description}"] if setting.description else []
        lines.append(f"{mark}{name} = {value}")
    return "\n".join(lines).lstrip("\n") + "\n"


def toml_value(value: object) -> str:
    """Return a value as TOML writes it. JSON's texts, numbers and booleans are TOML's."""
    if isinstance(value, Mapping):
        pairs = (f"{json.dumps(str(key))} = {toml_value(one)}" for key, one in value.items())
        return f"{{ {', '.join(pairs)} }}" if value else "{}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"[{', '.join(map(toml_value, value))}]"
    return json.dumps(value, ensure_ascii=False)
