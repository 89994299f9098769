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
    ci,
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
from voicebench.cli.limits import (
    forget_impossible_width,
    heed_limit_of_memory,
    is_about_memory,
    refusal,
)
from voicebench.cli.shown import forget_secrets, tell
from voicebench.cli.streams import standard_streams
from voicebench.errors import OUT_OF_MEMORY, CannotMeasure, ExitCode, VoicebenchError
from voicebench.machine.devices import let_waiting_threads_sleep

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
    _ask_to_end_like_ctrl_c()
    forget_impossible_width()
    forget_secrets()
    let_waiting_threads_sleep()
    with standard_streams():
        sys.exit(_run())


def _run() -> int | str | None:
    """Run the command and return its exit code."""
    try:
        return _run_to_its_end()
    except VoicebenchError as error:
        return _explained(str(error), error.exit_code)
    except KeyboardInterrupt:
        return _explained("interrupted", ExitCode.INTERRUPTED)
    except Exception as error:
        if _comes_of_an_interrupt(error):  # it came within an import, which cannot be done again
            return _explained("interrupted", ExitCode.INTERRUPTED)
        if is_about_memory(error):
            return _explained(OUT_OF_MEMORY, CannotMeasure.exit_code)
        refused = refusal(error)
        if refused is None:
            raise
        return _explained(str(refused), refused.exit_code)


def _run_to_its_end() -> int | str | None:
    """Run the command, and wait until all that it printed is on its way."""
    try:
        if not {"--help", "--version"} & set(sys.argv[1:]):
            heed_limit_of_memory()
        app()
    except SystemExit as ended:
        # Typer turns an interrupt that nobody handled into the exit code 130, without a word.
        if ended.code == ExitCode.INTERRUPTED and _comes_of_an_interrupt(ended):
            raise KeyboardInterrupt from None
        if ended.code == ExitCode.BAD_USAGE:  # of Typer: what is wrong with the arguments
            ci.tell_of_misuse(sys.argv[1:])
        return ended.code
    finally:
        sys.stdout.flush()
    return None


def _explained(message: str, code: int) -> int:
    tell(f"voicebench: {message}")
    return code


def _comes_of_an_interrupt(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__cause__ or error.__context__
    return False


def _ask_to_end_like_ctrl_c() -> None:
    """Treat a request to end, and a terminal that is closed, like Ctrl-C: keep what is finished."""
    signal.signal(signal.SIGTERM, _interrupt)
    hang_up = getattr(signal, "SIGHUP", None)
    # `nohup` has it ignored, and it stays so.
    if hang_up is not None and signal.getsignal(hang_up) is signal.SIG_DFL:
        signal.signal(hang_up, _interrupt)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
