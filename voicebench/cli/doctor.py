"""``voicebench doctor``: check this machine, and measure the cost of fast arithmetic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from voicebench.cli.options import Json, Llm, Set, Voice, effective_settings
from voicebench.cli.output import print_json
from voicebench.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from voicebench.checks.quality import QualityFigure

_MARKS = {
    "ok": "[green]ok[/]",
    "warning": "[yellow]warning[/]",
    "missing": "[red]missing[/]",
    "absent": "[dim]absent[/]",
}


def doctor(
    quality: Annotated[
        bool,
        typer.Option(
            "--quality",
            help="Measure what fast arithmetic costs: the model's agreement with float32, the "
            "voice's error, and the words that a recogniser mishears. Takes minutes.",
        ),
    ] = False,
    compiling: Annotated[
        bool,
        typer.Option(
            "--compile",
            help="Also compile the C library for this processor, and measure what it would bring "
            "over the one that came with the package.",
        ),
    ] = False,
    sentences: Annotated[
        int, typer.Option(min=1, max=40, help="Number of sentences for the recogniser (--quality).")
    ] = 40,
    llm: Llm = None,
    voice: Voice = None,
    assignments: Set = None,
    as_json: Json = False,
) -> None:
    """Check this machine: Python, devices, sound, models, clock, load.

    Each problem is shown with its remedy.

    Examples:

      voicebench doctor

      voicebench doctor --compile

      voicebench doctor --quality --sentences 10
    """
    if quality and compiling:
        raise UsageError("--quality and --compile are separate checks", "give one of them")
    if quality:
        _quality(sentences, llm, voice, assignments, as_json=as_json)
        return
    if llm is not None or voice is not None or assignments:
        raise UsageError("--llm, --voice and --set are for --quality", "add --quality")
    from voicebench.checks.doctor import examine, what_compiling_brings

    findings = [*examine(), *([what_compiling_brings()] if compiling else [])]
    if as_json:
        print_json([finding.as_dict() for finding in findings])
    else:
        from rich.console import Console
        from rich.markup import escape

        from voicebench.report.console.style import Printable

        table = _table("what", "state", "found")
        for finding in findings:
            table.add_row(escape(finding.what), _MARKS[finding.state], escape(finding.detail))
        console = Console()
        console.print(Printable(table))
        # Below the table, where a command can be copied whole.
        remedies = [finding for finding in findings if finding.remedy]
        if remedies:
            console.print("[bold]What to do[/]")
        for finding in remedies:
            line = f"{finding.what}: {finding.remedy}"
            console.print(line, soft_wrap=True, markup=False, highlight=False)
    if any(finding.state == "missing" for finding in findings):
        raise typer.Exit(ExitCode.COULD_NOT_MEASURE)


def _quality(
    sentences: int,
    llm: str | None,
    voice: str | None,
    assignments: Sequence[str] | None,
    *,
    as_json: bool,
) -> None:
    """Measure and print what fast arithmetic costs."""
    from rich.console import Console

    from voicebench.checks.quality import examine_quality
    from voicebench.report.console.style import Printable

    named = {"llm.model": llm, "tts.voice": voice}
    settings = effective_settings(None, list(assignments or ()), named).settings
    progress = Console(stderr=True)
    findings = []
    for finding in examine_quality(
        settings, sentences, lambda text: progress.print(text, style="dim")
    ):
        findings.append(finding)
        progress.print(f"{finding.part}, {finding.form}: {_figures(finding)}", highlight=False)
    if as_json:
        print_json([finding.as_dict() for finding in findings])
        return
    table = _table("part", "form", "figures", "limit", "state")
    for finding in findings:
        state = "[green]✓ pass[/]" if finding.passes else "[red]✗ fail[/]"
        table.add_row(finding.part, finding.form, _figures(finding), finding.limit, state)
    Console().print(Printable(table))


def _table(*columns: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in columns:
        table.add_column(name, overflow="fold")
    return table


def _figures(finding: QualityFigure) -> str:
    """Return the figures of a finding in words."""
    figures = finding.figures
    if "agreement" in figures:
        return (
            f"agreement {figures['agreement']:.1%}, divergence {figures['divergence_nats']:.4f} "
            f"nats over {figures['positions']:.0f} positions; "
            f"{figures['token_ms']:.1f} ms a token"
        )
    if "snr_db" in figures:
        return f"{figures['snr_db']:.1f} dB"
    return (
        f"{figures['word_error_rate']:.1%} of words misheard "
        f"({figures['errors']:.0f} of {figures['words']:.0f})"
    )
