"""The answer of a run under load: its word, and the documents ``load.json`` and ``capacity.json``.

The same functions are used when a run ends and when its folder is read back, so both say the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from voicebench.figures.intervals import percentile_interval
from voicebench.judging.final import Word
from voicebench.judging.gates import Verdict, worst
from voicebench.load.capacity_baseline import BaselineCapacity
from voicebench.load.drift import Drift
from voicebench.load.holding import HeldFor
from voicebench.load.level_document import SCHEMA_OF_LEVELS, above_shares
from voicebench.load.level_rule import LevelStanding
from voicebench.load.load_gate import LoadGate
from voicebench.load.search import (
    ERROR,
    CapacityAnswer,
    CapacityVerdict,
    ProbeResult,
)

DRIFTED = "the lowest level changed between two probes: machine or server drifted"
ENDED_BY_CLIENT = "the client was too slow for a level, so it says nothing about the server"
BEHAVIOUR = ("think", "speech", "turns", "interrupt", "faults", "trace", "seed")
"""The settings of ``load`` that say how callers behave."""


def word_of_level(held: HeldFor, against: Sequence[Verdict] | None = None) -> Word:
    """Return the verdict of a run of one level.

    ``against`` are the verdicts on its figures against a baseline; None if none was named. A
    baseline with which nothing could be compared decides nothing.
    """
    word = _word_of_level(held)
    if against is None or word not in (Word.PASS, Word.UNDECIDED, Word.FAIL, Word.NOT_JUDGED):
        return word
    verdicts = list(against) or [Verdict.UNDECIDED]
    if word is not Word.NOT_JUDGED:
        verdicts.append(Verdict(word.value))
    return Word(worst(verdicts).value)


def _word_of_level(held: HeldFor) -> Word:
    if held.interrupted:
        return Word.INTERRUPTED
    judged = held.judgement
    if not held.measured.went_well.any():
        return Word.NOTHING_MEASURED
    words = {
        LevelStanding.HOLDS: Word.PASS,
        LevelStanding.FAILS: Word.FAIL,
        LevelStanding.INVALID: Word.INVALID,
    }
    word = words.get(judged.standing, Word.UNDECIDED)
    if word is not Word.INVALID and drift_sentences(held):
        return Word.FAIL
    if not judged.gates and word is Word.UNDECIDED:
        return Word.NOT_JUDGED
    return word


def drift_sentences(held: HeldFor) -> list[str]:
    """Return which curves of the server drift, in words. The client's own are not its fault."""
    return [drift.sentence() for drift in failing_drifts(held)]


def failing_drifts(held: HeldFor) -> list[Drift]:
    """Return the drifts that fail a level: shown ones of latency and of the server."""
    server = [drift for drift in held.drifts if not drift.name.startswith("client_")]
    return [drift for drift in server if drift.is_shown]


def word_of_answer(
    answer: CapacityAnswer | None, at_least: int | None, baseline: BaselineCapacity | None = None
) -> Word:
    """Return the verdict of a search (None: it was interrupted), also against its baseline."""
    if answer is None:
        return Word.INTERRUPTED
    found = answer.verdict(at_least)
    if found is CapacityVerdict.INVALID:
        return Word.INVALID
    verdicts = [Verdict(found.value)]
    if baseline is not None:
        verdicts.append(baseline.verdict(answer))
    return Word(worst(verdicts).value)


def probe_result(held: HeldFor) -> ProbeResult:
    """Return the result of a level as the search takes it."""
    inside = held.measured
    values = inside.values["first_audio_due_ms"][inside.went_well]
    return ProbeResult(
        held.judgement.standing,
        above_shares(held),
        percentile_interval(values.tolist(), 50, 0.99),
    )


def answer_head(
    word: Word, gates: Sequence[LoadGate], behaviour: Mapping[str, object], *, quick: bool
) -> dict[str, object]:
    """Return the beginning of an answer's document: verdict, gates and how callers behave.

    ``behaviour`` has the settings of the section ``load``.
    """
    return {
        "schema": SCHEMA_OF_LEVELS,
        "verdict": word.value,
        "exit_code": int(word.exit_code),
        "quick": quick,
        "gates": [{"gate": gate.gate.text, "share": gate.share} for gate in gates],
        "callers_behave": {name: behaviour.get(name) for name in BEHAVIOUR},
        "error": ERROR,
    }


def capacity_figures(
    answer: CapacityAnswer | None,
    levels: Sequence[Mapping[str, object]],
    *,
    at_least: int | None,
    precision: float,
    least: int,
    baseline: BaselineCapacity | None = None,
) -> dict[str, object]:
    """Return the end of ``capacity.json``: the capacity, its bracket and its levels.

    ``least`` is the smallest level whose longest time can confirm it.
    """
    document: dict[str, object] = {
        "capacity": None,
        "capacity_low": None,
        "capacity_high": None,
        "at_least": at_least,
        "precision": precision,
        "least": least,
        "notes": [],
    }
    if answer is not None:
        document |= {
            "capacity": answer.capacity,
            "capacity_low": answer.capacity,
            "capacity_high": answer.high,
            "max_callers": answer.most,
            "notes": notes_on(answer, least),
        }
    if baseline is not None:
        document["baseline"] = baseline.as_dict()
    named = ("level", "callers", "purpose", "standing")
    return document | {"levels": [{name: level.get(name) for name in named} for level in levels]}


def notes_on(answer: CapacityAnswer, least: int) -> list[str]:
    """Return a sentence for everything that a reader must know besides the capacity."""
    notes = list(answer.contradictions)
    if answer.drifted:
        notes.append(DRIFTED)
    if answer.is_ended_by_client:
        notes.append(ENDED_BY_CLIENT)
    if answer.capacity is None:
        notes.append(
            f"levels under {least} callers have too few turns to be confirmed, and those above "
            "were not shown to hold: hold levels longer (--for), or ask for less (--quick)"
        )
    return notes
