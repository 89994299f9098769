"""Load settings from the defaults, a TOML file and the command line, and record the source of each.

A key that is unknown, or a value of a wrong type or out of range, is an error that names the file,
the key and what is allowed.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from voicebench.errors import SettingsError, UsageError
from voicebench.secret_names import hidden_in_words
from voicebench.settings.sections import (
    Settings,
    all_keys,
    describe_keys,
    lookup,
    nested,
    section_classes,
)
from voicebench.settings.shown import secrets_of, shown_value

MAX_CONFIG_BYTES = 1_000_000

Origin = str
"""Where a value came from: ``default``, a file's path, or the option on the command line."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One effective setting, for display."""

    key: str
    value: object
    origin: Origin
    description: str


@dataclass(frozen=True, slots=True)
class Effective:
    """The settings in force and where each came from."""

    settings: Settings
    origins: dict[str, Origin]
    given: Mapping[str, object] = field(default_factory=dict)
    """The values that are not defaults, as they were written: ``10%``, not 0.1."""

    def __iter__(self) -> Iterator[Setting]:
        """Yield every setting in the order of the documentation, keys and passwords hidden."""
        secrets = secrets_of(self.settings)
        for key, description in describe_keys():
            value = secrets.hidden_within(shown_value(key, lookup(self.settings, key)))
            yield Setting(key, value, self.origins.get(key, "default"), description)


def load_settings(
    config: Path | None = None,
    overrides: Mapping[str, object] | None = None,
    *,
    origin: Origin = "command line",
) -> Effective:
    """Return the defaults, overlaid by ``config``, overlaid by ``overrides`` (key to value).

    ``origin`` says where the overrides came from.

    Raises `SettingsError`: one sentence with the file or option, the key, and what is allowed.
    """
    values: dict[str, object] = {}
    origins: dict[str, Origin] = {}
    if config is not None:
        for key, value in flattened(_read_toml(config)):
            values[key], origins[key] = value, str(config)
    for key, value in (overrides or {}).items():
        values[key], origins[key] = value, origin
    for key in values:
        _check_key(key, origins[key])
    try:
        settings = Settings.model_validate(nested(values))
    except ValidationError as error:
        raise _explain(error.errors()[0], origins) from None
    except UsageError as error:
        origin = origins.get("gates", "default")
        raise SettingsError(f"{origin}: {error.message}", error.remedy) from None
    return Effective(settings, origins, values)


def parse_override(text: str) -> tuple[str, object]:
    """Read ``section.key=value`` of the command line; the value as TOML, else as plain text."""
    key, separator, value = text.partition("=")
    key = key.strip()
    if not separator or not key:
        raise SettingsError(
            f"--set {hidden_in_words(text)!r} is not 'section.key=value'",
            "write for example --set llm.max_tokens=40",
        )
    try:
        return key, tomllib.loads(f"value = {value}")["value"]
    except (ValueError, RecursionError):
        return key, value


def _read_toml(path: Path) -> dict[str, object]:
    if path.is_dir():
        is_run = (path / "turns.jsonl").is_file()
        raise SettingsError(
            f"{path} is a folder, not a settings file",
            f"to see that run: voicebench report {path}" if is_run else "name a .toml file",
        )
    try:
        with path.open("rb") as file:
            content = file.read(MAX_CONFIG_BYTES + 1)
    except OSError as error:
        raise SettingsError(
            f"settings file {path} cannot be read ({error.strerror})", "check the path"
        ) from None
    if len(content) > MAX_CONFIG_BYTES:
        raise SettingsError(f"settings file {path} is larger than {MAX_CONFIG_BYTES} bytes")
    try:
        text = content.decode("utf-8-sig")  # Windows' editors begin a file with a byte order mark
    except UnicodeDecodeError as error:
        raise SettingsError(
            f"settings file {path} is not UTF-8 (byte {error.start + 1})", "save the file as UTF-8"
        ) from None
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        # Hostile input can also make int() or the parser's recursion fail.
        raise SettingsError(f"settings file {path} is not valid TOML: {error}") from None


def flattened(tree: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    """Yield each key with its section (``llm.model``) and its value; a tree may have such keys."""
    for name, value in tree.items():
        if isinstance(value, dict) and (value or name in section_classes()):
            yield from ((f"{name}.{key}", inner) for key, inner in value.items())
        else:
            yield name, value


def _check_key(key: str, origin: Origin) -> None:
    known = all_keys()
    if key in known:
        return
    if key in section_classes():
        raise SettingsError(
            f"{origin}: {key!r} is a section, not a value", f"write [{key}] above its keys"
        )
    close = difflib.get_close_matches(key, [*known, *sorted(section_classes())], n=1, cutoff=0.65)
    bare = [name for name in known if name.partition(".")[2] == key.rpartition(".")[2]]
    guess = next(iter(bare or close), None)
    remedy = f"did you mean {guess!r}?" if guess else "`voicebench config` lists all keys"
    raise SettingsError(f"{origin}: unknown key {key!r}", remedy)


def _explain(detail: ErrorDetails, origins: Mapping[str, Origin]) -> SettingsError:
    """Turn pydantic's first error into one sentence of ours."""
    parts = [part for part in detail["loc"] if isinstance(part, str)]
    key = next((name for name in all_keys() if name == ".".join(parts[:2])), parts[0])
    origin = origins.get(key, "default")
    if detail["type"] == "string_pattern_mismatch":
        allowed = "write at most 64 letters, digits, '.', '_' or '-', the first a letter or digit"
    elif detail["type"] == "string_unicode":
        allowed = "it has bytes that are not UTF-8: rename it, or write it in UTF-8"
    else:
        allowed = detail["msg"].replace("Input should", "it should").replace("String", "it")
    shown = _show(shown_value(key, detail["input"]))
    return SettingsError(f"{origin}: {key} = {shown} is not allowed", allowed)


def _show(value: object) -> str:
    """Return ``value`` as a settings file would have it, cut where it is long."""
    if isinstance(value, bool):
        return str(value).lower()
    try:
        shown = repr(value)
    except ValueError:  # Python writes no integer of more than 4,300 digits
        return "a number of thousands of digits"
    return shown if len(shown) <= 80 else f"{shown[:77]}..."
