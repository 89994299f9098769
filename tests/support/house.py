"""The rooms of the package, lowest first: what each promises, and which rooms it may import from.

The architecture test holds the table, and docs/explanation/architecture.md prints it.
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
        "`events.py`, `errors.py`, `format.py`: events, errors and number formats for every room; "
        "`quoting.py`, `secrecy.py`, `secret_names.py`: quote a server's words safely, hide keys",
        pure=True,
    ),
    Room(
        "audio",
        "samples: levels, onsets, is it speech, WAV files, the loudspeaker",
    ),
    Room(
        "text",
        "prompt sets, and cutting a reply into text chunks",
        pure=True,
    ),
    Room(
        "turn",
        "one turn: the clock, the sealed timeline, the simulated listener, events as messages on a "
        "socket",
        ("audio",),
        pure=True,
    ),
    Room(
        "machine",
        "the devices of this machine, its environment, and what disturbs a measurement on it",
        ("turn",),
    ),
    Room(
        "figures",
        "from turns to numbers: metrics, distributions, intervals, differences of two runs",
        ("turn",),
        pure=True,
    ),
    Room(
        "judging",
        "from numbers to verdicts and advice: gates, regressions, noise, validity",
        ("figures", "machine", "text", "turn"),
        pure=True,
    ),
    Room(
        "load",
        "load as a calculation: the plan of callers and turns, judged levels, the search for "
        "capacity, and its statistics",
        ("figures", "judging", "turn"),
        pure=True,
    ),
    Room(
        "load.pacing",
        "a paced server in a process of its own: replies at moments known in advance, faults on "
        "order, and stamps of what was sent",
        ("audio", "machine", "turn"),
    ),
    Room(
        "settings",
        "every setting, its limits, and where its value came from",
        ("audio", "figures", "judging", "load"),
    ),
    Room(
        "pipeline",
        "a language model and a synthesizer working together, and the interfaces of both",
        ("text",),
    ),
    Room(
        "engines.models",
        "the embedded models: catalogue, download, checks, conversion, cache",
    ),
    Room(
        "engines.native",
        "the C library: built for each level of instruction sets, chosen when it is loaded",
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
        "engines.ears",
        "ears computed in this process: voice activity, end of turn, recognition",
        ("engines.models", "machine"),
    ),
    Room(
        "remote",
        "rules for all clients: when to connect, how failures are worded",
    ),
    Room(
        "remote.formats",
        "formats of messages: server-sent events, JSON, headers, templates of requests",
        ("remote",),
    ),
    Room(
        "remote.connection",
        "HTTP and WebSocket connections: opened before the turn, read as bytes arrive, limited in "
        "size and time",
        ("remote", "remote.formats"),
    ),
    Room(
        "remote.sound",
        "from a server's bytes to samples: containers, codecs, raw PCM",
        ("audio", "remote", "remote.connection", "remote.formats"),
    ),
    Room(
        "remote.clients",
        "clients of language models, voices and a collector, one module for each protocol",
        ("audio", "remote", "remote.connection", "remote.formats", "remote.sound", "text"),
    ),
    Room(
        "calls",
        "spoken calls as a calculation: events, scripts, what was heard, and what follows from it",
        ("audio", "figures", "turn"),
        pure=True,
    ),
    Room(
        "targets",
        "everything that can answer a prompt with speech: one interface, one table of kinds",
        (
            "audio",
            "engines.llm",
            "engines.models",
            "engines.tts",
            "load",
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
        "load.reading",
        "the reader: one thread reads the answers of thousands of turns with kernel stamps, and "
        "takes only their framing apart; sealed later by the clients' own parsers",
        (
            "audio",
            "remote",
            "remote.clients",
            "remote.connection",
            "remote.formats",
            "remote.sound",
            "settings",
            "targets",
            "text",
            "turn",
        ),
    ),
    Room(
        "agents.local",
        "the agent in this process: ears before the pipeline, and who speaks when",
        (
            "calls",
            "engines.ears",
            "machine",
            "pipeline",
            "settings",
            "targets",
            "text",
        ),
    ),
    Room(
        "agents",
        "everything that can be called and spoken to: one interface, one table of kinds",
        (
            "agents.local",
            "audio",
            "calls",
            "machine",
            "remote",
            "remote.connection",
            "remote.formats",
            "settings",
            "targets",
        ),
    ),
    Room(
        "results",
        "run folders: write one, read a run back from one",
        ("audio", "figures", "judging", "machine", "settings", "turn"),
    ),
    Room(
        "calls.running",
        "calls that are placed: the caller's thread, his voice, and scripts in files",
        ("agents", "audio", "calls", "engines.tts", "machine"),
    ),
    Room(
        "checks",
        "is the instrument exact and the machine fit: self-test, doctor, voice quality",
        (
            "agents",
            "audio",
            "calls",
            "calls.running",
            "engines.llm",
            "engines.models",
            "engines.native",
            "engines.tts",
            "figures",
            "load.pacing",
            "load.reading",
            "machine",
            "pipeline",
            "remote.connection",
            "settings",
            "targets",
            "text",
            "turn",
        ),
    ),
    Room(
        "measuring",
        "take turns: one run, two set-ups alternately, a sweep of settings, speech aloud, calls",
        (
            "agents",
            "audio",
            "calls",
            "calls.running",
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
        "load.faults",
        "faults of the network on purpose: a proxy between client and server",
        ("load", "machine"),
    ),
    Room(
        "load.recorded",
        "runs under load read back: the same judgement from recorded turns, checks, comparisons",
        ("figures", "judging", "load", "results", "turn"),
    ),
    Room(
        "load.running",
        "hold levels: engines that take the turns of a plan, and the runs of both commands",
        (
            "agents",
            "audio",
            "calls",
            "calls.running",
            "checks",
            "figures",
            "judging",
            "load",
            "load.faults",
            "load.reading",
            "load.recorded",
            "machine",
            "measuring",
            "pipeline",
            "remote",
            "remote.connection",
            "results",
            "settings",
            "targets",
            "text",
            "turn",
        ),
    ),
    Room(
        "report",
        "what all forms of a report share",
        ("figures", "judging", "load", "load.recorded", "machine", "results", "turn"),
    ),
    Room(
        "report.console",
        "tables and drawings for a terminal",
        ("figures", "judging", "load", "load.recorded", "report", "results", "turn"),
    ),
    Room(
        "report.exchange",
        "JUnit, Markdown, badges, CI services, benchmark trackers, monitoring",
        (
            *("figures", "judging", "load", "load.recorded", "report", "report.console"),
            *("results", "turn"),
        ),
    ),
    Room(
        "report.html",
        "pages in HTML that open offline: of a run, of two, of a sweep, of a trend, of load",
        (
            "audio",
            "figures",
            "judging",
            "load",
            "load.recorded",
            "machine",
            "report",
            "report.console",
            "results",
            "turn",
        ),
    ),
    Room(
        "sprints",
        "the sprint report: how the figures changed in a period of work",
        ("figures", "judging", "report", "report.console", "report.exchange", "results"),
    ),
    Room(
        "server",
        "the pipeline behind HTTP and WebSocket, with a web page",
        (
            "agents",
            "agents.local",
            "audio",
            "calls",
            "engines.llm",
            "pipeline",
            "settings",
            "targets",
            "text",
            "turn",
        ),
    ),
    Room(
        "interface",
        "the Python interface: measure, read a run back, judge it; a plugin for pytest",
        (
            "audio",
            "figures",
            "judging",
            "load",
            "load.recorded",
            "machine",
            "measuring",
            "results",
            "settings",
            "targets",
            "turn",
        ),
    ),
    Room(
        "cli",
        "one module for each command; the only room that prints or exits",
        (
            "agents",
            "audio",
            "calls",
            "calls.running",
            "checks",
            "engines.models",
            "figures",
            "judging",
            "load",
            "load.recorded",
            "load.running",
            "machine",
            "measuring",
            "remote",
            "remote.clients",
            "remote.connection",
            "report",
            "report.console",
            "report.exchange",
            "report.html",
            "results",
            "server",
            "settings",
            "sprints",
            "targets",
            "text",
            "turn",
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


def layers() -> list[list[str]]:
    """Return the rooms by layer, the lowest first: a room stands above all rooms that it uses."""
    heights: dict[str, int] = {}
    for room in ROOMS:
        lowest = 0 if room.folder == VOCABULARY else 1
        heights[room.folder] = max([lowest, *(heights[used] + 1 for used in room.uses)])
    levels = range(max(heights.values()) + 1)
    return [[room for room, height in heights.items() if height == level] for level in levels]


def as_picture() -> str:
    """Return the layers of docs/explanation/architecture.md, the highest first, with counts."""
    arrows = sum(len(room.uses) for room in ROOMS)
    counted = f"{len(ROOMS)} rooms, {arrows} arrows, {len(layers())} layers:"
    lines = []
    for level, rooms in reversed(list(enumerate(layers()))):
        names = ("top of the package" if room == VOCABULARY else room for room in rooms)
        lines.append(f"{level:>2}  {' · '.join(names).replace('.', '/')}")
    return "\n".join([counted, "", "```text", *lines, "```"])


def as_markdown(rooms: Iterable[Room] = ROOMS) -> str:
    """Return the table of docs/explanation/architecture.md, the highest room first."""
    rows = ["| room | what it promises | imports from |", "|---|---|---|"]
    for room in reversed(list(rooms)):
        folder = f"`{room.folder.replace('.', '/')}/`"
        name = "top of the package" if room.folder == VOCABULARY else folder
        uses = ", ".join(f"`{used}`" for used in room.uses) or "–"
        pure = " *Pure.*" if room.pure else ""
        rows.append(f"| {name} | {room.promise}.{pure} | {uses} |")
    return "\n".join(rows)
