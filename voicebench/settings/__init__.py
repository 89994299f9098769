"""The settings of a run: the keys, their bounds, and where each value came from.

A setting is named by its section and key (``llm.max_tokens``). `sections` and `engine_sections`
declare the keys; `origins` reads files and the command line; `shown` hides secrets.
"""

from voicebench.settings.call_section import CALL_GATES, CALL_TARGET, CallSettings
from voicebench.settings.engine_sections import PeerSettings, TtsSettings
from voicebench.settings.origins import Effective, load_settings, parse_override
from voicebench.settings.otlp_section import OtlpSettings
from voicebench.settings.sections import (
    DEFAULT_GATES,
    AudibleSettings,
    Settings,
    describe_keys,
    lookup,
)
from voicebench.settings.shown import secrets_of, shown_settings

__all__ = [
    "CALL_GATES",
    "CALL_TARGET",
    "DEFAULT_GATES",
    "AudibleSettings",
    "CallSettings",
    "Effective",
    "OtlpSettings",
    "PeerSettings",
    "Settings",
    "TtsSettings",
    "describe_keys",
    "load_settings",
    "lookup",
    "parse_override",
    "secrets_of",
    "shown_settings",
]
