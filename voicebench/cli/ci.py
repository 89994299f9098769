"""What `voicebench run` does for a CI service: JUnit, step summary, annotations."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from voicebench.cli.output import write_text

if TYPE_CHECKING:
    from voicebench.session import Outcome


def publish(outcome: Outcome, junit: Path | None) -> None:
    """Write JUnit XML where it is asked for, and tell GitHub where it listens.

    The JUnit file is replaced: a CI job asks for the same path each time. Annotations go to stderr,
    which GitHub reads too, so that ``--json`` keeps stdout to itself.
    """
    from voicebench.report.ci import surroundings

    around = surroundings(os.environ)
    if junit is None and around.step_summary is None and not around.annotates:
        return
    from voicebench.report.ci import append_step_summary, workflow_commands
    from voicebench.report.junit import junit_report
    from voicebench.report.markdown import markdown_report
    from voicebench.report.recorded import read_recorded

    recorded = read_recorded(outcome.folder, may_be_empty=True)
    if junit is not None:
        write_text(junit, junit_report([recorded]), force=True)
    if around.step_summary is not None:
        append_step_summary(around.step_summary, markdown_report([recorded], fold=True))
    if around.annotates:
        for command in workflow_commands(recorded):
            print(command, file=sys.stderr)
