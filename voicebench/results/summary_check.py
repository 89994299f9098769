"""Check ``summary.json``: every figure and verdict is computed again from the turns' figures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from voicebench.errors import UsageError
from voicebench.events import Phase
from voicebench.figures.columns import Columns, columns_of
from voicebench.figures.intervals import LEVEL, mean_interval
from voicebench.figures.summary import Summary
from voicebench.judging.final import Taken
from voicebench.judging.gates import GateResult, judge, parse_gate, worst
from voicebench.judging.judgement import planned_turns
from voicebench.results.document import OTHER_PHASES, conversations_document, phases_document
from voicebench.results.folder import SETTINGS, SUMMARY
from voicebench.results.judged import Judged
from voicebench.results.reading import object_in, read_document


@dataclass(slots=True)
class SummaryCheck:
    """How the stored summary differs from the computed one."""

    figures: int = 0
    """How many values were compared."""
    differences: list[str] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)
    """Values that only the file has."""
    missing: list[str] = field(default_factory=list)
    """Values that only the computed summary has."""

    @property
    def notes(self) -> list[str]:
        """What could not be compared, in sentences."""
        named = (
            ("not checked", self.unchecked),
            ("figures that it does not have", self.missing),
        )
        return [f"{SUMMARY}: {what}: {', '.join(places)}" for what, places in named if places]

    def compare(self, where: str, stored: object, computed: object) -> None:
        """Compare two values, and all values in them."""
        if isinstance(stored, dict) and isinstance(computed, dict):
            self.missing += [f"{where}.{key}" for key in computed if key not in stored]
            for key, value in stored.items():
                if key in computed:
                    self.compare(f"{where}.{key}", value, computed[key])
                else:
                    self.unchecked.append(f"{where}.{key}")
        elif (
            isinstance(stored, list) and isinstance(computed, list) and len(stored) == len(computed)
        ):
            for number, (value, own) in enumerate(zip(stored, computed, strict=True), start=1):
                self.compare(f"{where}[{number}]", value, own)
        else:
            self.figures += 1
            if not _is_same(stored, computed):
                self.differences.append(
                    f"{where} is {shown(stored)}, and the turns give {shown(computed)}"
                )


def check_summary(folder: Path, phases: Mapping[Phase, Columns], *, complete: bool) -> SummaryCheck:
    """Compare ``summary.json`` of ``folder`` with the figures of its turns, by ``phases``."""
    check = SummaryCheck()
    if not (folder / SUMMARY).is_file():
        if complete:
            check.differences.append("is missing")
        return check
    try:
        stored = read_document(folder / SUMMARY)
        settings = read_document(folder / SETTINGS)
        computed = _computed_summary(check, settings, stored, phases, complete=complete)
    except UsageError as error:
        check.differences.append(error.message)
        return check
    for key, value in computed.items():
        if key in stored:
            check.compare(key, stored[key], value)
        else:
            check.differences.append(f"has no {key}")
    return check


def shown(value: object) -> str:
    """Return a value for a message, shortened if it is long."""
    if value is None or value == "":
        return "nothing"
    text = str(value)
    return text if len(text) <= 60 else f"{text[:59]}…"


def _computed_summary(
    check: SummaryCheck,
    settings: Mapping[str, object],
    stored: Mapping[str, object],
    phases: Mapping[Phase, Columns],
    *,
    complete: bool,
) -> dict[str, object]:
    """Return what ``summary.json`` should hold; entries of later versions only if it has them."""
    summary = (phases.get("measured") or columns_of(())).summary()
    entries = _gate_entries(stored)
    gates = _judge_again(check, settings, entries, summary)
    turns = {str(one): phases[one].turns if one in phases else 0 for one in OTHER_PHASES}
    computed: dict[str, object] = {
        "turns": {"measured": summary.turns, "failed": summary.failed, **turns},
        "metrics": {name: found.as_dict() for name, found in summary.metrics.items()},
        "gates": [
            _with_stored_interval(result, entry, summary)
            for result, entry in zip(gates, entries, strict=True)
        ],
        "verdict": worst([gate.verdict for gate in gates]).value,
    }
    if "exit_code" in stored:  # else the verdict is of the gates alone, as in older results
        taken = Taken(summary.turns, summary.failed, planned_turns(settings), complete=complete)
        final = Judged.of(stored).final(taken, [result.verdict for result in gates])
        computed |= final.as_dict()
    conversations = conversations_document(phases.get("measured") or columns_of(()))
    if conversations or "conversations" in stored:
        computed["conversations"] = conversations
    if "phases" in stored:
        computed["phases"] = phases_document(phases, summary)
    return computed


def _judge_again(
    check: SummaryCheck,
    settings: Mapping[str, object],
    entries: Sequence[Mapping[str, object]],
    summary: Summary,
) -> list[GateResult]:
    """Judge the stored gates again, and check that they are those of the settings."""
    named = settings.get("gates")
    gates = [" ".join(str(gate).split()) for gate in named] if isinstance(named, list) else []
    judged = [str(entry.get("gate")) for entry in entries]
    for gate in gates:
        if gate not in judged:
            check.differences.append(f"does not judge the gate {gate!r} that {SETTINGS} names")
    for gate in judged:
        if gate not in gates:
            check.differences.append(f"judges a gate {gate!r} that {SETTINGS} does not name")
    asked = object_in(settings, "judge")
    decide = bool(asked.get("decide") or asked.get("until_decided"))
    return [
        judge(parse_gate(gate), summary, decide=decide, level=_level_of(entry))
        for gate, entry in zip(judged, entries, strict=True)
    ]


def _gate_entries(stored: Mapping[str, object]) -> list[dict[str, object]]:
    """Return what the summary says about each gate. Raises `UsageError` if that is not a list."""
    entries = stored.get("gates")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise UsageError("gates is not a list of objects")
    return entries


def _level_of(entry: Mapping[str, object]) -> float:
    """Return the level of a gate's interval; with ``--until-decided`` it is higher than usual."""
    level = object_in(entry, "interval").get("level")
    return level if isinstance(level, float) and 0.5 <= level < 1 else LEVEL


def _with_stored_interval(
    result: GateResult, stored: Mapping[str, object], summary: Summary
) -> dict[str, object]:
    """Return the entry of ``result``. In older results the interval of a mean may go below 0."""
    entry = result.as_dict()
    gate = result.gate
    if gate.metric is None or gate.statistic != "mean" or result.interval is None:
        return entry
    values = summary.metrics[gate.metric.name].values
    unbounded = mean_interval(values, result.interval.level)
    if unbounded is not None and stored.get("interval") == unbounded.as_dict():
        entry["interval"] = stored["interval"]
    return entry


def _is_same(stored: object, computed: object) -> bool:
    if isinstance(stored, float) and isinstance(computed, int | float):
        # Another version of numpy may add in another order.
        return math.isclose(stored, computed, rel_tol=1e-12, abs_tol=1e-12)
    return stored == computed and isinstance(stored, bool) == isinstance(computed, bool)
