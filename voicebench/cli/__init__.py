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
    call,
    capacity,
    ci,
    compare,
    config,
    doctor,
    export,
    history,
    init,
    load,
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
    check_memory_limit,
    forget_impossible_width,
    is_about_memory,
    refusal,
)
from voicebench.cli.option_groups import GroupedCommand
from voicebench.cli.shown import forget_secrets, to_stderr
from voicebench.cli.streams import standard_streams
from voicebench.errors import OUT_OF_MEMORY, CannotMeasure, ExitCode, VoicebenchError
from voicebench.machine.devices import let_waiting_threads_sleep
from voicebench.machine.extras import (
    DISTRIBUTION,
    NAMESAKE,
    missing_extra,
    namesake,
    namesake_remedy,
)

app = typer.Typer(
    name="voicebench",
    help="Measure how fast a voice assistant starts to speak.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("run", cls=GroupedCommand)(run.run)
app.command("say", cls=GroupedCommand)(say.say)
app.command("call", cls=GroupedCommand)(call.call)
app.command("compare")(compare.compare)
app.add_typer(baseline.app, name="baseline")
app.command("history")(history.history)
app.command("tune", cls=GroupedCommand)(tune.tune)
app.command("load", cls=GroupedCommand)(load.load)
app.command("capacity", cls=GroupedCommand)(capacity.capacity)
app.command("report")(report.report)
app.command("export")(export.export)
app.command("sprint")(sprint.sprint)
app.command("verify")(verify.verify)
app.command("serve", cls=GroupedCommand)(serve.serve)
app.add_typer(models.app, name="models")
app.command("doctor")(doctor.doctor)
app.command("selftest")(selftest.selftest)
app.command("config")(config.config)
app.command("init")(init.init)


def _version(wanted: bool) -> None:
    if wanted:
        import voicebench

        typer.echo(f"voicebench {voicebench.__version__}")
        other = namesake()
        if other is not None:
            to_stderr(
                f"the package {NAMESAKE} {other}, another project with the same command, is "
                f"installed beside {DISTRIBUTION}: {namesake_remedy()}"
            )
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
    """Run the command line; an expected error prints one sentence and sets the exit code."""
    _handle_end_signals()
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
        if _is_caused_by_interrupt(error):  # during an import, which turned it into another error
            return _explained("interrupted", ExitCode.INTERRUPTED)
        if is_about_memory(error):
            return _explained(OUT_OF_MEMORY, CannotMeasure.exit_code)
        refused = missing_extra(error) or refusal(error)
        if refused is None:
            raise
        return _explained(str(refused), refused.exit_code)


def _run_to_its_end() -> int | str | None:
    """Run the command, and flush stdout."""
    try:
        if not {"-h", "--help", "--version"} & set(sys.argv[1:]):
            check_memory_limit()
        app()
    except SystemExit as ended:
        # Typer turns an unhandled interrupt into exit code 130 without a message.
        if ended.code == ExitCode.INTERRUPTED and _is_caused_by_interrupt(ended):
            raise KeyboardInterrupt from None
        if ended.code == ExitCode.BAD_USAGE:  # from Typer: the arguments are wrong
            ci.report_bad_usage(sys.argv[1:])
        return ended.code
    finally:
        sys.stdout.flush()
    return None


def _explained(message: str, code: int) -> int:
    to_stderr(f"voicebench: {message}")
    return code


def _is_caused_by_interrupt(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__cause__ or error.__context__
    return False


def _handle_end_signals() -> None:
    """Treat SIGTERM and a closed terminal like Ctrl-C, so that finished turns are kept."""
    signal.signal(signal.SIGTERM, _interrupt)
    hang_up = getattr(signal, "SIGHUP", None)
    # `nohup` ignores the signal; leave it ignored.
    if hang_up is not None and signal.getsignal(hang_up) is signal.SIG_DFL:
        signal.signal(hang_up, _interrupt)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
