"""Settings files by name: those that come with the package, and the folder's own."""

from __future__ import annotations

import difflib
import os
import tomllib
from pathlib import Path

from voicebench.errors import SettingsError

OWN_FILE = "voicebench.toml"
"""The settings file that is taken where none is named, from the folder or one above it."""

_PACKAGE = Path(__file__).parents[1]
_PLACES = (_PACKAGE / "configs", _PACKAGE.parent / "configs")
"""In an installed package, and in a clone."""


def named_configs() -> dict[str, Path]:
    """Return the settings files that come with the package, by name."""
    folder = next((place for place in _PLACES if place.is_dir()), None)
    if folder is None:
        return {}
    return {file.stem: file for file in sorted(folder.rglob("*.toml"))}


def find_config(wanted: Path | None) -> Path | None:
    """Return the settings file that is meant: a path, or a name of `named_configs`.

    Without one it is the nearest `OWN_FILE` in the folder and above it, or None. Raises
    `SettingsError` for an unknown name.
    """
    if wanted is None:
        return own_file(Path.cwd())
    is_path = wanted.suffix or len(wanted.parts) > 1 or wanted.exists()
    return wanted if is_path else named_config(str(wanted))


def named_config(name: str) -> Path:
    """Return the settings file of this name. Raises `SettingsError`."""
    known = named_configs()
    if name in known:
        return known[name]
    close = difflib.get_close_matches(name, known, n=1)
    guess = f"did you mean {close[0]!r}? " if close else ""
    raise SettingsError(
        f"there is no settings file {name!r}, and none of this name comes with voicebench",
        f"{guess}there are: {', '.join(known)}",
    )


def own_file(folder: Path) -> Path | None:
    """Return the nearest `OWN_FILE` in ``folder`` or above it, as a path that reads well."""
    for place in (folder, *folder.parents):
        file = place / OWN_FILE
        if file.is_file():
            return Path(os.path.relpath(file, folder)) if place == folder else file
    return None


def own_results() -> Path:
    """Return the results folder of the folder's own settings file, else ``results``.

    Commands that only read results need no other setting, so nothing is checked here.
    """
    file = own_file(Path.cwd())
    try:
        found = {} if file is None else tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        found = {}
    run = found.get("run")
    chosen = run.get("results") if isinstance(run, dict) else None
    return Path(chosen) if isinstance(chosen, str) and chosen else Path("results")
