"""Reports that go to a CI service without being asked for: GitHub's step summary and annotations.

GitHub reads *workflow commands* from a step's output: lines that begin with ``::``. All content is
escaped as GitHub documents it, so a reply or a server's message cannot add a command.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from voicebench.errors import UsageError
from voicebench.format import HALF_PAIRS
from voicebench.judging.final import NOTHING_COMPARED, Final
from voicebench.judging.gates import OPEN, Verdict
from voicebench.report.console.sheets import observed_text
from voicebench.results.run import RecordedRun

SUMMARY_LIMIT_BYTES = 1_000_000
"""GitHub refuses a step summary of more than 1 MiB."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The CI service that the environment variables describe."""

    step_summary: Path | None
    annotates: bool


def surroundings(environ: Mapping[str, str]) -> Surroundings:
    """Return the file of the step summary, and whether annotations are read."""
    summary = environ.get("GITHUB_STEP_SUMMARY")
    return Surroundings(Path(summary) if summary else None, environ.get("GITHUB_ACTIONS") == "true")


def workflow_commands(run: RecordedRun) -> list[str]:
    """Return a workflow command for each failed gate and each figure worse than the baseline.

    Obstacles to a verdict (an interrupt, a noisy machine) come first.
    """
    name = run.name
    commands = obstacle_commands(name, run.final)
    for result in run.gate_results:
        note = f" ({result.note})" if result.note else ""
        message = f"{result.gate.text}: {observed_text(result)}{note}"
        commands += verdict_commands(name, result.verdict, message)
    for regression in run.judged.regressions:
        message = f"{regression.figure}: {regression.sentence()}"
        commands += verdict_commands(name, regression.verdict, message)
    if run.final.nothing_compared:
        commands += verdict_commands(name, Verdict.UNDECIDED, NOTHING_COMPARED)
    return commands


def failure_command(word: str, sentence: str) -> str:
    """Return the workflow command for a run that ended with an error."""
    return f"::error title={_property(f'voicebench: {word}')}::{_data(sentence)}"


def obstacle_commands(name: str, final: Final) -> list[str]:
    """Return a workflow command for each obstacle to a verdict of the run ``name``."""
    return [
        _command("error", name, obstacle.word.value, obstacle.in_full())
        for obstacle in final.obstacles
    ]


def verdict_commands(name: str, verdict: Verdict, message: str) -> list[str]:
    """Return the workflow command for a verdict of the run ``name``; none for a pass."""
    if verdict is Verdict.PASS:
        return []
    level = "warning" if verdict in OPEN else "error"
    return [_command(level, name, verdict.value, message)]


def _command(level: str, name: str, word: str, message: str) -> str:
    title = _property(f"voicebench {name}: {word}")
    return f"::{level} title={title}::{_data(message)}"


def append_step_summary(path: Path, markdown: str) -> None:
    """Append ``markdown`` to the step summary, cut to the size that GitHub accepts.

    Raises `UsageError` if the file cannot be written.
    """
    content = markdown.encode("utf-8", HALF_PAIRS)
    try:
        room = SUMMARY_LIMIT_BYTES - (path.stat().st_size if path.exists() else 0)
        if len(content) > room:
            note = "\n\n*cut: a step's summary holds 1 MiB*\n"
            content = content[: max(room - len(note), 0)].decode("utf-8", "ignore").encode()
            content += note.encode()
        with path.open("ab") as file:
            file.write(content + b"\n")
    except OSError as error:
        raise UsageError(
            f"the step summary {path} cannot be written ({error.strerror})",
            "unset GITHUB_STEP_SUMMARY",
        ) from None


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
