"""One run of ``load``: hold a level for its whole time, keep it, and judge it."""

from __future__ import annotations

from dataclasses import replace

from voicebench.load.level_rule import LevelRule
from voicebench.load.load_answer import answer_head, drift_sentences, word_of_level
from voicebench.load.recorded.judged_again import RecordedLevel
from voicebench.load.recorded.level_baseline import BaselineLevel
from voicebench.load.running.level_run import LevelWatch, LoadOutcome, open_level_run
from voicebench.load.running.load_job import LoadJob
from voicebench.load.search import ERROR
from voicebench.results.load_folder import LOAD


def run_load(job: LoadJob, watch: LevelWatch, baseline: BaselineLevel | None = None) -> LoadOutcome:
    """Hold one level for its whole time, and judge it, also against a ``baseline``."""
    rule = LevelRule(job.gates, job.block_s, ERROR)
    with open_level_run(job, rule, watch) as run:
        load = job.settings.load
        times = replace(job.times(job.arrivals), whole=True)
        held = run.hold(job.arrivals, rule, times, "load", load.seed)
        against = None
        if baseline is not None:
            level = RecordedLevel(run.levels[0], run.levels[0], held, rule, {})
            against = baseline.verdicts(level, job.gates)
        word = word_of_level(held, against)
        document = answer_head(word, job.gates, load.model_dump(), quick=load.quick)
        document |= {"level": run.levels[0]}
        if baseline is not None:
            document["baseline"] = baseline.as_dict()
        if load.soak:
            document["notes"] = drift_sentences(held)
        run.folder.finish(LOAD, document, complete=not held.interrupted)
        return LoadOutcome(run.folder.path, document, word)
