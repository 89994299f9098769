"""What `voicebench run` leaves for a CI service: JUnit, step summary, annotations, a folder's path.

Every exit leaves them. A run that could not begin, or that measured nothing, is one test case with
an error, one annotation and one paragraph: a job that finds no file, or yesterday's, would go on.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from voicebench.cli.output import write_text
from voicebench.cli.shown import shown, tell
from voicebench.errors import OUT_OF_MEMORY, ExitCode, VoicebenchError

if TYPE_CHECKING:
    from voicebench.results.run import RecordedRun

WORDS = {
    ExitCode.DEFECT: "DEFECT",
    ExitCode.BAD_USAGE: "BAD USAGE",
    ExitCode.COULD_NOT_MEASURE: "NOTHING MEASURED",
    ExitCode.INTERRUPTED: "INTERRUPTED",
}
"""What a run without an outcome is called, by its exit code."""
NOT_UNDERSTOOD = "the command line was not understood; the log says what is wrong with it"


def publish(run: RecordedRun, junit: Path | None) -> None:
    """Write JUnit XML where it is asked for, and tell GitHub where it listens.

    The JUnit file is replaced: a CI job asks for the same path each time. Annotations go to stderr,
    which GitHub reads too, so that ``--json`` keeps stdout to itself.
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
            tell(command)


def write_folder(run: RecordedRun, path: Path | None) -> None:
    """Write the path of the run folder, one line, where it is asked for."""
    if path is not None:
        write_text(path, f"{run.path}\n", force=True)


def forget(*files: Path | None) -> None:
    """Remove what an earlier run left in these files, so that nobody takes it for this run's."""
    for file in files:
        if file is not None and file.is_file():
            with suppress(OSError):
                file.unlink()


@contextmanager
def failures_told(junit: Path | None) -> Iterator[None]:
    """Tell the CI service of whatever ends a run before it has an outcome."""
    try:
        yield
    except (typer.Exit, typer.Abort):
        raise
    except VoicebenchError as error:
        _tell(junit, error.exit_code, str(error))
        raise
    except MemoryError:
        _tell(junit, ExitCode.COULD_NOT_MEASURE, OUT_OF_MEMORY)
        raise
    except KeyboardInterrupt:
        _tell(junit, ExitCode.INTERRUPTED, "interrupted before a turn was measured")
        raise
    except Exception as error:
        _tell(junit, ExitCode.DEFECT, f"a defect of voicebench: {type(error).__name__}: {error}")
        raise


def tell_of_misuse(arguments: Sequence[str]) -> None:
    """Tell the CI service that ``voicebench run`` was given arguments that cannot be read."""
    if arguments[:1] == ["run"]:
        _tell(_junit_in(arguments), ExitCode.BAD_USAGE, NOT_UNDERSTOOD)


def _junit_in(arguments: Sequence[str]) -> Path | None:
    """Return the file that ``--junit`` names in arguments that could not be read as a whole."""
    for index, argument in enumerate(arguments):
        if argument == "--junit" and index + 1 < len(arguments):
            return Path(arguments[index + 1])
        if argument.startswith("--junit="):
            return Path(argument.removeprefix("--junit="))
    return None


def _tell(junit: Path | None, code: ExitCode, sentence: str) -> None:
    """Write what ended a run, as far as it can be written; stderr has the sentence too."""
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
        tell(failure_command(word, sentence))
