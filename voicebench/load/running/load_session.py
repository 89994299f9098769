"""One run of ``load``: hold a level for its whole time, keep it, and judge it."""

from __future__ import annotations

from dataclasses import replace

from voicebench.judging.final import Word
from voicebench.load.holding import HeldFor
from voicebench.load.level_rule import LevelRule, LevelStanding
from voicebench.load.loaded_turn import ANSWERED
from voicebench.load.running.level_run import LevelDone, LoadOutcome, answer_head, open_level_run
from voicebench.load.running.load_job import LoadJob
from voicebench.load.search import ERROR
from voicebench.results.load_folder import LOAD


def run_load(job: LoadJob, done: LevelDone) -> LoadOutcome:
    """Hold one level for its whole time, and judge it."""
    rule = LevelRule(job.gates, job.block_s, ERROR)
    with open_level_run(job, rule, done) as run:
        times, seed = replace(job.times(job.arrivals), whole=True), job.settings.load.seed
        held = run.hold(job.arrivals, rule, times, "load", seed)
        word = _word_of_level(held, job)
        document = answer_head(job, word) | {"level": run.levels[0]}
        run.folder.finish(LOAD, document, complete=not held.interrupted)
        return LoadOutcome(run.folder.path, document, word)


def _word_of_level(held: HeldFor, job: LoadJob) -> Word:
    if held.interrupted:
        return Word.INTERRUPTED
    judged = held.judgement
    if not (held.measured.outcome == ANSWERED).any():
        return Word.NOTHING_MEASURED
    words = {
        LevelStanding.HOLDS: Word.PASS,
        LevelStanding.FAILS: Word.FAIL,
        LevelStanding.INVALID: Word.INVALID,
    }
    if not job.gates and judged.standing is LevelStanding.UNDECIDED:
        return Word.NOT_JUDGED
    return words.get(judged.standing, Word.UNDECIDED)
