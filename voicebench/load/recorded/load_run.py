"""One recorded run under load, read from its folder. Every report and comparison of it uses this.

``turns.jsonl`` is the measurement. Each level is judged again from its turns, and a search is
replayed with the levels. From the other files come only the windows of the levels, the state of the
client, and the settings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from voicebench.errors import ResultsError, UsageError
from voicebench.judging.gates import Verdict, parse_gate
from voicebench.load.capacity_baseline import BaselineCapacity, stored_baseline
from voicebench.load.level_rule import LevelRule
from voicebench.load.load_answer import answer_head, capacity_figures
from voicebench.load.load_gate import LoadGate, load_gate, load_gates
from voicebench.load.recorded.judged_again import (
    LoadReplay,
    RecordedLevel,
    SearchSettings,
    replay_level,
    replay_search,
)
from voicebench.load.recorded.level_baseline import BaselineLevel, stored_level_baseline
from voicebench.load.recorded.level_columns import AllTurns, read_turns
from voicebench.load.recorded.load_final import LoadFinal, final_of_level, final_of_search
from voicebench.results.batches import is_cut
from voicebench.results.folder import ENVIRONMENT, INCOMPLETE, SETTINGS, TURNS
from voicebench.results.load_folder import CAPACITY, LOAD, read_levels
from voicebench.results.reading import (
    check_load_folder,
    name_in,
    number_in,
    object_in,
    read_document,
    texts_in,
)


@dataclass(frozen=True, eq=False)
class LoadRun:
    """One recorded run of ``load`` or ``capacity``."""

    path: Path
    settings: Mapping[str, object]
    environment: Mapping[str, object]
    stored: Mapping[str, object]
    """``load.json`` or ``capacity.json``; empty if there is none."""
    gates: tuple[LoadGate, ...]
    turns: AllTurns
    replay: LoadReplay
    is_search: bool
    complete: bool
    cut_line: bool
    """Whether the last line of the turns was cut off while it was being written."""

    @property
    def name(self) -> str:
        """The run's name; the folder's name if the settings have none."""
        return name_in(self.settings) or self.path.name

    @property
    def kind(self) -> str:
        """``capacity`` or ``load``: the command that made it."""
        return "capacity" if self.is_search else "load"

    @property
    def target(self) -> str | None:
        """The target in the settings."""
        target = object_in(self.settings, "run").get("target")
        return None if target is None else str(target)

    @property
    def levels(self) -> tuple[RecordedLevel, ...]:
        """The levels in the order in which they were held."""
        return self.replay.levels

    @property
    def at_least(self) -> int | None:
        """The callers that a search was asked to confirm; None if none were."""
        value = number_in(object_in(self.settings, "load"), "at_least")
        return None if value is None else int(value)

    @property
    def least(self) -> int:
        """The smallest level that the search may confirm."""
        return int(number_in(self.stored, "least") or 1)

    @property
    def baseline(self) -> BaselineCapacity | None:
        """The baseline of a search; None if none was named."""
        return stored_baseline(self.stored)

    @property
    def level_baseline(self) -> BaselineLevel | None:
        """The baseline of a single level; None if none was named."""
        return None if self.is_search else stored_level_baseline(self.stored)

    @property
    def _against(self) -> tuple[Verdict, ...] | None:
        """The verdicts of a level against its baseline; None if none was named."""
        baseline, level = self.level_baseline, self.shown_level
        if baseline is None or level is None:
            return None
        return baseline.verdicts(level, self.gates)

    @property
    def shown_level(self) -> RecordedLevel | None:
        """The level that the answer rests on: of a search the confirmed one, else the last one."""
        confirmed = [level for level in self.levels if level.purpose == "confirm"]
        return next(iter((confirmed or list(self.levels))[-1:]), None)

    @cached_property
    def final(self) -> LoadFinal:
        """The final verdict, computed again."""
        complete = self.complete and not self.cut_line
        if self.is_search:
            return final_of_search(
                self.replay,
                self.at_least,
                self.least,
                complete=complete,
                baseline=self.baseline,
            )
        return final_of_level(self.replay, complete=complete, against=self._against)

    @property
    def quick(self) -> bool:
        """Whether shares of 95 % at most were asked for."""
        return object_in(self.settings, "load").get("quick") is True

    def answer_document(self) -> dict[str, object]:
        """Return ``load.json`` or ``capacity.json``, computed again."""
        load = object_in(self.settings, "load")
        head = answer_head(self.final.word, self.gates, load, quick=self.quick)
        levels = [level.document for level in self.levels]
        if not self.is_search:
            found = head | ({"level": levels[0]} if levels else {})
            before = self.level_baseline
            return found if before is None else found | {"baseline": before.as_dict()}
        return head | capacity_figures(
            self.replay.answer,
            levels,
            at_least=self.at_least,
            precision=number_in(load, "precision") or 0.0,
            least=self.least,
            baseline=self.baseline,
        )

    def document(self) -> dict[str, object]:
        """Return the run as one document: the answer, and every level in full."""
        about = {
            "folder": str(self.path),
            "kind": self.kind,
            "name": self.name,
            "started_at": self.turns.started_at,
            "complete": self.complete,
            "target": self.target,
            "voicebench": self.environment.get("voicebench"),
            "turns": self.turns.count,
        }
        answer = self.answer_document()
        return {
            "run": about,
            **answer,
            "why": self.final.why(),
            "levels": [dict(level.document) for level in self.levels],
        }


def read_load_run(
    path: Path, gates: Sequence[str] | None = None, *, whole_lines: bool = False
) -> LoadRun:
    """Read the run folder at ``path``; a run of ``load`` is judged by ``gates`` if they are given.

    ``whole_lines`` also reads and checks what no figure of a level needs.

    Raises `ResultsError` if it is not the folder of a run under load or has no finished turn, and
    `UsageError` for gates that a search was not made for.
    """
    folder = check_load_folder(path)
    settings = read_document(folder / SETTINGS)
    levels = read_levels(folder)
    is_search = (folder / CAPACITY).exists() or any(
        level.get("purpose") != "load" for level in levels
    )
    load = object_in(settings, "load")
    if gates is not None and is_search:
        raise UsageError(
            f"{path} is a search for capacity, whose levels were chosen by its own gates",
            "leave out --gate, or search again with these gates",
        )
    judged_by = _gates(folder, load, gates)
    rule = LevelRule(judged_by, 1.0, 1.0)
    turns = read_turns(folder, rule.metrics(), whole_lines=whole_lines)
    stored = _stored(folder, is_search=is_search)
    if is_search:
        search = SearchSettings(
            most=int(number_in(load, "max_callers") or 1),
            precision=number_in(load, "precision") or 0.1,
            at_least=None
            if load.get("at_least") is None
            else int(number_in(load, "at_least") or 1),
            least=int(number_in(stored, "least") or 1),
            first=int(number_in(load, "first_callers") or 1),
            seed=int(number_in(load, "seed") or 0),
        )
        replay = replay_search(levels, turns, judged_by, search)
    else:
        replay = replay_level(levels[0], turns, judged_by) if levels else LoadReplay(())
    return LoadRun(
        path=folder,
        settings=settings,
        environment=read_document(folder / ENVIRONMENT),
        stored=stored,
        gates=judged_by,
        turns=turns,
        replay=replay,
        is_search=is_search,
        complete=not (folder / INCOMPLETE).exists(),
        cut_line=is_cut(folder / TURNS),
    )


def _gates(
    folder: Path, load: Mapping[str, object], gates: Sequence[str] | None
) -> tuple[LoadGate, ...]:
    """Return the gates of the settings, or the given ones."""
    if gates is not None:
        return tuple(load_gate(parse_gate(text)) for text in gates)
    try:
        return load_gates(texts_in(load, "gates"), quick=load.get("quick") is True)
    except UsageError as error:
        raise ResultsError(f"{folder / SETTINGS}: {error.message}", error.remedy) from None


def _stored(folder: Path, *, is_search: bool) -> Mapping[str, object]:
    path = folder / (CAPACITY if is_search else LOAD)
    if not path.is_file():
        return {}
    try:
        return read_document(path)
    except ResultsError:
        if (folder / INCOMPLETE).exists():
            return {}  # the run was stopped while it was writing this file
        raise
