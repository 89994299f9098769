"""One run of ``capacity``: the levels that the search asks for, and the answer."""

from __future__ import annotations

from voicebench.figures.intervals import percentile_interval
from voicebench.judging.final import Word
from voicebench.load.call_plan import Population
from voicebench.load.draws import derived_seed
from voicebench.load.holding import HeldFor, Times
from voicebench.load.level_document import above_shares
from voicebench.load.level_rule import LEAST_BLOCKS, LevelRule
from voicebench.load.loaded_turn import ANSWERED
from voicebench.load.running.level_run import (
    LevelDone,
    LevelRun,
    LoadOutcome,
    answer_head,
    open_level_run,
)
from voicebench.load.running.load_job import LoadJob, least_decidable
from voicebench.load.search import (
    ERROR,
    CapacityAnswer,
    CapacityVerdict,
    Probe,
    ProbeResult,
    find_capacity,
)
from voicebench.results.load_folder import CAPACITY


def run_capacity(job: LoadJob, at_least: int | None, done: LevelDone) -> LoadOutcome:
    """Search for the highest number of callers at which every gate holds."""
    load = job.settings.load
    first_rule = LevelRule(job.gates, job.block_s, ERROR)
    least = least_decidable(job)
    search = find_capacity(load.max_callers, load.precision, at_least=at_least, least=least)
    with open_level_run(job, first_rule, done) as run:
        interrupted, answer = False, None
        try:
            probe = next(search)
            while True:
                held = _hold_probe(run, probe)
                if held.interrupted:
                    interrupted = True
                    break
                probe = search.send(_result_of(held))
        except StopIteration as ended:
            answer = ended.value
        word = Word.INTERRUPTED if interrupted else _word_of(answer, at_least)
        document = answer_head(job, word) | _answer_document(
            answer, at_least, load.precision, least
        )
        document["levels"] = [
            {name: level.get(name) for name in ("level", "callers", "purpose", "standing")}
            for level in run.levels
        ]
        run.folder.finish(CAPACITY, document, complete=not interrupted)
        return LoadOutcome(run.folder.path, document, word)


def _hold_probe(run: LevelRun, probe: Probe) -> HeldFor:
    job = run.job
    rule = LevelRule(job.gates, job.block_s, probe.error, probe.screen_error, climbs=probe.climbs)
    seed = job.settings.load.seed
    if probe.purpose == "confirm":
        seed = derived_seed(seed, "confirm", probe.attempt)
    arrivals = Population(probe.callers)
    times = job.times(arrivals)
    if probe.purpose == "again":
        times = Times(times.first_s, LEAST_BLOCKS * job.block_s, times.drain_s)
    return run.hold(arrivals, rule, times, probe.purpose, seed)


def _result_of(held: HeldFor) -> ProbeResult:
    judged = held.judgement
    inside = held.measured
    values = inside.values["first_audio_due_ms"][inside.outcome == ANSWERED]
    return ProbeResult(
        judged.standing, above_shares(held), percentile_interval(values.tolist(), 50, 0.99)
    )


def _word_of(answer: CapacityAnswer | None, at_least: int | None) -> Word:
    assert answer is not None
    return {
        CapacityVerdict.PASS: Word.PASS,
        CapacityVerdict.FAIL: Word.FAIL,
        CapacityVerdict.UNDECIDED: Word.UNDECIDED,
        CapacityVerdict.INVALID: Word.INVALID,
    }[answer.verdict(at_least)]


def _answer_document(
    answer: CapacityAnswer | None, at_least: int | None, precision: float, least: int
) -> dict[str, object]:
    document: dict[str, object] = {
        "capacity": None,
        "capacity_low": None,
        "capacity_high": None,
        "at_least": at_least,
        "precision": precision,
        "notes": [],
    }
    if answer is None:
        return document
    notes = list(answer.contradictions)
    if answer.drifted:
        notes.append("the lowest level changed between two probes: machine or server drifted")
    if answer.is_ended_by_client:
        notes.append("the client was too slow for a level, so it says nothing about the server")
    if answer.capacity is None:
        notes.append(
            f"levels under {least} callers have too few turns to be confirmed, and those above "
            "were not shown to hold: hold levels longer (--for), or ask for less (--quick)"
        )
    return document | {
        "capacity": answer.capacity,
        "capacity_low": answer.capacity,
        "capacity_high": answer.high,
        "max_callers": answer.most,
        "notes": notes,
    }
