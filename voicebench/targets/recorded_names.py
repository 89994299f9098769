"""The part of a result about its target: a description without keys, and the names in use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from voicebench.settings import Effective, Settings, secrets_of, shown_settings
from voicebench.targets import Target
from voicebench.targets.kinds import kind_of


def described(target: Target, settings: Settings) -> dict[str, object]:
    """Return the target's description without keys: a server may have repeated one."""
    return {
        name: secrets_of(settings).hidden_within(value) for name, value in target.describe().items()
    }


def expected_settings(settings: Settings) -> dict[str, dict[str, object]]:
    """Return the settings that a run's result will keep, without names that servers will give."""
    expected = cast(dict[str, dict[str, object]], shown_settings(settings))
    for key in kind_of(settings).served_names(settings, {}):
        section, _, name = key.partition(".")
        del expected[section][name]
    return expected


def named_by_servers(effective: Effective, description: Mapping[str, object]) -> Effective:
    """Return the settings with the names that servers gave, if they were not set.

    ``description`` is the open target's. Without this, a result would hold the embedded model's
    name although it never answered.
    """
    settings, origins = effective.settings, dict(effective.origins)
    for key, name in kind_of(settings).served_names(settings, description).items():
        if name:
            section, _, setting = key.partition(".")
            named = getattr(settings, section).model_copy(update={setting: name})
            settings = settings.model_copy(update={section: named})
            origins[key] = "the server"
    return Effective(settings, origins)


def recorded_settings(
    effective: Effective, description: Mapping[str, object]
) -> dict[str, dict[str, object]]:
    """Return the settings as a result keeps them, keys and passwords hidden.

    A name that only the server knows is None, not the embedded model's. ``description`` is the
    open target's.
    """
    settings = effective.settings
    recorded = cast(dict[str, dict[str, object]], shown_settings(settings))
    names = kind_of(settings).served_names(settings, description)
    for key, name in names.items():
        section, _, setting = key.partition(".")
        recorded[section][setting] = name
    return recorded
