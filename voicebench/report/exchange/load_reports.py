"""Runs under load as JUnit XML, Markdown and workflow commands, in the words of the other runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from xml.etree import ElementTree

from voicebench import format as form
from voicebench.judging.gates import Verdict
from voicebench.load.level_document import offered
from voicebench.load.level_rule import GateStanding
from voicebench.load.load_answer import failing_drifts
from voicebench.load.recorded.load_final import sentence_of, verdict_of
from voicebench.load.recorded.load_run import LoadRun
from voicebench.report.console.load_sheets import load_line, load_sheets, load_side_by_side
from voicebench.report.console.sheets import final_line, names
from voicebench.report.exchange.ci_services import obstacle_commands, verdict_commands
from voicebench.report.exchange.junit import case_of, document_of, judged_case, suite_of
from voicebench.report.exchange.markdown import escape, sheet_sections
from voicebench.report.load_head import load_warnings


def load_junit(runs: Sequence[LoadRun]) -> str:
    """Return the JUnit document: a suite for each run, a test case for each gate.

    A search has the case ``capacity``, with the callers that were asked for, and the gates of the
    level that it confirmed. An obstacle to a verdict is an error.
    """
    return document_of(
        [_suite(name, run) for name, run in zip(names(runs), runs, strict=True)],
    )


def _suite(name: str, run: LoadRun) -> ElementTree.Element:
    properties = {
        "result": run.path.name,
        "target": run.target or form.NOTHING,
        "voicebench": str(run.environment.get("voicebench") or form.NOTHING),
        "levels": str(len(run.levels)),
        "turns": str(run.turns.count),
    }
    level = run.shown_level
    seconds = 0.0 if level is None else level.held.judgement.window.length_s
    notes = "\n".join(load_warnings(run))
    return suite_of(
        name,
        list(_cases(name, run)),
        seconds=seconds,
        timestamp=run.turns.started_at or "",
        properties=properties,
        notes=notes,
    )


def _cases(suite: str, run: LoadRun) -> Iterator[ElementTree.Element]:
    final = run.final
    for what, verdict, figures in load_verdicts(run):
        yield judged_case(suite, what, verdict, figures)
    for obstacle in final.obstacles:
        yield case_of(suite, obstacle.subject, "error", obstacle.word.value, obstacle.in_full())


def load_verdicts(run: LoadRun) -> Iterator[tuple[str, Verdict, str]]:
    """Yield what was judged, its verdict and its figures; nothing if an obstacle prevents one."""
    final, level = run.final, run.shown_level
    if final.obstacles:
        return
    if run.is_search:
        wanted = 1 if run.at_least is None else run.at_least
        answer, before = run.replay.answer, run.baseline
        yield f"capacity >= {wanted}", final.gates[0], sentence_of(answer, run.at_least)
        if before is not None and answer is not None:
            yield "capacity against the baseline", before.verdict(answer), before.sentence(answer)
        return
    for gate in () if level is None else level.held.judgement.gates:
        yield gate.gate.gate.text, verdict_of(gate.standing), gate_text(gate)
    for drift in () if level is None else failing_drifts(level.held):
        yield f"drift of {drift.name}", Verdict.FAIL, drift.sentence()
    earlier = run.level_baseline
    if level is not None and earlier is not None:
        for one in earlier.judged(level, run.gates).regressions:
            yield f"{one.figure} against the baseline", one.verdict, one.sentence()
    if level is not None and level.held.judgement.saturated:
        reasons = ", ".join(level.held.judgement.reasons)
        yield f"steady at {offered(level.document)}", Verdict.FAIL, reasons


def gate_text(gate: GateStanding) -> str:
    """Return the share that a gate observed, with its bounds, and the share that it needs."""
    bounds, share = gate.bounds, gate.gate.share
    if not bounds.n:
        return "not measured"
    observed = form.beside(bounds.observed, share, "share")
    low, high = (form.beside(value, share, "share") for value in (bounds.low, bounds.high))
    return (
        f"{observed} % of {bounds.n} (by confidence {low} to {high}), "
        f"{form.limit(share, 'share')} needed"
    )


def load_commands(run: LoadRun) -> list[str]:
    """Return a workflow command for each obstacle and each gate that did not pass."""
    commands = obstacle_commands(run.name, run.final)
    for what, verdict, figures in load_verdicts(run):
        commands += verdict_commands(run.name, verdict, f"{what}: {figures}")
    return commands


def load_markdown(runs: Sequence[LoadRun], *, fold: bool = False) -> str:
    """Return one run in full, or several side by side; ``fold`` hides the long tables."""
    if len(runs) == 1:
        return _one(runs[0], fold=fold)
    parts = ["# voicebench\n"]
    for name, run in zip(names(runs), runs, strict=True):
        parts.append(f"- **{escape(name)}**: {_verdict(run)} · {escape(load_line(run))}")
        parts += [f"  - {escape(warning)}" for warning in load_warnings(run)]
    parts.append("")
    return "\n".join([*parts, *sheet_sections(load_side_by_side(runs))])


def _one(run: LoadRun, *, fold: bool) -> str:
    parts = [
        f"# voicebench: {escape(run.name)}\n",
        f"**{_verdict(run)}**  ",
        escape(load_line(run)) + "  ",
        f"`{run.path.name.replace('`', '')}`\n",
        *(f"> **Note:** {escape(warning)}\n" for warning in load_warnings(run)),
    ]
    return "\n".join([*parts, *sheet_sections(load_sheets(run), fold=fold)])


def _verdict(run: LoadRun) -> str:
    return escape(final_line(run.final))
