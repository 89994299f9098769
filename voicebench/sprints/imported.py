"""A sprint from a TOML file that somebody wrote: what another tool or machine reported.

``docs/sprint.md`` explains every key; ``docs/sprints/`` has two files as examples.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

from voicebench.errors import UsageError
from voicebench.sprints.commits import Commit, FileChange
from voicebench.sprints.entries import SprintEntry
from voicebench.sprints.imported_figures import readings_of, run_table
from voicebench.sprints.sprint import (
    ASPECTS,
    Change,
    FirstChunk,
    Reported,
    Score,
    Setup,
    Sprint,
    Suite,
    TextLength,
)

MOST_BYTES = 1_000_000
MOST_POINTS = 10.0

KEYS = {"title", "started", "commit", "closing"}
SECTIONS = {
    "figures": {"e2e_latency_ms", "tts_ttfb_ms", "first_audio_ms", "websocket", "tests"},
    "tests": {"skipped", "warnings", "seconds"},
    "score": {*ASPECTS, "total"},
    "setup": {"first_words", "later_words", "sequential"},
    "reported": {"well", "improve", "next"},
}
LISTS = {
    "changes": {"title", "before", "after", "text", "code", "language"},
    "runs": {"llm_ms", "tts_ttfb_ms", "first_audio_ms"},
    "texts": {"characters", "first_byte_ms", "total_ms", "chunks"},
    "first_chunks": {"text", "first_byte_ms", "cold"},
    "commits": {"hash", "day", "subject"},
    "files": {"path", "added", "removed", "note"},
}
_LANGUAGE = re.compile(r"[A-Za-z0-9+#.-]{0,20}")


def read_import(path: Path, number: int) -> Sprint:
    """Read sprint ``number`` from the file. Raises `UsageError`, naming the key that is wrong."""
    file = SprintEntry(_read_toml(path), "", str(path))
    _refuse_unknown(file, {*KEYS, *SECTIONS, *LISTS})
    figures, tests, score, setup, reported = (_section(file, name) for name in SECTIONS)
    table = run_table(_entries(file, "runs"), path.stem)
    return Sprint(
        number=number,
        started_at=file.moment_or_none("started"),
        commit=file.string("commit", "") or None,
        commits=tuple(
            Commit(one.string("hash"), one.moment_or_none("day") or "", one.string("subject"))
            for one in _entries(file, "commits")
        ),
        files=tuple(_file(one) for one in _entries(file, "files")),
        readings=readings_of(figures, table),
        tables=(table,) if table else (),
        lengths=tuple(_length(one) for one in _entries(file, "texts")),
        scores=tuple(
            Score(aspect, score.number(aspect, MOST_POINTS), by_hand=True)
            for aspect in ASPECTS
            if score.has(aspect)
        ),
        setup=Setup(
            setup.whole_or_none("first_words"),
            setup.whole_or_none("later_words"),
            setup.flag_or_none("sequential"),
        ),
        score_total=(
            score.number("total", MOST_POINTS * len(ASPECTS)) if score.has("total") else None
        ),
        imported=True,
        title=file.text_or_none("title"),
        changes=tuple(_change(one) for one in _entries(file, "changes")),
        first_chunks=tuple(
            FirstChunk(
                one.text("text"), one.number("first_byte_ms"), bool(one.flag_or_none("cold"))
            )
            for one in _entries(file, "first_chunks")
        ),
        suite=Suite(
            tests.whole_or_none("skipped"),
            tests.whole_or_none("warnings"),
            tests.number_or_none("seconds"),
        ),
        reported=Reported(
            reported.texts("well"), reported.texts("improve"), reported.texts("next")
        ),
        closing=file.text_or_none("closing"),
    )


def _file(entry: SprintEntry) -> FileChange:
    return FileChange(
        entry.string("path"),
        entry.whole_or_none("added"),
        entry.whole_or_none("removed"),
        entry.text_or_none("note"),
    )


def _length(entry: SprintEntry) -> TextLength:
    characters = entry.get("characters")
    if not isinstance(characters, str):
        characters = f"{entry.number('characters'):g}"
    return TextLength(
        characters,
        entry.number("first_byte_ms"),
        entry.number("total_ms"),
        entry.whole_or_none("chunks"),
    )


def _change(entry: SprintEntry) -> Change:
    language = entry.string("language", "")
    if not _LANGUAGE.fullmatch(language):
        raise entry.error("language", f"{language!r} is no name of a language")
    return Change(
        entry.text("title"),
        entry.text_or_none("before"),
        entry.text_or_none("after"),
        entry.texts("text"),
        entry.string("code", ""),
        language,
    )


def _section(file: SprintEntry, name: str) -> SprintEntry:
    section = file.values.get(name, {})
    if not isinstance(section, dict):
        raise UsageError(f"{file.file}: {name} is no section", f"write [{name}] above its keys")
    entry = SprintEntry(section, name, file.file)
    _refuse_unknown(entry, SECTIONS[name])
    return entry


def _entries(file: SprintEntry, name: str) -> list[SprintEntry]:
    listed = file.values.get(name, [])
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        raise UsageError(f"{file.file}: {name} is no list of tables", f"write [[{name}]]")
    entries = [SprintEntry(one, f"{name}[{n}]", file.file) for n, one in enumerate(listed, start=1)]
    for entry in entries:
        _refuse_unknown(entry, LISTS[name])
    return entries


def _refuse_unknown(entry: SprintEntry, allowed: set[str]) -> None:
    unknown = sorted(set(entry.values) - allowed)
    if unknown:
        key = f"{entry.where}.{unknown[0]}".lstrip(".")
        knows = f"{entry.where or 'it'} knows {', '.join(sorted(allowed))}"
        raise UsageError(f"{entry.file}: unknown key {key!r}", knows)


def _read_toml(path: Path) -> Mapping[str, object]:
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise UsageError(f"--import {path} cannot be read ({error.strerror})") from None
    if len(content) > MOST_BYTES:
        raise UsageError(f"--import {path} is larger than {MOST_BYTES} bytes")
    try:
        return tomllib.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"--import {path} is not valid TOML: {error}") from None
