"""Levels that are held one after the other, and the run folder that they go to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from voicebench.judging.final import Word
from voicebench.load.call_plan import Arrivals
from voicebench.load.drift import SoakSamples
from voicebench.load.holding import Engine, HeldFor, HeldLevel, Times, hold
from voicebench.load.level import LevelJudgement
from voicebench.load.level_document import (
    LEVEL_COLUMNS,
    csv_cells,
    level_document,
    level_figures,
    offered_load,
)
from voicebench.load.level_rule import LevelRule
from voicebench.load.running.load_job import LoadJob
from voicebench.load.running.local_engine import LocalLevel
from voicebench.load.running.machines_engine import MachinesLevel
from voicebench.load.running.opened_engine import engine_for
from voicebench.load.running.ray_machines import machines_of
from voicebench.load.running.soak_watch import SoakWatch
from voicebench.load.running.way_to_server import way_to_server
from voicebench.machine.environment import describe_environment
from voicebench.results.folder import check_writable
from voicebench.results.load_folder import LoadFolder, create_load_folder


class LevelWatch(Protocol):
    """Follows the levels of a run, to show its progress."""

    def began(self, level: Mapping[str, object]) -> None:
        """Take a level that begins: its number, purpose and callers (or rate)."""
        ...

    def looked(self, judgement: LevelJudgement, at_s: float) -> None:
        """Take the judgement so far of the present level, after each block."""
        ...

    def ended(self, level: Mapping[str, object]) -> None:
        """Take the document of a level that has ended."""
        ...


@dataclass(frozen=True)
class LoadOutcome:
    """The end of a run under load: its document, its word and its folder."""

    path: Path
    document: Mapping[str, object]
    word: Word


@dataclass(eq=False)
class LevelRun:
    """The levels of one run, and the folder that they go to."""

    job: LoadJob
    engine: Engine
    folder: LoadFolder
    watch: LevelWatch
    prompts: int
    levels: list[dict[str, object]] = field(default_factory=list)

    def hold(
        self, arrivals: Arrivals, rule: LevelRule, times: Times, purpose: str, seed: int
    ) -> HeldFor:
        """Hold one level and keep it."""
        number = len(self.levels) + 1
        plan = self.job.plan(arrivals, self.prompts, seed)
        self.watch.began({"level": number, "purpose": purpose, **offered_load(arrivals)})

        with closing(self.engine.start(plan, number)) as level:
            soak = self._soak_watch(level)

            def look(judgement: LevelJudgement, at_s: float) -> None:
                self.folder.sync()
                if soak is not None:
                    soak.read()
                self.watch.looked(judgement, at_s)

            held = hold(level, rule, times, look)
            if soak is not None:
                held = replace(held, soak=SoakSamples(rule.block_s, soak.curves))
            machines = level.describe() if isinstance(level, MachinesLevel) else {}
        document = level_document(number, purpose, plan, times, level_figures(rule, held))
        document |= machines
        self.folder.add_level(document, csv_cells(document))
        self.levels.append(document)
        self.watch.ended(document)
        return held

    def _soak_watch(self, level: HeldLevel) -> SoakWatch | None:
        """Return the watch of a soak: of the processes on this machine, if there are any."""
        if not self.job.settings.load.soak:
            return None
        if not isinstance(level, LocalLevel):
            return SoakWatch(tuple, tuple)

        def clients() -> list[int]:
            return [number for core in level.process_numbers for number in core]

        return SoakWatch(clients, lambda: level.server_numbers)


@contextmanager
def open_level_run(job: LoadJob, rule: LevelRule, watch: LevelWatch) -> Iterator[LevelRun]:
    """Make the run folder and the engine of a run under load.

    Raises `ResultsError` if there can be no folder. ``rule`` names the metrics that are kept.
    """
    settings = job.settings
    check_writable(Path(settings.run.results))
    with way_to_server(settings) as way, machines_of(settings.load.ray) as machines:
        opened = engine_for(job, rule, way, machines)
        with create_load_folder(
            Path(settings.run.results),
            settings.run.name,
            [name for name, _ in LEVEL_COLUMNS],
            settings={**opened.settings, "origins": job.effective.origins},
            environment={**describe_environment(), **opened.environment},
        ) as folder:
            opened.keep_with(folder.keep_at_once if opened.is_real_time else folder.keep)
            yield LevelRun(job, opened.engine, folder, watch, opened.prompts)
