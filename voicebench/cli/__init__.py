"""The command line: one module per command, one place where an error becomes an exit.

Engines and everything else that is slow to import are imported inside the commands, so that
``voicebench --help`` answers at once.
"""

from __future__ import annotations

import signal
import sys
from types import FrameType

import typer

from voicebench.cli import (
    baseline,
    compare,
    config,
    doctor,
    export,
    history,
    models,
    report,
    run,
    say,
    selftest,
    serve,
    sprint,
    tune,
    verify,
)
from voicebench.devices import let_waiting_threads_sleep
from voicebench.errors import VoicebenchError

app = typer.Typer(
    name="voicebench",
    help="Measure how fast a voice assistant starts to speak.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command("run")(run.run)
app.command("say")(say.say)
app.command("compare")(compare.compare)
app.add_typer(baseline.app, name="baseline")
app.command("history")(history.history)
app.command("tune")(tune.tune)
app.command("report")(report.report)
app.command("export")(export.export)
app.command("sprint")(sprint.sprint)
app.command("verify")(verify.verify)
app.command("serve")(serve.serve)
app.add_typer(models.app, name="models")
app.command("doctor")(doctor.doctor)
app.command("selftest")(selftest.selftest)
app.command("config")(config.config)


def _version(wanted: bool) -> None:
    if wanted:
        import voicebench

        typer.echo(f"voicebench {voicebench.__version__}")
        raise typer.Exit


@app.callback()
def _voicebench(
    _version_wanted: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version and exit."
    ),
) -> None:
    """Measure how fast a voice assistant starts to speak.

    Exit codes: 0 all gates pass, 1 a defect of voicebench, 2 bad usage or configuration, 3 a gate
    failed, 4 could not measure, 5 undecided or invalid, 130 interrupted.
    """


def main() -> None:
    """Run the command line; a user's mistake ends in one sentence and its exit code."""
    signal.signal(signal.SIGTERM, _interrupt)
    let_waiting_threads_sleep()
    try:
        app()
    except VoicebenchError as error:
        print(f"voicebench: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    """Treat a request to terminate like Ctrl-C: what is finished is kept."""
    raise KeyboardInterrupt
