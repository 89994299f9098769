"""The rooms of the package, lowest first: what each promises, and which rooms it may import from.

The architecture test holds the table, and docs/architecture.md prints it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

VOCABULARY = "vocabulary"


@dataclass(frozen=True)
class Room:
    """One folder of the package, or the files at its top."""

    folder: str
    """Dotted, below ``voicebench``; a sub-room such as ``engines.llm`` is a row of its own."""
    promise: str
    uses: tuple[str, ...] = ()
    """The rooms that it imports from, the vocabulary apart, which every room may use."""
    pure: bool = False
    """Only calculates: no files, no clock, no network, no library but numpy."""


ROOMS = (
    Room(
        VOCABULARY,
        "`events.py`, `errors.py`, `format.py`: the words that every other room uses; "
        "`quoting.py`, `secrecy.py`, `secret_names.py`: what may be shown of a peer's words and "
        "of keys",
        pure=True,
    ),
    Room(
        "audio",
        "samples: levels, onsets, WAV files, the loudspeaker",
    ),
    Room(
        "text",
        "text on its way through a turn: prompts go in, chunks to be spoken come out",
        pure=True,
    ),
    Room(
        "turn",
        "what happened in one turn: the one clock, the sealed timeline, the simulated listener, "
        "and the same events as messages on a socket",
        ("audio",),
        pure=True,
    ),
    Room(
        "machine",
        "what computes on this machine, and what disturbs a measurement on it",
        ("turn",),
    ),
    Room(
        "figures",
        "turns become numbers: metrics, distributions, intervals, differences of two runs",
        ("turn",),
        pure=True,
    ),
    Room(
        "judging",
        "numbers become verdicts and advice: gates, regressions, noise, validity",
        ("figures", "machine", "text", "turn"),
        pure=True,
    ),
    Room(
        "settings",
        "what may be set, and where each value came from",
        ("audio", "figures", "judging"),
    ),
    Room(
        "pipeline",
        "a language model and a synthesizer at work together, and the protocols of both",
        ("text",),
    ),
    Room(
        "engines.models",
        "the models that are fetched: catalogue, checks, conversion, cache",
    ),
    Room(
        "engines.native",
        "the C library: compiled for this processor when it is first used",
        ("engines.models", "machine"),
    ),
    Room(
        "engines.llm",
        "language models computed in this process",
        ("engines.models", "engines.native", "machine", "text"),
    ),
    Room(
        "engines.tts",
        "voices computed in this process",
        ("audio", "engines.models", "engines.native", "machine", "text"),
    ),
    Room(
        "remote",
        "what every client over a wire follows: when to connect, how failures are worded",
    ),
    Room(
        "remote.formats",
        "what bytes of a peer mean: server-sent events, JSON, headers; templates of requests",
        ("remote",),
    ),
    Room(
        "remote.connection",
        "HTTP and WebSocket connections: opened before the turn, read as bytes arrive, bounded",
        ("remote", "remote.formats"),
    ),
    Room(
        "remote.sound",
        "bytes of a peer become samples: containers, codecs, raw PCM",
        ("audio", "remote", "remote.connection", "remote.formats"),
    ),
    Room(
        "remote.clients",
        "language models and voices behind a wire, one module a protocol",
        ("audio", "remote", "remote.connection", "remote.formats", "remote.sound", "text"),
    ),
    Room(
        "targets",
        "everything that can answer a prompt with speech: one contract, one table of kinds",
        (
            "audio",
            "engines.llm",
            "engines.models",
            "engines.tts",
            "machine",
            "pipeline",
            "remote",
            "remote.clients",
            "remote.connection",
            "remote.formats",
            "remote.sound",
            "settings",
            "text",
            "turn",
        ),
    ),
    Room(
        "results",
        "the run folder, and a run read back from it",
        ("audio", "figures", "judging", "machine", "settings", "turn"),
    ),
    Room(
        "checks",
        "are the instrument and the machine fit to measure: self-test, doctor, quality",
        (
            "audio",
            "engines.llm",
            "engines.models",
            "engines.native",
            "engines.tts",
            "figures",
            "machine",
            "pipeline",
            "remote.clients",
            "remote.sound",
            "settings",
            "targets",
            "turn",
        ),
    ),
    Room(
        "measuring",
        "taking turns: one run, two set-ups in turn, a sweep, speech that is heard",
        (
            "audio",
            "checks",
            "figures",
            "judging",
            "machine",
            "pipeline",
            "remote",
            "results",
            "settings",
            "targets",
            "text",
            "turn",
        ),
    ),
    Room(
        "report",
        "a recorded run as people and programs read it; what all forms of report share",
        ("figures", "judging", "machine", "results", "turn"),
    ),
    Room(
        "report.console",
        "tables and drawings for a terminal",
        ("figures", "judging", "report", "results", "turn"),
    ),
    Room(
        "report.exchange",
        "JUnit, Markdown, badges, CI services, benchmark trackers",
        ("figures", "judging", "report", "report.console", "results"),
    ),
    Room(
        "report.html",
        "one page that opens offline",
        ("figures", "judging", "machine", "report", "report.console", "results", "turn"),
    ),
    Room(
        "sprints",
        "the sprint document: a stretch of work, and what it did to the figures",
        ("figures", "judging", "report", "report.console", "report.exchange", "results"),
    ),
    Room(
        "server",
        "the pipeline behind HTTP and WebSocket, and its page",
        ("audio", "engines.llm", "pipeline", "settings", "targets", "text", "turn"),
    ),
    Room(
        "cli",
        "one module a command; the only room that prints or exits",
        (
            "audio",
            "checks",
            "engines.models",
            "figures",
            "judging",
            "machine",
            "measuring",
            "remote.connection",
            "report.console",
            "report.exchange",
            "report.html",
            "results",
            "server",
            "settings",
            "sprints",
            "targets",
            "text",
        ),
    ),
)

BY_FOLDER = {room.folder: room for room in ROOMS}


def room_of(module: str) -> str:
    """Return the room of a dotted module name below the package: ``engines.llm`` for ``…llm.x``."""
    parts = module.split(".")
    for length in range(len(parts), 0, -1):
        folder = ".".join(parts[:length])
        if folder in BY_FOLDER:
            return folder
    return VOCABULARY


def as_markdown(rooms: Iterable[Room] = ROOMS) -> str:
    """Return the table of docs/architecture.md, the highest room first."""
    rows = ["| room | what it promises | imports from |", "|---|---|---|"]
    for room in reversed(list(rooms)):
        folder = f"`{room.folder.replace('.', '/')}/`"
        name = "top of the package" if room.folder == VOCABULARY else folder
        uses = ", ".join(f"`{used}`" for used in room.uses) or "–"
        pure = " *Pure.*" if room.pure else ""
        rows.append(f"| {name} | {room.promise}.{pure} | {uses} |")
    return "\n".join(rows)
