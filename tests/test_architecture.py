"""The picture of the house, held: which way imports point, who reads the clock, who may speak.

Everything here reads the source; nothing is imported. Where a rule has an exception, the exception
stands here with its reason, and an exception that is no longer used fails too.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Collection, Iterable, Iterator

import pytest
from import_graph import (
    PACKAGE,
    Module,
    loaded_with,
    needed_by,
    parse_modules,
    part,
    read_modules,
    top,
)

MODULES = read_modules()

LAYERS: tuple[tuple[str, ...], ...] = (
    ("__main__",),
    ("cli",),
    ("server",),
    ("versus", "tuning"),
    ("session", "doctor", "quality"),
    ("transports",),
    ("measuring", "selftest", "speaking"),
    ("targets",),
    ("pipeline",),
    ("report",),
    ("results", "advice"),
    ("settings",),
    ("judgement", "choosing"),
    ("regression",),
    ("gate_advice",),
    ("comparison", "streaming_check"),
    ("final",),
    ("gates", "comparability"),
    ("figures", "phases", "differences", "noise", "replay", "remarked"),
    ("digest",),
    ("columns", "validity"),
    ("summary",),
    ("metrics", "recorder", "machine_state", "llm", "tts"),
    ("native", "redaction"),
    ("timeline", "chunking", "scheduling", "models", "remote", "wire"),
    ("playback", "intervals", "audio", "orthography", "devices", "prompts"),
    ("errors", "format", "environment", "slower", "strict_json"),
    ("quoting", "secret_names"),
    ("secrecy",),
    ("events",),
)
"""From top to bottom: a module imports from its own part of the house, or from parts below it."""

CALCULATIONS = (
    "events",
    "errors",
    "format",
    "slower",
    "strict_json",
    "quoting",
    "secrecy",
    "secret_names",
    "redaction",
    "timeline",
    "playback",
    "metrics",
    "intervals",
    "summary",
    "figures",
    "phases",
    "columns",
    "digest",
    "differences",
    "comparability",
    "comparison",
    "gates",
    "final",
    "regression",
    "judgement",
    "choosing",
    "noise",
    "validity",
    "replay",
    "remarked",
    "advice",
    "gate_advice",
    "wire",
    "chunking",
    "orthography",
    "audio.encodings",
    "audio.hearing",
    "audio.misreading",
    "audio.pcm",
    "audio.seams",
    "audio.spectra",
    "audio.synthetic_voice",
)
"""Modules that only calculate: the same answer for the same input, on every machine."""

LIGHT = (*CALCULATIONS, "recorder", "scheduling", "results", "measuring", "selftest")
"""Modules that import numpy at most when they are loaded."""

WORLD = {
    "asyncio", "datetime", "glob", "http", "io", "logging", "multiprocessing", "os", "pathlib",
    "queue", "random", "secrets", "shutil", "signal", "socket", "subprocess", "sys", "tempfile",
    "threading", "time", "urllib", "uuid",
}  # fmt: skip
"""What a calculation has no business with."""

SLOW = {
    "av", "fastapi", "faster_whisper", "gguf", "google", "httpcore", "httpx", "huggingface_hub",
    "onnx", "onnxruntime", "openai", "pandas", "piper", "plotly", "safetensors", "scipy",
    "sounddevice", "soxr", "starlette", "tokenizers", "torch", "transformers", "uvicorn",
    "websockets",
}  # fmt: skip
"""Packages that are imported only when what needs them is used."""

MAY_LOAD_SLOW = ("llm", "tts", "models", "remote", "audio", "targets", "server")
"""Parts in which a module may import them at once; nothing outside imports that module at once."""

NEVER_SLOW = (
    *("targets.opening", "targets.cascade", "targets.simulated"),
    *("tts.local", "tts.tuning", "tts.finding", "tts.vits.native_trial"),
)
"""Modules in those parts that every run loads, whatever its target and whatever computes it."""

CLOCK_READERS = {
    "recorder": "the one clock; and the wall clock's label",
    "llm.fast.calibration": "which way of computing is the fastest on this machine",
    "measuring": "passes the recorder its clock; the silence before a turn",
    "machine_state": "counters around a turn, and the pauses of the garbage collector",
    "scheduling": "how much of the audio a listener has played by now",
    "targets.simulated": "the instrument's test target plays against the clock",
    "environment": "measures the clock's own resolution",
    "results.folder": "the run folder's name",
    "models.fetch": "progress of a download",
    "remote.connecting": "when to give up, and how long opening a connection took",
    "remote.http": "our duration of the one request that a server reports its own for",
    "remote.answer": "our duration of a request that a server reports its own for",
    "remote.lines": "when to give up",
    "remote.open_socket": "how long opening a connection took, before the turn",
    "remote.timeouts": "when to give up",
    "tts.pace": "how fast this machine synthesizes, measured when a voice is loaded",
    "report.progress": "the time left, for people who wait",
    "server.clock": "durations that the server reports of itself, and the date of an answer",
}

SLEEPERS = {
    "measuring": "the silence before a turn that was asked for",
    "targets.simulated": "the scripted delays",
}

SPEAKERS = {
    "models.gguf_convert": "a program of its own, run as a child process; its parent reads it",
}
"""Modules outside the command line that print or exit."""

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


def short(name: str) -> str:
    return name.removeprefix(f"{PACKAGE}.")


def is_within(name: str, parts: tuple[str, ...]) -> bool:
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
    return {name for name in exceptions if f"{PACKAGE}.{name}" in MODULES and name not in found}


def foreign(names: set[str]) -> set[str]:
    """Return the packages among ``names`` that are neither ours nor Python's own."""
    return {top(name) for name in names} - {PACKAGE, *sys.stdlib_module_names}


# Imports point one way.


@pytest.mark.parametrize("name", sorted(name for name in MODULES if part(name)))
def test_imports_point_one_way(name: str) -> None:
    height = {piece: -index for index, layer in enumerate(LAYERS) for piece in layer}
    assert part(name) in height, f"say in LAYERS where {part(name)!r} stands in the house"
    ours = {known for known in MODULES[name].imported() if known in MODULES and part(known)}
    upwards = {
        known
        for known in ours
        if part(known) != part(name) and height[part(known)] >= height[part(name)]
    }
    assert not upwards, f"{name} may only import from below it"


def test_a_report_reads_what_was_recorded_and_never_loads_what_made_it() -> None:
    reports = [name for name in MODULES if part(name) == "report"]
    assert reports
    for name in reports:
        loaded = loaded_with(name, MODULES, "at once", "later", "for types")
        assert not {known for known in loaded if is_within(known, MAKERS)}, name


MAKERS = ("targets", "pipeline", "llm", "tts", "models", "measuring", "session")


def test_no_module_needs_itself_to_be_loaded() -> None:
    for name, module in MODULES.items():
        for needed in module.imported("at once"):
            assert name not in needed_by(needed, MODULES), f"{name} and {needed} need each other"


# What is loaded when.


@pytest.mark.parametrize("name", sorted(name for name in MODULES if is_within(name, LIGHT)))
def test_what_measures_and_calculates_imports_numpy_at_most(name: str) -> None:
    # orjson reads the lines of results; what it loads itself is loaded anyway.
    assert foreign(loaded_with(name, MODULES)) <= {"numpy", "orjson"}


@pytest.mark.parametrize("name", sorted(name for name in MODULES if is_within(name, CALCULATIONS)))
def test_what_only_calculates_has_nothing_to_do_with_the_world(name: str) -> None:
    imported = MODULES[name].imported() - {"urllib.parse"}  # it takes texts apart
    assert not {top(known) for known in imported} & WORLD
    assert not NAMES[name] & {"open", "input"}


@pytest.mark.parametrize("name", sorted(MODULES))
def test_slow_packages_are_loaded_only_by_what_needs_them(name: str) -> None:
    if not is_within(name, MAY_LOAD_SLOW) or is_within(name, NEVER_SLOW):
        assert not foreign(loaded_with(name, MODULES)) & SLOW


@pytest.mark.parametrize("package", MAY_LOAD_SLOW)
def test_naming_an_engines_package_loads_nothing_slow(package: str) -> None:
    assert not foreign(loaded_with(f"{PACKAGE}.{package}", MODULES)) & SLOW


def test_the_help_of_every_command_needs_nothing_but_typer() -> None:
    commands = sorted(name for name in MODULES if part(name) == "cli")
    assert f"{PACKAGE}.cli" in commands
    for name in commands:
        loaded = loaded_with(name, MODULES)
        assert foreign(loaded) == {"typer"}
        ours = {part(known) for known in loaded if top(known) == PACKAGE}
        assert ours <= {"", "cli", "errors", "devices"}  # each needs the standard library alone


def test_click_is_never_imported_because_typer_carries_its_own() -> None:
    importing = [name for name, module in MODULES.items() if "click" in foreign(module.imported())]
    assert not importing


# Effects at the edge.


def test_one_module_reads_the_clock() -> None:
    readers = users(CLOCK_CALLS.__contains__)
    assert set(readers) <= set(CLOCK_READERS)
    assert not unused(CLOCK_READERS, readers)


def test_nobody_sleeps_but_who_was_asked_to() -> None:
    sleepers = users(lambda used: used in {"time.sleep", "asyncio.sleep"})
    assert set(sleepers) <= set(SLEEPERS)
    assert not unused(SLEEPERS, sleepers)


def test_only_the_command_line_prints_or_exits() -> None:
    speaking = {
        "print", "input", "breakpoint", "exit", "quit", "SystemExit",
        "sys.exit", "sys.stdout", "sys.stderr", "sys.stdin", "os._exit",
        "typer.echo", "typer.Exit", "rich.print",
    }  # fmt: skip
    speakers = {name for name in users(speaking.__contains__) if not is_within(name, ("cli",))}
    assert speakers <= set(SPEAKERS)
    assert not unused(SPEAKERS, speakers)


def test_only_the_command_line_and_the_reports_know_the_terminal() -> None:
    importing = {
        short(name)
        for name, module in MODULES.items()
        if {"rich", "typer"} & foreign(module.imported())
    }
    assert importing
    assert not {name for name in importing if not is_within(name, ("cli", "report"))}


def test_what_is_printed_goes_through_the_one_place() -> None:
    """A line or a table is made harmless where it leaves: by `Printable`, `shown` or `one_line`."""
    safe = ("Printable(", "shown(", "one_line(")
    loose: dict[str, set[str]] = {}
    for name, module in MODULES.items():
        if not is_within(name, ("cli", "report")):
            continue
        for call in (node for node in ast.walk(module.tree) if isinstance(node, ast.Call)):
            function = ast.unparse(call.func)
            if function not in ("print", "typer.echo") and not function.endswith("onsole.print"):
                continue
            if call.args and not isinstance(call.args[0], ast.Constant):
                said = ast.unparse(call.args[0])
                if not said.startswith(safe):
                    loose.setdefault(short(name), set()).add(said)
    assert loose == LOOSE


LOOSE = {
    "cli": {"f'voicebench {voicebench.__version__}'"},
    "cli.models": {
        "table",
        "f'{model.name}: {model.licence_note}. {model.card}'",
        "_line(step)",
    },
    "cli.selftest": {
        "line",
        "f\"p95 under {bound}: kept by {kept} of {form.plural(len(errors), 'transport')}\"",
    },
    "cli.serve": {"f'serving on {url}'"},
    "cli.verify": {"f\"and {plural(checked.differences - SHOWN, 'other difference')}\""},
}
"""What is printed as it is: figures, and names of our own."""


def test_json_that_is_kept_or_printed_escapes_what_does_not_print() -> None:
    writing = users(lambda used: used == "json.dumps")
    assert {name for name in writing if is_within(name, ("results", "report", "cli"))} <= {
        "cli.config",  # a cell of a table
        "cli.tune",  # in ASCII
        "report.html.charts",  # read by the program that draws
        "report.html.turns",  # numbers
        "report.sprint.stored",  # tried, and thrown away
    }


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
    assert f"{PACKAGE}.timeline" in MODULES[f"{PACKAGE}.metrics"].imported("at once")
    assert "torch" in foreign(loaded_with(f"{PACKAGE}.tts.vits.network", MODULES))
    assert "time.perf_counter_ns" in NAMES[f"{PACKAGE}.recorder"]
