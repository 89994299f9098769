"""Check the types of the values in the documents beside the turns.

``settings.json`` and ``environment.json`` cannot be computed again from the turns. So only the
types of their values are checked, and that the documents agree with each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voicebench.errors import ResultsError
from voicebench.quoting import as_json
from voicebench.results.folder import ENVIRONMENT, INCOMPLETE, SETTINGS, SUMMARY
from voicebench.results.reading import object_in, read_document, read_summary
from voicebench.turn.typed_json import read_as

ORIGINS = "origins"
"""The key of the object that says where each setting came from."""

NAMELESS = ("llm.model", "tts.voice")
"""Settings that are null if they were not given and one server does the whole turn."""


@dataclass(frozen=True)
class _Instrument:
    """The self-test of the instrument over one transport, as ``environment.json`` has it."""

    transport: str | None = None
    p50_ms: float | None = None
    p95_ms: float | None = None


@dataclass(frozen=True)
class _Environment:
    """The environment as a session writes it; null if a value is unknown."""

    voicebench: str | None = None
    python: str | None = None
    packages: dict[str, str | None] | None = None
    system: str | None = None
    machine: str | None = None
    cpu: str | None = None
    cores: int | None = None
    memory_bytes: int | None = None
    governor: str | None = None
    thread_waiting: str | None = None
    load_1min: float | None = None
    clock_resolution_ns: int | None = None
    commit: str | None = None
    instrument: _Instrument | None = None
    instruments: tuple[_Instrument | None, ...] | None = None
    target: dict[str, Any] | None = None


def wrong_documents(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield each file beside the turns that cannot be as it was written, with what is wrong."""
    found: dict[str, Mapping[str, object]] = {}
    for name, read in (
        (SETTINGS, read_document),
        (ENVIRONMENT, read_document),
        (SUMMARY, read_summary),
    ):
        if name == SUMMARY and not (folder / name).exists():
            continue  # an interrupted run has none
        try:
            found[name] = read(folder / name)
        except ResultsError as error:
            yield name, error.message
    for name, check in ((SETTINGS, _wrong_settings), (ENVIRONMENT, _wrong_environment)):
        if name in found:
            yield from ((name, what) for what in check(found[name]))
    if len(found) == 3:
        expected = _expected_run(folder, found[SETTINGS], found[ENVIRONMENT])
        yield from ((SUMMARY, what) for what in _wrong_run(found[SUMMARY].get("run"), expected))


def _expected_run(
    folder: Path, settings: Mapping[str, object], environment: Mapping[str, object]
) -> dict[str, object]:
    """Return what the summary should say about the run, from the other files."""
    named = object_in(settings, "run")
    # The disk may have been full before the marker could be taken away.
    complete = {} if (folder / INCOMPLETE).exists() else {"complete": True}
    return complete | {
        "name": named.get("name"),
        "target": named.get("target"),
        "voicebench": environment.get("voicebench"),
        "instrument": environment.get("instrument"),
        "instruments": environment.get("instruments"),
    }


def _wrong_run(run: object, expected: Mapping[str, object]) -> Iterator[str]:
    """Yield where the summary's ``run`` contradicts the other files."""
    if not isinstance(run, dict):
        yield f"run is {shown(run)}, not an object"
        return
    for name, value in expected.items():
        stored = run.get(name)
        if name in run and (stored != value or type(stored) is not type(value)):
            yield f"run.{name} is {shown(stored)}, and the other files say {shown(value)}"


def _wrong_settings(document: Mapping[str, object]) -> Iterator[str]:
    """Yield the settings with invalid values. Unknown ones may be of a later version."""
    from pydantic import ValidationError

    from voicebench.errors import UsageError
    from voicebench.settings import Settings

    stored = {name: value for name, value in document.items() if name != ORIGINS}
    try:
        read_as(dict[str, str], document.get(ORIGINS, {}))
    except ValueError:
        yield f"{ORIGINS} is {shown(document[ORIGINS])}, not an object of texts"
    try:
        Settings.model_validate(stored)
    except ValidationError as error:
        for detail in error.errors():
            key = ".".join(str(part) for part in detail["loc"])
            nameless = key in NAMELESS and detail["input"] is None
            if not nameless and detail["type"] != "extra_forbidden":
                yield f"{key} is {shown(detail['input'])}, which is not allowed"
    except UsageError as error:
        yield error.message


def _wrong_environment(document: Mapping[str, object]) -> Iterator[str]:
    for name, value in document.items():
        try:
            read_as(_Environment, {name: value})
        except (TypeError, ValueError) as error:
            yield str(error)


def shown(value: object) -> str:
    """Return a value of a document as JSON, shortened if it is long."""
    text = as_json(value)
    return text if len(text) <= 60 else f"{text[:59]}…"
