"""The settings of a run: what may be set, within which bounds, and where each value came from.

A setting is named by its section and key (``llm.max_tokens``). `sections` says what there is;
`loading` reads files and the command line.
"""

from voicebench.settings.origins import Effective, Setting, load_settings, parse_override
from voicebench.settings.sections import (
    DEFAULT_GATES,
    AudibleSettings,
    ChunkerSettings,
    JudgeSettings,
    LlmSettings,
    RunSettings,
    ServerSettings,
    Settings,
    TtsSettings,
    WireSettings,
    describe_keys,
    lookup,
)
from voicebench.settings.shown import secrets_of, shown_settings, shown_value

__all__ = [
    "DEFAULT_GATES",
    "AudibleSettings",
    "ChunkerSettings",
    "Effective",
    "JudgeSettings",
    "LlmSettings",
    "RunSettings",
    "ServerSettings",
    "Setting",
    "Settings",
    "TtsSettings",
    "WireSettings",
    "describe_keys",
    "load_settings",
    "lookup",
    "parse_override",
    "secrets_of",
    "shown_settings",
    "shown_value",
]
