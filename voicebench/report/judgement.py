"""What is said of a run beside its gates: the baseline, the machine's noise, the audio.

Told after the run's tables, and only where there is something to say.
"""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from voicebench.judgement import Judgement
from voicebench.report.recorded_judgement import against_sheet
from voicebench.report.style import BAD, NEAR, heading
from voicebench.results.judged import Judged

MOST_FLAGS = 10


def judgement_sections(judgement: Judgement) -> list[RenderableType]:
    """Return the regressions, what the machine did to the figures, and audio that is not right."""
    sections: list[RenderableType] = []
    against = against_sheet(Judged.of({"judgement": judgement.against_dict()}))
    if against is not None:
        sections.append(against)
    lines = judgement_lines(judgement)
    if lines:
        sections.append(Group(heading("What to know of these figures"), *lines))
    return sections


def judgement_lines(judgement: Judgement) -> list[Text]:
    """Return noise, flagged turns and what speaks against the baseline, one line each."""
    lines = [
        Text(f"not compared with the baseline, whose numbers mean other things: {why}", BAD)
        for why in judgement.refused
    ]
    lines += [Text(warning, NEAR) for warning in judgement.warnings]
    lines += [Text(str(noise), BAD if noise.invalidates else "") for noise in judgement.noise]
    lines += [Text(f"audio: {flag}", NEAR) for flag in judgement.flags[:MOST_FLAGS]]
    if len(judgement.flags) > MOST_FLAGS:
        lines.append(Text(f"audio: and {len(judgement.flags) - MOST_FLAGS} more", NEAR))
    return lines
