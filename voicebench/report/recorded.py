"""Recorded runs as the reports see them: every figure, and the events of the turns that are shown.

A run of up to `FROM_TURNS` turns is held whole. Of a longer one every figure is known too, but only
the turns that a person looks at one by one have their events: the failed and slowest ones, the
fastest and the median one, the first of the warm-up, all cold and idle ones, and an even sample
for the table of text lengths. The others are *thinned* to when their first audio came, or to why
they failed, so a hundred thousand turns take seconds and megabytes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from voicebench.columns import Columns, columns_of
from voicebench.errors import ResultsError
from voicebench.events import Phase
from voicebench.final import TOO_NOISY, Final, Taken
from voicebench.gates import GateResult
from voicebench.judgement import judge_gates, planned_turns
from voicebench.phases import FIRST_TURNS
from voicebench.playback import Arrival
from voicebench.report.head import notes_on
from voicebench.report.runs import MOST_APART, MOST_SHOWN, SLOWEST_SHOWN
from voicebench.results.codec import decode_line
from voicebench.results.columns import FROM_TURNS, read_columns, stream_turns
from voicebench.results.document import summary_document
from voicebench.results.folder import INCOMPLETE, SUMMARY, TURNS, audio_file
from voicebench.results.judged import Judged
from voicebench.results.reading import read_document
from voicebench.results.tables import check_folder
from voicebench.summary import Summary
from voicebench.timeline import Failure, Sound, Timeline

SAMPLED = 2_000
"""Of more turns, so many evenly spaced ones are read for what is told of all chunks."""

WHOLE_TURN = ("voice", "realtime")
"""Targets that are one WebSocket, tokens and sound alike."""

_HEAD = re.compile(rb'\{"schema":\d+,"turn":(\d+),"phase":"([a-z]+)"')
_FAILURE = b'"failure":{'
_THIN_SOUND = Sound(1000, 0, 1.0, 1.0, 0)


@dataclass(frozen=True, slots=True, eq=False)
class Recorded:
    """One recorded run. Beyond `FROM_TURNS` turns most of ``turns`` are thinned."""

    path: Path
    settings: Mapping[str, object]
    environment: Mapping[str, object]
    turns: Sequence[Timeline]
    sample: Sequence[Timeline]
    """Whole turns that stand for all: all of them, or evenly spaced ones."""
    columns: Columns
    summary: Summary
    gate_results: tuple[GateResult, ...]
    complete: bool
    cut_line: bool
    stored: Mapping[str, object]
    """``summary.json`` as it lies in the folder; empty where there is none."""

    @property
    def name(self) -> str:
        """The run's name; the folder's where the settings do not say."""
        return str(_section(self.settings, "run").get("name") or self.path.name)

    @property
    def target(self) -> str | None:
        """What was measured, as the settings name it."""
        target = _section(self.settings, "run").get("target")
        return None if target is None else str(target)

    @property
    def is_over_a_socket(self) -> bool:
        """Whether the whole turn, or its voice, came over a WebSocket."""
        voice = _section(self.settings, "tts")
        return self.target in WHOLE_TURN or (
            self.target == "cascade" and bool(voice.get("url")) and voice.get("api") == "socket"
        )

    @property
    def is_over_a_wire(self) -> bool:
        """Whether the target or one of its engines was reached over a connection."""
        behind = any(_section(self.settings, name).get("url") for name in ("llm", "tts"))
        return self.target in WHOLE_TURN or (self.target == "cascade" and behind)

    @property
    def started_at(self) -> str | None:
        """When the first turn began."""
        return self.turns[0].started_at if self.turns else None

    @property
    def judged(self) -> Judged:
        """What the run's own judgement said beside its gates."""
        return Judged.of(self.stored)

    @property
    def taken(self) -> Taken:
        """The measured turns."""
        summary = self.summary
        planned = planned_turns(self.settings)
        complete = self.complete and not self.cut_line
        return Taken(summary.turns, summary.failed, planned, complete=complete)

    @property
    def final(self) -> Final:
        """The final verdict."""
        return self.judged.final(self.taken, [result.verdict for result in self.gate_results])

    @property
    def sampled(self) -> bool:
        """Whether ``sample`` is less than all turns."""
        return len(self.sample) < len(self.turns)

    @property
    def warnings(self) -> list[str]:
        """What a reader has to know before any figure: a noisy machine, bad audio, a cut line."""
        found = [*self.judged.lines, *notes_on(self.environment)]
        if self.judged.invalid:
            found.insert(0, f"INVALID: {TOO_NOISY}")
        if not self.complete:
            found.insert(0, f"interrupted after {self.taken.progress()}: the figures cover these")
        if self.cut_line:
            found.append(f"the last line of {TURNS} was cut off, and is left out")
        return found

    def document(self) -> dict[str, object]:
        """Return the figures as ``summary.json`` has them, computed anew."""
        stored = self.stored.get("run")
        run = dict(stored) if isinstance(stored, dict) else {}
        run |= {
            "name": self.name,
            "folder": run.get("folder", str(self.path)),
            "started_at": self.started_at,
            "complete": self.complete,
            "target": self.target,
            "voicebench": self.environment.get("voicebench"),
        }
        return summary_document(run, self.turns, self.summary, self.gate_results, self.final)

    def audio_of(self, turn: Timeline) -> Path | None:
        """Return the WAV of a turn; None where its audio was not kept."""
        return audio_file(self.path, turn.turn)


def read_recorded(
    path: Path, gates: Sequence[str] | None = None, *, may_be_empty: bool = False
) -> Recorded:
    """Read the run folder at ``path`` and judge it by ``gates``, else by its own.

    Raises `ResultsError` for what is no readable run, and for a run without a finished turn unless
    it ``may_be_empty``.
    """
    folder = check_folder(path, may_be_empty=may_be_empty)
    known = read_columns(folder, may_be_empty=may_be_empty)
    lines = _count_lines(folder / TURNS)
    columns = known.columns
    if lines <= FROM_TURNS:
        turns: Sequence[Timeline] = read_turns(folder)
        sample = turns
    else:
        turns, sample = _thinned(folder, columns)
    summary = columns.summary()
    return Recorded(
        path=folder,
        settings=known.settings,
        environment=known.environment,
        turns=turns,
        sample=sample,
        columns=columns,
        summary=summary,
        gate_results=judge_gates(known.settings, summary, gates),
        complete=known.complete,
        cut_line=known.cut_line,
        stored=_stored(folder),
    )


def read_turns(folder: Path) -> list[Timeline]:
    """Return every turn of the folder, each fit to be computed with."""
    turns = list(stream_turns(folder))
    try:
        columns_of(turns, ())
    except (TypeError, ValueError, ArithmeticError) as error:
        raise ResultsError(f"{folder / TURNS} holds figures that are none ({error})") from None
    return turns


def _section(settings: Mapping[str, object], name: str) -> Mapping[str, object]:
    section = settings.get(name)
    return section if isinstance(section, dict) else {}


def _stored(folder: Path) -> Mapping[str, object]:
    path = folder / SUMMARY
    if not path.is_file():
        return {}
    try:
        return read_document(path)
    except ResultsError:
        if (folder / INCOMPLETE).exists():
            return {}  # the run was stopped while it was writing this file
        raise


def _count_lines(path: Path) -> int:
    count = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            count += block.count(b"\n")
    return count


def _thinned(folder: Path, columns: Columns) -> tuple[list[Timeline], list[Timeline]]:
    """Read the lines once more, whole only where a turn is shown or stands for others."""
    first_audio = columns.values["first_audio_ms"]
    wanted = set(shown_runs(columns))
    step = max(1, columns.turns // SAMPLED)
    turns: list[Timeline] = []
    sample: list[Timeline] = []
    measured = apart = 0
    with (folder / TURNS).open("rb") as file:
        for line_number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                break
            head = _HEAD.match(line)
            where = f"{folder / TURNS}, line {line_number}"
            if head is None:
                raise ResultsError(f"{where} is no turn of voicebench")
            if head[2] != b"measured":
                apart += 1
                first_turn = head[2].decode() in FIRST_TURNS
                if apart <= MOST_APART or first_turn:
                    turns.append(decode_line(line, where))
                else:
                    turns.append(_thin(head, None, None))
                continue
            sampled = measured % step == 0
            if measured in wanted or sampled:
                turn = decode_line(line, where)
                turns.append(turn)
                if sampled:
                    sample.append(turn)
            else:
                failure = _failure_in(line) if columns.failed[measured] else None
                turns.append(_thin(head, float(first_audio[measured]), failure))
            measured += 1
    return turns, sample


def shown_runs(columns: Columns) -> list[int]:
    """Return which runs (from 0) are shown one by one: see `voicebench.report.runs.shortlist`."""
    if columns.turns <= MOST_SHOWN:
        return list(range(columns.turns))
    first_audio = np.where(
        np.isnan(columns.values["first_audio_ms"]), np.inf, columns.values["first_audio_ms"]
    )
    order = np.argsort(first_audio, kind="stable")
    timed = int(np.isfinite(first_audio).sum())
    # `shortlist` sorts stably from the slowest on, so of equal runs the first ones are shown.
    slowest = np.argsort(-first_audio, kind="stable")[:SLOWEST_SHOWN]
    chosen = {int(index) for index in slowest}
    if timed:
        chosen |= {int(order[0]), int(order[(timed - 1) // 2]), int(order[timed - 1])}
    return sorted(chosen)


def _thin(head: re.Match[bytes], first_audio_ms: float | None, failure: Failure | None) -> Timeline:
    """Return a turn of which no more is known than when its first audio came."""
    heard = first_audio_ms is not None and not np.isnan(first_audio_ms)
    phase: Phase = "measured" if head[2] == b"measured" else "warmup"
    return Timeline(
        turn=int(head[1]),
        phase=phase,
        prompt="",
        started_at="",
        end_ns=0,
        audio=(Arrival(round((first_audio_ms or 0.0) * 1e6), 1),) if heard else (),
        sound=_THIN_SOUND if heard else None,
        failure=failure,
    )


def _failure_in(line: bytes) -> Failure:
    """Return why the turn in ``line`` failed.

    In a JSON text the bytes looked for cannot stand inside a string: its quotes are escaped.
    """
    start = line.find(_FAILURE) + len(_FAILURE) - 1
    fields, _ = json.JSONDecoder().raw_decode(line[start:].decode("utf-8"))
    return Failure(str(fields["reason"]), fields["fault"], fields["stage"])
