"""Scripts of calls: built-in ones by name, others by their path."""

from __future__ import annotations

import difflib
from pathlib import Path

from voicebench.calls.call_script import CallScript, parse_script
from voicebench.errors import UsageError

BUILT_IN = Path(__file__).parent / "scripts"
MOST_BYTES = 200_000


def script_names() -> list[str]:
    """Return the names of the built-in scripts."""
    return sorted(path.stem for path in BUILT_IN.glob("*.toml"))


def script_path(named: str) -> Path:
    """Return the file of a script: a built-in one, or ``named`` itself."""
    return BUILT_IN / f"{named}.toml" if named in script_names() else Path(named)


def read_script(named: str) -> CallScript:
    """Read the script. Raises `UsageError` that names its file."""
    path = script_path(named)
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        close = difflib.get_close_matches(named, script_names(), n=1)
        guess = f"did you mean {close[0]}? " if close else ""
        raise UsageError(
            f"script {named!r} cannot be read ({error.strerror})",
            f"{guess}name a TOML file, or one of {', '.join(script_names())}",
        ) from None
    if len(content) > MOST_BYTES:
        raise UsageError(f"script {path} has more than {MOST_BYTES} bytes")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        raise UsageError(f"script {path} is not UTF-8 text") from None
    return parse_script(text, f"script {path}")
