"""Do the documents beside the turns hold what their readers take them for?

``settings.json`` and ``environment.json`` cannot be computed anew. Their values can be of the wrong
type, though, and then no reader may trust them: a limit that is text, cores that are a list.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from voicebench.errors import ResultsError
from voicebench.quoting import as_json
from voicebench.results.folder import ENVIRONMENT, INCOMPLETE, SETTINGS, SUMMARY
from voicebench.results.reading import read_document, read_summary

ORIGINS = "origins"
"""Where each of the settings came from, by their keys."""

NAMELESS = ("llm.model", "tts.voice")
"""Settings that a result leaves open where nobody named them (a server does the whole turn)."""

_TEXT, _NUMBER, _WHOLE = "a text", "a number", "a whole number"
_OBJECT, _LIST = "an object", "a list"

ENVIRONMENT_KINDS = {
    "voicebench": _TEXT,
    "python": _TEXT,
    "packages": _OBJECT,
    "system": _TEXT,
    "machine": _TEXT,
    "cpu": _TEXT,
    "cores": _WHOLE,
    "memory_bytes": _WHOLE,
    "governor": _TEXT,
    "thread_waiting": _TEXT,
    "load_1min": _NUMBER,
    "clock_resolution_ns": _WHOLE,
    "commit": _TEXT,
    "instrument": _OBJECT,
    "instruments": _LIST,
    "target": _OBJECT,
}
"""What `voicebench.machine.environment` and a session write; each may be null, where it is unknown.
"""

INSTRUMENT_KINDS = {"transport": _TEXT, "p50_ms": _NUMBER, "p95_ms": _NUMBER}


def wrong_documents(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield each file beside the turns that cannot be what was written, with what is wrong."""
    found: dict[str, Mapping[str, object]] = {}
    for name, read in (
        (SETTINGS, read_document),
        (ENVIRONMENT, read_document),
        (SUMMARY, read_summary),
    ):
        if name == SUMMARY and not (folder / name).exists():
            continue  # a run that did not come to its end has none
        try:
            found[name] = read(folder / name)
        except ResultsError as error:
            yield name, error.message
    for name, check in ((SETTINGS, _wrong_settings), (ENVIRONMENT, _wrong_environment)):
        if name in found:
            yield from ((name, what) for what in check(found[name]))
    if len(found) == 3:
        said = _said_of_run(folder, found[SETTINGS], found[ENVIRONMENT])
        yield from ((SUMMARY, what) for what in _wrong_run(found[SUMMARY].get("run"), said))


def _said_of_run(
    folder: Path, settings: Mapping[str, object], environment: Mapping[str, object]
) -> dict[str, object]:
    """Return what the other files say of the run."""
    run = settings.get("run")
    named = run if isinstance(run, dict) else {}
    # The disk may have been full before the marker could be taken away.
    complete = {} if (folder / INCOMPLETE).exists() else {"complete": True}
    return complete | {
        "name": named.get("name"),
        "target": named.get("target"),
        "voicebench": environment.get("voicebench"),
        "instrument": environment.get("instrument"),
        "instruments": environment.get("instruments"),
    }


def _wrong_run(run: object, said: Mapping[str, object]) -> Iterator[str]:
    """Yield what the summary says of its run and another file does not."""
    if not isinstance(run, dict):
        yield f"run is {shown(run)}, not {_OBJECT}"
        return
    for name, value in said.items():
        stored = run.get(name)
        if name in run and (stored != value or type(stored) is not type(value)):
            yield f"run.{name} is {shown(stored)}, and the other files say {shown(value)}"


def _wrong_settings(document: Mapping[str, object]) -> Iterator[str]:
    """Yield the settings that no file could hold; unknown ones may be of a later version."""
    from pydantic import ValidationError

    from voicebench.errors import UsageError
    from voicebench.settings import Settings

    stored = {name: value for name, value in document.items() if name != ORIGINS}
    if not _holds_texts(document.get(ORIGINS, {})):
        yield f"{ORIGINS} is {shown(document[ORIGINS])}, not {_OBJECT} of texts"
    try:
        Settings.model_validate(stored)
    except ValidationError as error:
        for detail in error.errors():
            key = ".".join(str(part) for part in detail["loc"])
            nameless = key in NAMELESS and detail["input"] is None
            if not nameless and detail["type"] != "extra_forbidden":
                yield f"{key} is {shown(detail['input'])}, which no setting may be"
    except UsageError as error:
        yield error.message


def _wrong_environment(document: Mapping[str, object]) -> Iterator[str]:
    yield from _wrong_kinds("", document, ENVIRONMENT_KINDS)
    packages = document.get("packages")
    if isinstance(packages, dict) and not _holds_texts(packages):
        yield f"packages is {shown(packages)}, not {_OBJECT} of texts"
    instrument, others = document.get("instrument"), document.get("instruments")
    for place, entry in [
        ("instrument", instrument),
        *((f"instruments[{n}]", one) for n, one in enumerate(_list(others), start=1)),
    ]:
        if isinstance(entry, dict):
            yield from _wrong_kinds(f"{place}.", entry, INSTRUMENT_KINDS)
        elif entry is not None:
            yield f"{place} is {shown(entry)}, not {_OBJECT}"


def _holds_texts(value: object) -> bool:
    """Tell whether ``value`` is an object of texts, or of nothing where one is unknown."""
    return isinstance(value, dict) and all(isinstance(one, str | None) for one in value.values())


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _wrong_kinds(
    where: str, document: Mapping[str, object], kinds: Mapping[str, str]
) -> Iterator[str]:
    for name, kind in kinds.items():
        value = document.get(name)
        if value is not None and not _IS[kind](value):
            yield f"{where}{name} is {shown(value)}, not {kind}"


_IS = {
    _TEXT: lambda value: isinstance(value, str),
    _NUMBER: lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    _WHOLE: lambda value: type(value) is int and value >= 0,
    _OBJECT: lambda value: isinstance(value, dict),
    _LIST: lambda value: isinstance(value, list),
}


def shown(value: object) -> str:
    """Return a value of a document, cut where it is long."""
    text = as_json(value)
    return text if len(text) <= 60 else f"{text[:59]}…"
