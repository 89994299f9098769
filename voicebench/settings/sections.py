"""All settings of a run: one class for each section of the settings file.

The text below each key is its documentation: docs/reference/configuration.md and
`voicebench config` print it. The sections of engines and servers are in `engine_sections`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, field_validator

from voicebench.figures.figure import read_change
from voicebench.judging.gates import parse_gate
from voicebench.settings.call_section import CallSettings, EarsSettings
from voicebench.settings.engine_sections import (
    LlmSettings,
    ServerSettings,
    SettingsSection,
    TtsSettings,
    WireSettings,
    refused_as,
)
from voicebench.settings.load_section import LoadSettings
from voicebench.settings.otlp_section import OtlpSettings

DEFAULT_GATES = (
    "llm_total.mean < 200ms",
    "tts_ttfb.p95 < 100ms",
    "first_audio.p95 < 300ms",
    "errors.rate <= 0",
)


class RunSettings(SettingsSection):
    """Settings of a run: target, turns, prompts, results."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")] = "default"
    """Name of the run, part of the run folder's name. Letters, digits, '.', '_', '-'."""
    target: str = "cascade"
    """'cascade' (a language model, the chunker and a synthesizer, each in process or behind a URL),
    'voice' or 'realtime' (server.url does the whole turn), or a simulated target,
    'sim:ttft=120ms,token=8ms,ttfb=70ms,speed=4x'."""
    runs: Annotated[int, Field(ge=1, le=100_000)] = 20
    """Measured turns. 20 is what a p95 needs."""
    warmup: Annotated[int, Field(ge=0, le=1000)] = 3
    """Turns before measuring, on prompts of their own. The very first turn after loading is 'cold'
    and is kept apart."""
    prompts: str | None = None
    """A file of prompts (text, one a line; or JSONL), or a built-in set: 'english', 'french',
    'reference'. Default: the set of the voice's language. A line '---' in a text file ends a
    conversation; a list of strings in JSONL is one."""
    prompt: str | None = None
    """One prompt for every turn."""
    turns_per_conversation: Annotated[int, Field(ge=1, le=1000)] = 1
    """Turns of each conversation; 1: every turn stands alone. A turn of a conversation is answered
    after all messages before it, with the replies as they were received. The measured turns are
    grouped, so 'runs' counts turns, not conversations."""
    sequential: bool = False
    """Begin to synthesize only when the whole reply is there."""
    idle_gap_s: Annotated[float, Field(ge=0, le=3600)] = 0.0
    """Silence before each idle turn, in seconds; 0: no idle turns. They are a phase of their own,
    after the measured turns."""
    idle_turns: Annotated[int, Field(ge=1, le=1000)] = 3
    """Number of idle turns, if idle_gap_s is set."""
    pause_s: Annotated[float, Field(ge=0, le=600)] = 0.0
    """Silence before each measured turn, in seconds."""
    device: str = "auto"
    """Computing device: auto, cpu, mps, cuda or cuda:N."""
    threads: Annotated[int | None, Field(ge=1, le=1024)] = None
    """CPU threads of the engines in process. Default: one per usable core; one less where the other
    engine is remote, for its client."""
    results: Annotated[str, Field(min_length=1)] = "results"
    """Results folder: the folder in which run folders are made."""
    save_audio: bool = False
    """Keep each turn's audio as a WAV file."""


class ChunkerSettings(SettingsSection):
    """How the reply is cut into pieces to speak."""

    first_words: Annotated[int, Field(ge=1, le=100)] = 3
    """Words in the first text chunk."""
    later_words: Annotated[int, Field(ge=1, le=1000)] = 8
    """Words in every later text chunk."""


class AudibleSettings(SettingsSection):
    """The rule for audible sound (see docs/explanation/metrics.md)."""

    threshold: Annotated[float, Field(gt=0, lt=1)] = 0.01
    """RMS, as a share of full scale."""
    frame_ms: Annotated[float, Field(gt=0, le=1000)] = 10.0
    """Length of a frame."""
    hop_ms: Annotated[float, Field(gt=0, le=1000)] = 1.0
    """Step from frame to frame."""
    min_ms: Annotated[float, Field(gt=0, le=5000)] = 20.0
    """Shortest sound that counts."""


class JudgeSettings(SettingsSection):
    """How a run is judged (see docs/explanation/statistics.md)."""

    decide: bool = False
    """Judge gates by their confidence interval: PASS, FAIL or UNDECIDED."""
    until_decided: bool = False
    """Take more turns until every gate is decided; implies decide."""
    max_runs: Annotated[int, Field(ge=1, le=100_000)] = 200
    """Measured turns at which until_decided stops."""
    baseline: Annotated[str | None, Field(min_length=1)] = None
    """The run that this one must not be slower than: a run folder, 'latest', 'sprint:N', or 'set'
    for the one of `voicebench baseline set`."""
    max_regression: Annotated[float, Field(ge=0)] = 0.10
    """How much worse than the baseline a figure may be: '10%', or a number below 1. Needs a
    baseline."""
    streaming_turns: Annotated[int, Field(ge=0, le=100)] = 1
    """After the run, a voice in this process speaks this many measured turns again, not streamed,
    to compare the samples."""
    allow_noise: bool = False
    """Keep the verdict on a machine that is too noisy for it."""

    @field_validator("max_regression", mode="before")
    @classmethod
    def _a_change_has_its_sign(cls, value: object) -> object:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            return value
        with refused_as("change"):
            return read_change(value, "it")

    @property
    def is_held_to_nothing(self) -> bool:
        """Whether ``max_regression`` is set without a baseline to compare with."""
        return self.baseline is None and "max_regression" in self.model_fields_set


class Settings(SettingsSection):
    """Everything that can be set for a run."""

    run: RunSettings = RunSettings()
    llm: LlmSettings = LlmSettings()
    chunker: ChunkerSettings = ChunkerSettings()
    tts: TtsSettings = TtsSettings()
    server: ServerSettings = ServerSettings()
    wire: WireSettings = WireSettings()
    audible: AudibleSettings = AudibleSettings()
    judge: JudgeSettings = JudgeSettings()
    load: LoadSettings = LoadSettings()
    call: CallSettings = CallSettings()
    ears: EarsSettings = EarsSettings()
    otlp: OtlpSettings = OtlpSettings()
    gates: list[str] = Field(default=list(DEFAULT_GATES))
    """What the run is judged by; see docs/explanation/metrics.md."""

    @field_validator("gates")
    @classmethod
    def _gates_can_be_read(cls, gates: list[str]) -> list[str]:
        for gate in gates:
            parse_gate(gate)
        return gates

    def llm_device(self) -> str:
        """Return the device of the language model."""
        return self.llm.device or self.run.device

    def tts_device(self) -> str:
        """Return the device of the synthesizer."""
        return self.tts.device or self.run.device

    def named(self, key: str) -> str | None:
        """Return the value of ``key`` if it is set; None for the default.

        A default names a model that is embedded here, which no server knows.
        """
        section, _, name = key.partition(".")
        is_set = name in getattr(self, section).model_fields_set
        return str(lookup(self, key)) if is_set else None


def section_classes() -> dict[str, type[SettingsSection]]:
    """Return the class of each section by its name."""
    annotations = {name: field.annotation for name, field in Settings.model_fields.items()}
    return {
        name: kind
        for name, kind in annotations.items()
        if isinstance(kind, type) and issubclass(kind, SettingsSection)
    }


def all_keys() -> list[str]:
    """Return every key (``section.key``) in the order of the documentation."""
    sections = section_classes()
    keys = []
    for name in Settings.model_fields:
        if name in sections:
            keys += [f"{name}.{key}" for key in sections[name].key_names()]
        else:
            keys.append(name)
    return keys


def describe_keys() -> list[tuple[str, str]]:
    """Return every key with its description, in the order of the documentation."""
    texts = Settings.descriptions()
    for name, section in section_classes().items():
        texts |= {f"{name}.{key}": text for key, text in section.descriptions().items()}
    return [(key, texts[key]) for key in all_keys()]


def lookup(settings: Settings, key: str) -> object:
    """Return the value of ``key`` (``section.key``)."""
    value: object = settings
    for part in key.split("."):
        value = getattr(value, part)
    return value


def nested(values: Mapping[str, object]) -> dict[str, object]:
    """Return ``values``, by their full keys, as one table a section."""
    tree: dict[str, object] = {}
    for key, value in values.items():
        section, dot, name = key.partition(".")
        if not dot:
            tree[key] = value
            continue
        table = tree.setdefault(section, {})
        assert isinstance(table, dict)
        table[name] = value
    return tree
