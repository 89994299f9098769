"""The table of target kinds, and what can be done with any of them: check, fetch, open.

docs/explanation/extending.md shows how to add a kind.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from voicebench.engines.models import CATALOGUE, ensure
from voicebench.engines.models.fetch_progress import Report, ignore
from voicebench.errors import UsageError
from voicebench.remote.connection.access import ApiKey, check_headers
from voicebench.secret_names import hidden_in_url
from voicebench.settings import Settings
from voicebench.targets import Say, Target, TargetKind
from voicebench.targets.cascade import CascadeKind
from voicebench.targets.own_pipeline import OwnKind
from voicebench.targets.simulated import SimulatedKind
from voicebench.targets.whole_turn import RealtimeKind, VoiceKind

KINDS: tuple[TargetKind, ...] = (
    CascadeKind(),
    RealtimeKind(),
    VoiceKind(),
    SimulatedKind(),
    OwnKind(),
)
"""Every kind. The first one that takes a URL is meant by ``--server``."""


def kind_of(settings: Settings) -> TargetKind:
    """Return the kind that ``run.target`` names. Raises `UsageError` for an unknown one."""
    target = settings.run.target
    for kind in KINDS:
        if target == kind.name or (kind.name.endswith(":") and target.startswith(kind.name)):
            return kind
    known = [repr(kind.example) for kind in KINDS if kind.example]
    raise UsageError(f"unknown target {target!r}", f"use {', '.join(known[:-1])} or {known[-1]}")


def check_target(settings: Settings) -> None:
    """Raise `UsageError` for what cannot work, before anything is loaded; takes milliseconds."""
    for peer in (settings.llm, settings.tts, settings.server):
        check_headers(peer.headers)
        if peer.key_env is not None:
            ApiKey(peer.key_env, peer.key_header, peer.key_scheme)
    kind_of(settings).check(settings)


def fetch_models(settings: Settings, report: Report = ignore, *, voice_only: bool = False) -> None:
    """Fetch the models of the catalogue that ``settings`` name, if they are not here yet.

    Every server is reached first, so that nothing is downloaded for a server that is down. Raises
    `CannotMeasure` for such a server, naming its URL, and for a model that cannot be fetched.
    """
    kind = kind_of(settings)
    kind.reach(settings, voice_only=voice_only)
    catalogued = {entry.name for entry in CATALOGUE}
    for name in kind.models(settings, voice_only=voice_only):
        if name in catalogued:
            ensure(name, report)


def language_of_embedded(voice: object) -> str | None:
    """Return the language of a voice of the catalogue, all of which speak English; else None."""
    is_known = any(entry.kind == "voice" and entry.name == voice for entry in CATALOGUE)
    return "en" if is_known else None


def open_target(settings: Settings, say: Say) -> Target:
    """Load or connect what ``settings`` name. Raises a `VoicebenchError` if that fails."""
    return kind_of(settings).open(settings, say)


def settings_from_url(url: str, option: str = "--server") -> dict[str, object]:
    """Return the settings that ``--server URL`` stands for. Raises `UsageError`."""
    try:
        urlsplit(url)
    except ValueError:
        pass
    else:
        for kind in KINDS:
            settings = kind.settings_from_url(url)
            if settings is not None:
                return settings
    meant = url if _HOST_AND_PORT.fullmatch(url) else "127.0.0.1:8765"
    raise UsageError(
        f"{option} {hidden_in_url(url)!r} is not the URL of a server",
        f"write for example http://{meant} or ws://{meant}",
    )


_HOST_AND_PORT = re.compile(r"[A-Za-z0-9.-]+:[0-9]+(/[A-Za-z0-9/._-]*)?")
