"""Decides by their differences whether two runs may be compared.

==============  ==================================================================================
refused         differences that change the meaning of a number: when a sample counts as audible,
                whether a turn includes connecting, and prompts with less than half in common
warned of       differences outside the settings that change figures: the machine, its processor,
                cores, devices and software, and how the engines compute (C or torch)
shown           everything else in the settings: usually the thing that is being compared
left out        name, folders, number of turns, gates and how they are judged
==============  ==================================================================================

Two runs side by side may have two targets: that is a comparison. Runs in one *series* (one line of
a trend, or a run and the previous one) must have the same target (`TARGET`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from voicebench.figures.columns import Columns

SAME_PROMPTS_FROM = 0.5

REFUSED = ("audible", "wire.cold_connection")
"""Settings, or whole sections, whose difference changes the meaning of a number."""
TARGET = (
    *("run.target", "llm.model", "llm.url", "tts.voice", "tts.model", "tts.url", "tts.api"),
    *("server.url", "server.voice", "call.url"),
)
"""Settings that define the target."""
LEFT_OUT = (
    "origins",
    "gates",
    "judge",
    "load",
    "otlp",
    "call.gates",
    "call.calls",
    "call.script",
    "run.name",
    "run.results",
    "run.save_audio",
    "run.runs",
    "run.prompts",
    "run.prompt",
)
"""Settings that need not agree. The prompts themselves are compared, not the name of a file."""
HARDWARE = ("machine", "cpu", "cores", "memory_bytes")
MACHINE = (*HARDWARE, "system", "governor", "python", "voicebench")
MACHINE_PACKAGES = ("torch", "transformers", "tokenizers", "numpy", "piper-tts", "httpx")
COMPUTING = ("device", "engine", "kernels")
"""Entries of an engine's description that the machine decides, not the settings."""


class Measured(Protocol):
    """The conditions of a measured run."""

    @property
    def settings(self) -> Mapping[str, object]:
        """The stored settings."""
        ...

    @property
    def environment(self) -> Mapping[str, object]:
        """The machine and the software; see `voicebench.machine.environment`."""
        ...

    @property
    def columns(self) -> Columns:
        """The measured turns."""
        ...


@dataclass(frozen=True, slots=True)
class Disagreement:
    """One difference of two runs: the key of the setting, and both values."""

    key: str
    first: object
    second: object

    def __str__(self) -> str:
        """Return ``chunker.first_words: 3 → 2``."""
        return f"{self.key}: {_shown(self.first)} → {_shown(self.second)}"


@dataclass(frozen=True, slots=True)
class Comparability:
    """The differences of two runs, by how much they matter."""

    refused: tuple[str, ...]
    warned: tuple[Disagreement, ...]
    shown: tuple[Disagreement, ...]

    def as_dict(self) -> dict[str, object]:
        """Return the differences for ``--json``."""
        return {
            "refused": list(self.refused),
            "warned": [[one.key, one.first, one.second] for one in self.warned],
            "differs": [[one.key, one.first, one.second] for one in self.shown],
        }


def comparability(first: Measured, second: Measured) -> Comparability:
    """Return the differences of two runs."""
    refused: list[str] = []
    shown = []
    for found in _differing(flattened(first.settings), flattened(second.settings)):
        if _is_any(found.key, REFUSED):
            refused.append(str(found))
        elif not _is_any(found.key, LEFT_OUT):
            shown.append(found)
    common = shared_prompts(first.columns.prompts, second.columns.prompts)
    refused += _other_prompts(common)
    machines = [_machine(side.environment) for side in (first, second)]
    return Comparability(tuple(refused), tuple(_differing(machines[0], machines[1])), tuple(shown))


def other_series(first: Measured, second: Measured) -> list[str]:
    """Return why two runs are not of one series, such as another target; empty if they are."""
    found = other_target(first.settings, second.settings)
    common = shared_prompts(first.columns.prompts, second.columns.prompts)
    return [str(setting) for setting in found] + _other_prompts(common)


def other_target(first: Mapping[str, object], second: Mapping[str, object]) -> list[Disagreement]:
    """Return the differing settings that change the target or the meaning of a number."""
    differing = _differing(flattened(first), flattened(second))
    return [found for found in differing if _is_any(found.key, (*TARGET, *REFUSED))]


def series_settings(settings: Mapping[str, object]) -> dict[str, object]:
    """Return the settings that define a series of runs, by their flat keys."""
    wanted = (*TARGET, *REFUSED, "run.prompts", "run.prompt")
    return {key: value for key, value in flattened(settings).items() if _is_any(key, wanted)}


def hardware_of(environment: Mapping[str, object]) -> dict[str, object]:
    """Return the known hardware that a run was measured on."""
    flat = flattened(environment)
    return {key: flat[key] for key in HARDWARE if flat.get(key) is not None}


def instrument_error_ms(environment: Mapping[str, object]) -> float:
    """Return the instrument's own median error that is stored with a run; 0 if none is."""
    error = flattened(environment).get("instrument.p50_ms")
    return float(error) if isinstance(error, int | float) else 0.0


def shared_prompts(first: Sequence[str], second: Sequence[str]) -> float:
    """Return the share of the smaller set of prompts that is in the other set too."""
    ours, theirs = set(first), set(second)
    smaller = min(len(ours), len(theirs))
    return len(ours & theirs) / smaller if smaller else 1.0


def _other_prompts(common: float) -> list[str]:
    return [f"prompts: {100 * common:.0f} % in common"] if common < SAME_PROMPTS_FROM else []


def _differing(first: Mapping[str, object], second: Mapping[str, object]) -> list[Disagreement]:
    """Return the keys with different values, among those that both sides have."""
    return [
        Disagreement(key, first[key], second[key])
        for key in first
        if key in second and first[key] != second[key]
    ]


def flattened(tree: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    """Return nested settings with dotted keys; an empty section is kept as it is."""
    flat: dict[str, object] = {}
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            flat |= flattened(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _machine(environment: Mapping[str, object]) -> dict[str, object]:
    flat = flattened(environment)
    wanted = [*MACHINE, *(f"packages.{name}" for name in MACHINE_PACKAGES)]
    wanted += [f"target.{engine}.{what}" for engine in ("llm", "tts") for what in COMPUTING]
    return {key: flat[key] for key in wanted if key in flat}


def _is_any(key: str, parents: Sequence[str]) -> bool:
    """Return whether ``key`` is one of ``parents`` or lies under one."""
    return any(key == parent or key.startswith(f"{parent}.") for parent in parents)


def _shown(value: object) -> str:
    text = "–" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
