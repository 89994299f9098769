"""Files of `voicebench run` for a CI service: JUnit, step summary, annotations, run folder path.

They are written at every exit. A run that could not begin, or that measured nothing, is one test
case with an error, one annotation and one paragraph. Otherwise a job would find no file, or an old
one, and go on. The file for Prometheus is replaced when a run ends with a verdict, and removed if
it ends without one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from voicebench.cli.output import write_text
from voicebench.cli.shown import shown, to_stderr
from voicebench.errors import OUT_OF_MEMORY, ExitCode, VoicebenchError

if TYPE_CHECKING:
    from voicebench.load.recorded.load_run import LoadRun
    from voicebench.results.run import RecordedRun

WORDS = {
    ExitCode.DEFECT: "DEFECT",
    ExitCode.BAD_USAGE: "BAD USAGE",
    ExitCode.COULD_NOT_MEASURE: "NOTHING MEASURED",
    ExitCode.INTERRUPTED: "INTERRUPTED",
}
"""The verdict of a run that could not be measured, by its exit code."""
NOT_UNDERSTOOD = "the command line was not understood; the log says what is wrong with it"


def publish(run: RecordedRun, junit: Path | None) -> None:
    """Write JUnit XML to ``junit`` if it is given, and report to GitHub if it runs this job.

    An existing JUnit file is replaced, because a CI job uses the same path each time. Annotations
    go to stderr, which GitHub reads too, so that stdout has only the document of ``--json``.
    """
    from voicebench.report.exchange.ci_services import surroundings

    around = surroundings(os.environ)
    if junit is None and around.step_summary is None and not around.annotates:
        return
    from voicebench.report.exchange.ci_services import append_step_summary, workflow_commands
    from voicebench.report.exchange.junit import junit_report
    from voicebench.report.exchange.markdown import markdown_report

    if junit is not None:
        write_text(junit, junit_report([run]), force=True)
    if around.step_summary is not None:
        append_step_summary(around.step_summary, shown(markdown_report([run], fold=True)))
    if around.annotates:
        for command in workflow_commands(run):
            to_stderr(command)


def publish_load(run: LoadRun, junit: Path | None) -> None:
    """Write the same files for a run under load."""
    from voicebench.report.exchange.ci_services import append_step_summary, surroundings

    around = surroundings(os.environ)
    if junit is None and around.step_summary is None and not around.annotates:
        return
    from voicebench.report.exchange.load_reports import load_commands, load_junit, load_markdown

    if junit is not None:
        write_text(junit, load_junit([run]), force=True)
    if around.step_summary is not None:
        append_step_summary(around.step_summary, shown(load_markdown([run], fold=True)))
    if around.annotates:
        for command in load_commands(run):
            to_stderr(command)


def write_folder(folder: Path, path: Path | None) -> None:
    """Write the path of the run folder, one line, to ``path`` if it is given."""
    if path is not None:
        write_text(path, f"{folder}\n", force=True)


def write_prom(run: RecordedRun, path: Path | None) -> None:
    """Write the run for Prometheus' textfile collector to ``path`` if it is given."""
    if path is not None:
        from voicebench.report.exchange.prometheus import prometheus_report

        write_text(path, prometheus_report([run]), force=True)


def forget(*files: Path | None) -> None:
    """Remove the files of an earlier run, so that nobody takes them for this run's."""
    for file in files:
        if file is not None and file.is_file():
            with suppress(OSError):
                file.unlink()


@contextmanager
def forgotten_on_failure(prom: Path | None) -> Iterator[None]:
    """Remove the file of an earlier run if this one ends before it has a verdict.

    Unlike the files of a CI job it stays until then: a series with a hole in it ends an alert.
    """
    try:
        yield
    except typer.Exit:
        raise
    except BaseException:
        forget(prom)
        raise


@contextmanager
def failures_reported(junit: Path | None) -> Iterator[None]:
    """Report to the CI service what ends a run before it has a verdict."""
    try:
        yield
    except (typer.Exit, typer.Abort):
        raise
    except VoicebenchError as error:
        _report_failure(junit, error.exit_code, str(error))
        raise
    except MemoryError:
        _report_failure(junit, ExitCode.COULD_NOT_MEASURE, OUT_OF_MEMORY)
        raise
    except KeyboardInterrupt:
        _report_failure(junit, ExitCode.INTERRUPTED, "interrupted before a turn was measured")
        raise
    except Exception as error:
        _report_failure(
            junit, ExitCode.DEFECT, f"a defect of voicebench: {type(error).__name__}: {error}"
        )
        raise


def report_bad_usage(arguments: Sequence[str]) -> None:
    """Report to the CI service that the arguments of ``voicebench run`` cannot be read."""
    if arguments[:1] in (["run"], ["load"], ["capacity"]):
        forget(_file_of("--prom", arguments))
        _report_failure(_file_of("--junit", arguments), ExitCode.BAD_USAGE, NOT_UNDERSTOOD)


def _file_of(option: str, arguments: Sequence[str]) -> Path | None:
    """Return the file that ``option`` names in arguments that could not be parsed."""
    for index, argument in enumerate(arguments):
        if argument == option and index + 1 < len(arguments):
            return Path(arguments[index + 1])
        if argument.startswith(f"{option}="):
            return Path(argument.removeprefix(f"{option}="))
    return None


def _report_failure(junit: Path | None, code: ExitCode, sentence: str) -> None:
    """Write the sentence that ended a run; a file that cannot be written is skipped."""
    from voicebench.report.exchange.ci_services import (
        append_step_summary,
        failure_command,
        surroundings,
    )
    from voicebench.report.exchange.junit import junit_failure
    from voicebench.report.exchange.markdown import markdown_failure

    around = surroundings(os.environ)
    word, sentence = WORDS[code], shown(sentence)
    if junit is not None:
        with suppress(VoicebenchError):
            write_text(junit, junit_failure(word, sentence), force=True)
    if around.step_summary is not None:
        with suppress(VoicebenchError):
            append_step_summary(around.step_summary, markdown_failure(word, sentence))
    if around.annotates:
        to_stderr(failure_command(word, sentence))
