"""``voicebench serve``: the pipeline behind HTTP and WebSocket."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from voicebench.cli.options import Config, Device, Json, Llm, Set, Voice, effective_settings
from voicebench.cli.output import print_json
from voicebench.cli.shown import keep_secret, shown
from voicebench.errors import ExitCode
from voicebench.machine.extras import require

if TYPE_CHECKING:
    from voicebench.agents import Agent
    from voicebench.server.served import Served
    from voicebench.settings import Settings

DRAIN_S = 30.0


def serve(
    config: Config = None,
    target: Annotated[
        str | None,
        typer.Option(help="'cascade', or a simulated target such as 'sim:ttft=120ms,ttfb=70ms'."),
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on. An address for other machines needs a key.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0 chooses a free one.")
    ] = 8765,
    token_env: Annotated[
        str | None,
        typer.Option(metavar="VARIABLE", help="Name of the environment variable with the key."),
    ] = None,
    most_running: Annotated[
        int, typer.Option("--turns", min=1, max=64, help="Number of turns that run at once.")
    ] = 8,
    most_waiting: Annotated[
        int,
        typer.Option(
            "--queue", min=0, max=1000, help="Number of turns that may wait; more are refused."
        ),
    ] = 32,
    llm: Llm = None,
    voice: Voice = None,
    device: Device = None,
    assignments: Set = None,
    as_json: Json = False,
    ears: Annotated[
        bool, typer.Option("--ears", help="Take spoken calls too (needs the extra ears).")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print no progress.")] = False,
) -> None:
    """Serve the pipeline over HTTP and WebSocket.

    Other programs can talk to it and measure it. Open the printed address in a browser to try it.
    After Ctrl-C the running turns are finished; a second Ctrl-C stops them too.

    Examples:

      voicebench serve

      voicebench serve --ears

      voicebench serve --port 9000 --llm path/to/model --voice fr.onnx

      VOICEBENCH_TOKEN=… voicebench serve --host 0.0.0.0 --token-env VOICEBENCH_TOKEN
    """
    require("serve")
    if ears:
        require("ears")
    settings = effective_settings(
        config,
        assignments,
        {
            "run.target": target,
            "run.device": device,
            "tts.voice": voice,
            "llm.model": llm,
        },
    ).settings
    token = _token_in(token_env)
    _log_in_plain_words(token)

    from voicebench.server.served import check_served

    check_served(settings)

    from voicebench.server.app import ServeOptions
    from voicebench.server.running import bind, names_of, serve_until_stopped, url_of

    # Bound first: a port in use is found out in no time, loading takes seconds.
    with (
        bind(host, port, has_token=token is not None) as listener,
        _opened(settings, quiet=quiet) as served,
    ):
        agent = _agent(served, settings, quiet=quiet) if ears else None
        options = ServeOptions(token, names_of(listener, host), most_running, most_waiting)
        url = url_of(listener)
        if as_json:
            described = {"schema": 1, "url": url, "pid": os.getpid()}
            described |= {"chat_model": served.chat_model, "voice": served.voice}
            print_json(described, indent=None)
        else:
            typer.echo(f"serving on {url}")
        stopped_hard = serve_until_stopped(served, options, listener, drain_s=DRAIN_S, agent=agent)
    if stopped_hard:
        raise typer.Exit(ExitCode.INTERRUPTED)


def _token_in(variable: str | None) -> str | None:
    """Return the key in an environment variable. Raises `UsageError`."""
    if variable is None:
        return None
    from voicebench.remote.connection.access import ApiKey

    return ApiKey(variable).value()


def _log_in_plain_words(token: str | None) -> None:
    """Log to stderr what a terminal does not obey: clients choose some of the words."""
    import logging

    from voicebench.secrecy import Secrets

    class Plain(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            return shown(super().format(record))

    keep_secret(Secrets([token] if token else []))
    handler = logging.StreamHandler()
    handler.setFormatter(Plain())
    logging.basicConfig(level=logging.WARNING, handlers=[handler])


def _agent(served: Served, settings: Settings, *, quiet: bool) -> Agent:
    """Load the ears. Raises `UsageError` if what is served cannot answer a voice."""
    from rich.console import Console

    from voicebench.errors import UsageError
    from voicebench.server.served import ServedCascade

    if not isinstance(served, ServedCascade):
        raise UsageError("--ears needs the target 'cascade'", "leave out --target")
    console = Console(stderr=True, quiet=quiet)
    return served.local_agent(settings, lambda line: console.print(shown(line), markup=False))


@contextmanager
def _opened(settings: Settings, *, quiet: bool) -> Iterator[Served]:
    """Load what is served, and take a first turn, so that no client meets a cold engine."""
    from rich.console import Console

    from voicebench.cli.models import fetch_with_progress
    from voicebench.server.served import open_served, warm_up

    console = Console(stderr=True, quiet=quiet)

    def report(line: str) -> None:
        console.print(shown(line), markup=False, highlight=False)

    fetch_with_progress(settings, console)
    with closing(open_served(settings, report)) as served:
        warm_up(served, report)
        yield served
