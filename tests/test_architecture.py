"""The picture of the house, held: which way imports point, who reads the clock, who may write.

Everything here reads the source; nothing is imported. The rooms are in ``support/house.py``. Where
a rule has an exception, the exception stands here with its reason, and an exception that is no
longer used fails too.
"""

from __future__ import annotations

import ast
import sys
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path

import pytest
from house import BY_FOLDER, ROOMS, VOCABULARY, Room, as_markdown, room_of
from import_graph import (
    PACKAGE,
    ROOT,
    Module,
    circles,
    loaded_with,
    parse_modules,
    read_modules,
    top,
)

MODULES = read_modules()

IMPURE = {
    "turn.recorder": "the one clock",
    "text.prompts": "reads the prompts' files",
    "secrecy": "knows percent-encoding by urllib.parse, which only calculates",
    "secret_names": "takes URLs apart by urllib.parse, which only calculates",
}
"""Modules of pure rooms that are not pure themselves."""

LIGHT_TOO = ("turn", "results", "measuring.plan", "checks.selftest", "pipeline.scheduling")
"""What else imports numpy at most when it is loaded, beside the pure rooms."""

WORLD = {
    "asyncio", "datetime", "glob", "http", "io", "logging", "multiprocessing", "os", "pathlib",
    "queue", "random", "secrets", "shutil", "signal", "socket", "subprocess", "sys", "tempfile",
    "threading", "time", "urllib", "uuid",
}  # fmt: skip
"""What a calculation has no business with."""

SLOW = {
    "aiortc", "av", "fastapi", "faster_whisper", "gguf", "google", "httpcore", "httpx",
    "huggingface_hub", "livekit", "onnx", "onnxruntime", "openai", "pandas", "piper", "plotly",
    "safetensors", "scipy", "sounddevice", "soxr", "starlette", "tokenizers", "torch",
    "transformers", "uvicorn", "websockets",
}  # fmt: skip
"""Packages that are imported only when what needs them is used."""

MAY_LOAD_SLOW = ("engines", "remote", "audio", "targets", "agents", "server", "load.reading")
"""Rooms in which a module may import them at once; nothing outside imports that module at once."""

SLOW_MODULES = (
    "load.running.call_reader",
    "checks.scripted_webrtc_agent",
    "checks.scripted_livekit_room",
)
"""Modules outside these rooms that may do the same; only what needs them imports them."""

NEVER_SLOW = (
    *("agents.agent_kinds", "agents.scripted_agent"),
    *("targets.kinds", "targets.cascade", "targets.simulated"),
    *("engines.tts.synthesizer", "engines.tts.fitting", "engines.tts.finding"),
    "engines.tts.vits.voice_trial",
    *("engines.llm.language_model", "engines.llm.fast.fast_model", "engines.llm.fast.choosing"),
)
"""Modules in those rooms that every run loads, whatever its target and whatever computes it."""

MEASURING_PATH = (
    *("turn", "pipeline", "targets", "measuring", "load.reading", "load.running"),
    *("calls", "agents"),
)
"""The rooms that a turn passes while it is measured."""

CLOCKS_OF_THE_PATH = {
    "agents.livekit_token": "until when a token is good, by the wall clock",
    "agents.local.spoken_reply": "how long the engines worked on a reply that was thrown away",
    "calls.running.placing": "the clock of a call, and the schedule of the caller's frames",
    "turn.recorder": "the one clock; and the wall clock's label",
    "measuring.plan": "passes the recorder its clock; the silence before a turn",
    "load.reading.cascade_turn": "the turn's start and end, and when its chunks are handed over",
    "load.reading.http_exchange": "when a request is sent, and when to give up",
    "load.reading.speech_streams": "when a stream of the self-test has to have ended",
    "load.reading.budget_timer": "when to give up a WebSocket",
    "load.reading.socket_line": "when a WebSocket was not opened in time",
    "load.reading.socket_turn": "the turn's start, its request and its interruption",
    "load.reading.reading_loop": "stamps what was read, as the recorder would; timers",
    "load.running.call_reader": "how long connections may take to open before a level",
    "load.running.level_clock": "when a turn is due",
    "load.running.speaking_callers": "the schedule of all callers' frames",
    "pipeline.device_queue": "how long a device is kept for a turn, and how much was played by now",
    "pipeline.scheduling": "how much of the audio a listener has played by now",
    "targets.simulated": "the instrument's test target plays against the clock",
}

CLOCKS_ELSEWHERE = {
    "checks.timed_agent": "the scripted agent of the self-test, on the real clock",
    "checks.agent_line": "when a message came to the scripted agent, and when its answer left",
    "checks.scripted_webrtc_agent": "the same of packets",
    "checks.scripted_livekit_room": "is a token still good, and the labels of messages",
    "checks.many_streams": "when the streams begin, and the processor time of the reader",
    "checks.compiled": "the time of each stage, for `doctor --compile`",
    "engines.llm.fast.choosing": "the time of a token, for `doctor --quality`",
    "machine.machine_state": "counters around a turn, and the pauses of the garbage collector",
    "machine.environment": "measures the clock's own resolution",
    "load.pacing.paced_server": "when to send the next step, and the stamp of what was sent",
    "results.folder": "the run folder's name",
    "engines.models.fetch": "progress of a download",
    "remote.connection.connecting": "when to give up, and how long opening a connection took",
    "remote.connection.kernel_stamps": "how long bytes lay in the kernel before they were read",
    "remote.connection.http": "our duration of a request that a server reports its own for",
    "remote.connection.connection": "stamps what was read, as the recorder would",
    "remote.connection.connection_pool": "when to give up",
    "remote.connection.open_socket": "how long opening a connection took, before the turn",
    "remote.connection.timeouts": "when to give up",
    "engines.tts.pace": "how fast this machine synthesizes, measured when a voice is loaded",
    "report.console.progress": "the time left, for people who wait",
    "server.clock": "durations that the server reports of itself, and the date of an answer",
}

SLEEPERS = {
    "agents.livekit_line": "how often the caller tells LiveKit's server that he is there",
    "agents.webrtc_line": "how often the caller tells a WebRTC agent that he is there",
    "checks.scripted_livekit_room": "waits until its first connection stands",
    "checks.scripted_webrtc_agent": "the schedule of the scripted agent's frames",
    "load.faults.fault_proxy": "bytes that are held back because a fault was asked for",
    "calls.running.placing": "the schedule of the caller's frames",
    "load.running.small_steps": "the pauses of a process of least priority",
    "measuring.plan": "the silence before a turn that was asked for",
    "targets.simulated": "the scripted delays",
}

SPEAKERS = {
    "engines.models.gguf_convert": "a program of its own, run as a child process",
}
"""Modules outside the command line that print or exit."""

WRITERS = {
    "results": "the run folder and the baseline",
    "engines": "the cache: models, what was found out about them; the libraries in C",
    "audio": "WAV files that were asked for",
    "report.exchange.ci_services": "the step summary of a CI service",
    "cli": "what a command was told to write",
}
"""Who may write files: rooms and modules."""

CLOCK_CALLS = {
    *(
        f"time.{name}{unit}"
        for name in ("time", "perf_counter", "monotonic", "process_time", "thread_time")
        for unit in ("", "_ns")
    ),
    "datetime.now",
    "datetime.utcnow",
    "datetime.today",
    "date.today",
}

NAMED_TWICE: dict[str, str] = {}
"""File names that stand in two rooms, with the reason. Commands are named as what they do."""

CLASSES_TWICE: dict[str, str] = {}
"""Public class names that stand in two files, with the reason."""


def short(name: str) -> str:
    return name.removeprefix(PACKAGE).removeprefix(".")


def is_within(name: str, parts: Collection[str]) -> bool:
    """Tell whether a module is one of ``parts`` or inside one of them."""
    return any(short(name) == known or short(name).startswith(f"{known}.") for known in parts)


def names_used(module: Module) -> Iterator[str]:
    """Yield every plain name and every dotted pair that the code mentions: ``time.sleep``."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            owner = node.value
            left = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", "")
            yield f"{left}.{node.attr}"
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


NAMES = {name: set(names_used(module)) for name, module in MODULES.items()}


def users(wanted: Callable[[str], bool]) -> dict[str, set[str]]:
    """Return each module, by its short name, that mentions a wanted name, with those names."""
    found = {short(name): set(filter(wanted, names)) for name, names in NAMES.items()}
    return {name: used for name, used in found.items() if used}


def unused(exceptions: Iterable[str], found: Collection[str]) -> set[str]:
    """Return the modules that are excepted from a rule and keep it all the same."""
    return {name for name in exceptions if name not in found}


def foreign(names: set[str]) -> set[str]:
    """Return the packages among ``names`` that are neither ours nor Python's own."""
    return {top(name) for name in names} - {PACKAGE, *sys.stdlib_module_names}


# The rooms.


def arrows() -> dict[str, set[str]]:
    """Return, for each room, the other rooms that its modules import from, at any time."""
    found: dict[str, set[str]] = defaultdict(set)
    for name, module in MODULES.items():
        for known in module.imported():
            if known in MODULES and known != PACKAGE:
                found[room_of(short(name))].add(room_of(short(known)))
    return {room: rooms - {room, VOCABULARY} for room, rooms in found.items()}


ARROWS = arrows()


def test_no_more_than_eight_files_stand_at_the_top() -> None:
    assert len(list((ROOT / PACKAGE).glob("*.py"))) <= 8


def test_every_folder_is_a_room() -> None:
    folders = {p.parent.relative_to(ROOT / PACKAGE) for p in (ROOT / PACKAGE).rglob("*.py")}
    tops = {folder.parts[0] for folder in folders if folder.parts}
    assert tops == {room.folder.split(".")[0] for room in ROOMS if room.folder != VOCABULARY}


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.folder)
def test_a_room_imports_from_the_rooms_that_its_row_names(room: Room) -> None:
    used = ARROWS.get(room.folder, set())
    entry_points = {"cli"} if room.folder == VOCABULARY else set()
    assert used - entry_points == set(room.uses)


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.folder)
def test_imports_point_down(room: Room) -> None:
    height = {known.folder: level for level, known in enumerate(ROOMS)}
    assert {used for used in room.uses if height[used] >= height[room.folder]} == set()


def test_engines_and_wires_know_nothing_of_each_other() -> None:
    for room in ROOMS:
        if room.folder.startswith("engines"):
            assert not {used for used in room.uses if used.startswith("remote")}
        if room.folder.startswith("remote"):
            assert not {used for used in room.uses if used.startswith("engines")}


def test_verdicts_are_free_of_folders_and_settings() -> None:
    assert not {"results", "settings"} & set(BY_FOLDER["judging"].uses)


def test_a_report_reads_what_was_recorded_and_never_loads_what_made_it() -> None:
    reports = [name for name in MODULES if is_within(name, ("report", "sprints"))]
    assert reports
    for name in reports:
        loaded = loaded_with(name, MODULES, "at once", "later", "for types")
        assert not {known for known in loaded if is_within(known, MAKERS)}, name


MAKERS = ("targets", "pipeline", "engines", "remote", "measuring", "load.running")


def test_no_file_needs_itself_not_even_for_a_type() -> None:
    assert circles(MODULES) == []


def test_the_page_on_the_architecture_has_every_room() -> None:
    page = (ROOT / "docs" / "explanation" / "architecture.md").read_text(encoding="utf-8")
    assert as_markdown() in page, "run: make docs"


def test_a_file_name_stands_in_one_room() -> None:
    folders: dict[str, list[str]] = defaultdict(list)
    for name in MODULES:
        if not is_within(name, ("cli",)) and name in _files():
            folders[name.rpartition(".")[2]].append(name)
    twice = {file: names for file, names in folders.items() if len(names) > 1}
    assert set(twice) == set(NAMED_TWICE)


def _files() -> set[str]:
    """Return the modules that are files, not the folders' own."""
    paths = (path.relative_to(ROOT).with_suffix("") for path in (ROOT / PACKAGE).rglob("*.py"))
    return {".".join(path.parts) for path in paths if path.name != "__init__"}


def test_a_public_class_name_means_one_thing() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for name, module in MODULES.items():
        for node in module.tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(name)
    assert {name for name, where in places.items() if len(where) > 1} == set(CLASSES_TWICE)


def test_no_constant_is_copied_to_dodge_an_arrow() -> None:
    rooms: dict[tuple[str, str], set[str]] = defaultdict(set)
    for name, module in MODULES.items():
        for constant, value in _constants(module):
            rooms[constant, value].add(room_of(short(name)))
    assert not {key: where for key, where in rooms.items() if len(where) > 1}


def _constants(module: Module) -> Iterator[tuple[str, str]]:
    """Yield each constant and its value; plain numbers may be equal by chance."""
    for node in module.tree.body:
        if not isinstance(node, ast.Assign):
            continue
        for target in node.targets:
            if isinstance(target, ast.Name) and target.id.isupper() and not _is_number(node.value):
                yield target.id, ast.unparse(node.value)


def _is_number(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and isinstance(value.value, int | float)


# What is loaded when.


def is_pure(name: str) -> bool:
    return BY_FOLDER[room_of(short(name))].pure and not is_within(name, IMPURE)


PURE = sorted(name for name in MODULES if is_pure(name) and short(name) not in {"", "__main__"})


@pytest.mark.parametrize("name", PURE)
def test_what_only_calculates_has_nothing_to_do_with_the_world(name: str) -> None:
    assert not {top(known) for known in MODULES[name].imported()} & WORLD
    assert not NAMES[name] & {"open", "input"}


def test_no_exception_from_purity_is_idle() -> None:
    assert {name for name in IMPURE if {top(k) for k in _imported(name)} & WORLD} == set(IMPURE)


def _imported(name: str) -> set[str]:
    return MODULES[f"{PACKAGE}.{name}"].imported()


@pytest.mark.parametrize(
    "name", [*PURE, *sorted(name for name in MODULES if is_within(name, LIGHT_TOO))]
)
def test_what_measures_and_calculates_imports_numpy_at_most(name: str) -> None:
    # orjson reads the lines of results; what it loads itself is loaded anyway.
    assert foreign(loaded_with(name, MODULES)) <= {"numpy", "orjson"}


@pytest.mark.parametrize("name", sorted(MODULES))
def test_slow_packages_are_loaded_only_by_what_needs_them(name: str) -> None:
    if not is_within(name, (*MAY_LOAD_SLOW, *SLOW_MODULES)) or is_within(name, NEVER_SLOW):
        assert not foreign(loaded_with(name, MODULES)) & SLOW


@pytest.mark.parametrize("package", [*MAY_LOAD_SLOW, "engines.llm", "engines.tts"])
def test_naming_an_engines_package_loads_nothing_slow(package: str) -> None:
    assert not foreign(loaded_with(f"{PACKAGE}.{package}", MODULES)) & SLOW


def test_the_help_of_every_command_needs_nothing_but_typer() -> None:
    commands = sorted(name for name in MODULES if is_within(name, ("cli",)))
    assert f"{PACKAGE}.cli" in commands
    light = {"cli", "machine", VOCABULARY}
    for name in commands:
        loaded = loaded_with(name, MODULES)
        assert foreign(loaded) == {"typer"}
        assert {room_of(short(known)) for known in loaded if top(known) == PACKAGE} <= light


def test_click_is_never_imported_because_typer_carries_its_own() -> None:
    importing = [name for name, module in MODULES.items() if "click" in foreign(module.imported())]
    assert not importing


# Effects at the edge.


def test_one_module_reads_the_clock_while_a_turn_is_measured() -> None:
    readers = {name for name in users(CLOCK_CALLS.__contains__) if is_within(name, MEASURING_PATH)}
    assert readers == set(CLOCKS_OF_THE_PATH)


def test_who_else_reads_a_clock_says_why() -> None:
    readers = {
        name for name in users(CLOCK_CALLS.__contains__) if not is_within(name, MEASURING_PATH)
    }
    assert readers == set(CLOCKS_ELSEWHERE)


def test_nobody_sleeps_but_who_was_asked_to() -> None:
    sleepers = users(lambda used: used in {"time.sleep", "asyncio.sleep"})
    assert set(sleepers) == set(SLEEPERS)


def test_files_are_written_in_few_places() -> None:
    calls = {"write_text", "write_bytes", "mkdir", "touch", "rename", "replace", "unlink"}
    writers = {
        short(name)
        for name, module in MODULES.items()
        if any(_writes(node, calls) for node in ast.walk(module.tree))
    }
    assert {name for name in writers if not is_within(name, WRITERS)} == set()
    assert not {place for place in WRITERS if not any(is_within(n, (place,)) for n in writers)}


def _writes(node: ast.AST, calls: set[str]) -> bool:
    """Tell whether a call writes a file: ``path.write_text(…)``, ``open(path, "w")``."""
    if not isinstance(node, ast.Call):
        return False
    texts = [*node.args, *(keyword.value for keyword in node.keywords if keyword.arg == "mode")]
    modes = {a.value for a in texts if isinstance(a, ast.Constant) and isinstance(a.value, str)}
    name = getattr(node.func, "attr", getattr(node.func, "id", ""))
    if name in {"open", "fdopen"}:
        return any(set(mode) & set("wax+") and len(mode) <= 3 for mode in modes)
    if not isinstance(node.func, ast.Attribute) or name not in calls:
        return False
    return name != "replace" or _is_os(node.func)


def _is_os(function: ast.Attribute) -> bool:
    """Tell ``os.replace`` from the ``replace`` of a text or a dataclass."""
    return isinstance(function.value, ast.Name) and function.value.id == "os"


def test_only_the_command_line_prints_or_exits() -> None:
    speaking = {
        "print", "input", "breakpoint", "exit", "quit", "SystemExit",
        "sys.exit", "sys.stdout", "sys.stderr", "sys.stdin", "os._exit",
        "typer.echo", "typer.Exit", "rich.print",
    }  # fmt: skip
    speakers = {name for name in users(speaking.__contains__) if not is_within(name, ("cli",))}
    assert speakers == set(SPEAKERS)


def test_only_the_command_line_and_the_reports_know_the_terminal() -> None:
    importing = {
        short(name)
        for name, module in MODULES.items()
        if {"rich", "typer"} & foreign(module.imported())
    }
    assert importing
    assert not {name for name in importing if not is_within(name, ("cli", "report", "sprints"))}


def test_consoles_are_passed_in() -> None:
    makers = users(lambda used: used == "Console")
    calling = {
        name
        for name in makers
        for node in ast.walk(MODULES[f"{PACKAGE}.{name}"].tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("Console")
    }
    assert not {name for name in calling if not is_within(name, ("cli",))}


def test_nothing_that_runs_code_when_it_is_read_is_ever_read() -> None:
    code = {"pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
    importing = [name for name, module in MODULES.items() if code & _tops(module)]
    assert not importing
    assert not users({"torch.load", "eval", "exec", "numpy.load", "np.load"}.__contains__)


def _tops(module: Module) -> set[str]:
    return {top(name) for name in module.imported()}


# The reader itself: a test that cannot fail is a defect.

HOUSE = parse_modules(
    {
        "voicebench": "__version__ = '1'",
        "voicebench.llm": "from voicebench.events import Token",
        "voicebench.llm.engine": "import torch\nfrom voicebench import llm",
        "voicebench.events": "import time\n\ndef late():\n    import numpy.linalg",
        "voicebench.typed": (
            "from typing import TYPE_CHECKING\n"
            "if TYPE_CHECKING:\n    import torch\nelse:\n    import json\n"
            "try:\n    import scipy\nexcept ImportError:\n    scipy = None\n"
            "class A:\n    import pandas\n    def f(self):\n        import onnx\n"
        ),
        "voicebench.user": "from voicebench.llm import engine",
    }
)


def test_the_reader_tells_when_an_import_is_done() -> None:
    typed = HOUSE["voicebench.typed"]
    assert typed.imports["for types"] == {"torch"}
    assert typed.imports["later"] == {"onnx"}
    assert typed.imports["at once"] == {"typing", "json", "scipy", "pandas"}


def test_the_reader_tells_a_module_from_a_name_in_a_package() -> None:
    assert HOUSE["voicebench.user"].imported() == {"voicebench.llm.engine"}
    assert HOUSE["voicebench.llm"].imported() == {"voicebench.events"}


def test_the_reader_follows_imports_and_the_packages_above_them() -> None:
    loaded = loaded_with("voicebench.user", HOUSE)
    assert loaded == {
        "voicebench", "voicebench.user", "voicebench.llm", "voicebench.llm.engine",
        "voicebench.events", "torch", "time",
    }  # fmt: skip
    assert "numpy.linalg" in loaded_with("voicebench.user", HOUSE, "at once", "later")


def test_the_reader_sees_the_house_as_it_is() -> None:
    assert f"{PACKAGE}.turn.timeline" in MODULES[f"{PACKAGE}.figures.metrics"].imported("at once")
    assert "torch" in foreign(loaded_with(f"{PACKAGE}.engines.tts.vits.torch_voice", MODULES))
    assert "time.perf_counter_ns" in NAMES[f"{PACKAGE}.turn.recorder"]


def test_the_reader_finds_a_circle_made_of_types() -> None:
    typed = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from voicebench.b import B"
    house = parse_modules({"voicebench.a": typed, "voicebench.b": "import voicebench.a"})
    assert circles(house) == [["voicebench.a", "voicebench.b"]]


@pytest.mark.parametrize(
    ("code", "writes"),
    [
        ("open(path, 'w')", True),
        ("path.open(mode='xb')", True),
        ("path.write_text('x')", True),
        ("os.replace(a, b)", True),
        ("text.replace('a', 'b')", False),
        ("open(path)", False),
        ("path.open('rb')", False),
    ],
)
def test_the_reader_tells_what_writes_a_file(code: str, writes: bool) -> None:
    calls = {"write_text", "replace"}
    assert any(_writes(node, calls) for node in ast.walk(ast.parse(code))) == writes


def test_the_root_is_the_repository() -> None:
    assert (Path(ROOT) / "pyproject.toml").exists()
