"""One run of ``capacity``: the levels that the search asks for, and the answer."""

from __future__ import annotations

from voicebench.load.call_plan import Population
from voicebench.load.capacity_baseline import BaselineCapacity
from voicebench.load.draws import derived_seed
from voicebench.load.holding import HeldFor, Times
from voicebench.load.level_rule import LEAST_BLOCKS, LevelRule
from voicebench.load.load_answer import (
    answer_head,
    capacity_figures,
    probe_result,
    word_of_answer,
)
from voicebench.load.running.level_run import LevelRun, LevelWatch, LoadOutcome, open_level_run
from voicebench.load.running.load_job import LoadJob, least_decidable
from voicebench.load.search import ERROR, CapacityAnswer, Probe, find_capacity
from voicebench.results.load_folder import CAPACITY


def run_capacity(
    job: LoadJob, watch: LevelWatch, baseline: BaselineCapacity | None = None
) -> LoadOutcome:
    """Search for the highest number of callers at which every gate holds."""
    load = job.settings.load
    first_rule = LevelRule(job.gates, job.block_s, ERROR)
    least = least_decidable(job)
    search = find_capacity(
        load.max_callers,
        load.precision,
        at_least=load.at_least,
        least=least,
        first=load.first_callers,
    )
    with open_level_run(job, first_rule, watch) as run:
        answer: CapacityAnswer | None = None
        try:
            probe = next(search)
            while True:
                held = _hold_probe(run, probe)
                if held.interrupted:
                    break
                probe = search.send(probe_result(held))
        except StopIteration as ended:
            answer = ended.value
        word = word_of_answer(answer, load.at_least, baseline)
        document = answer_head(word, job.gates, load.model_dump(), quick=load.quick)
        document |= capacity_figures(
            answer,
            run.levels,
            at_least=load.at_least,
            precision=load.precision,
            least=least,
            baseline=baseline,
        )
        run.folder.finish(CAPACITY, document, complete=answer is not None)
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
