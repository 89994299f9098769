"""Options that name servers and their key, and how they become settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from voicebench.errors import UsageError

if TYPE_CHECKING:
    from voicebench.settings import Settings

Server = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Measure a server. http(s)://…: OpenAI's chat and speech routes; with '{text}' "
        "in the URL, a plain route. ws(s)://…: one endpoint for the whole turn.",
    ),
]
LlmUrl = Annotated[
    str | None,
    typer.Option(
        "--llm-url", metavar="URL", help="Language model on a server: http://HOST:PORT/v1."
    ),
]
TtsUrl = Annotated[
    str | None,
    typer.Option("--tts-url", metavar="URL", help="Voice on a server: http://HOST:PORT/v1."),
]
KeyEnv = Annotated[
    str | None,
    typer.Option(
        "--key-env",
        metavar="VARIABLE",
        help="Environment variable with the key of the server.",
    ),
]

_OF_TURNS = ("llm", "tts", "server")
_OF_CALLS = ("llm", "tts", "call")


def server_settings(
    url: str | None,
    *,
    llm_url: str | None = None,
    tts_url: str | None = None,
    target: str | None = None,
) -> dict[str, object]:
    """Return the settings that the options for servers stand for, ``target`` being ``--target``.

    Raises `UsageError`.
    """
    from voicebench.targets.kinds import settings_from_url

    settings: dict[str, object] = {}
    if url is not None:
        if llm_url is not None and tts_url is not None:
            raise UsageError(
                "--server says both --llm-url and --tts-url", "leave one of the three out"
            )
        settings = settings_from_url(url)
    for option, key, found in (
        ("--llm-url", "llm.url", llm_url),
        ("--tts-url", "tts.url", tts_url),
    ):
        if found is not None:
            own = settings_from_url(found, option)
            # A route that takes the text in its URL is a voice; any other base has both routes.
            wanted = {name for name in own if name.split(".")[0] == key.split(".")[0]}
            if key not in wanted:
                raise UsageError(
                    f"{option} is not the URL of such a server", "write http://HOST:PORT/v1"
                )
            settings |= {"run.target": "cascade"} | {name: own[name] for name in wanted}
    return settings | ({} if target is None else {"run.target": target})


def key_settings(
    variable: str, settings: Settings, overrides: Mapping[str, object], *, calls: bool = False
) -> dict[str, object]:
    """Return the settings that give the one server its key.

    That is the server whose URL the command line names (``overrides``), else the one of the
    settings file; for ``calls`` the agent's. Raises `UsageError` if there is none, or more than
    one.
    """
    sections = _OF_CALLS if calls else _OF_TURNS
    urls = {section: getattr(settings, section).url for section in sections}
    servers = {section: url for section, url in urls.items() if url and "://" in url}
    named = [section for section in servers if f"{section}.url" in overrides]
    agent = ["call"] if "call" in servers else []
    wanted = agent or named or list(servers)
    if len({urlsplit(servers[section]).netloc for section in wanted}) != 1:
        raise UsageError(
            "--key-env is the key of one server, which --server, --llm-url, --tts-url, --agent or "
            "the settings file names",
            f"for others set {', '.join(f'{one}.key_env' for one in (wanted or sections))}",
        )
    return {f"{section}.key_env": variable for section in wanted}
