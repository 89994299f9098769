"""What could be tried next, measured: a stronger warm-up, keeping warm, a cheaper first window.

(A first chunk of two words is a row of its own in the comparison.)
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import closing

from benchmarks.first_audio.growth import Table
from benchmarks.first_audio.ratios import figure
from benchmarks.first_audio.rows import Pipelines
from voicebench.audio.pcm import AudibleRule
from voicebench.engines.llm.generation import InProcessLanguageModel
from voicebench.events import Emit
from voicebench.measuring.plan import PlannedTurn, take_turns
from voicebench.settings import load_settings
from voicebench.targets import Target
from voicebench.targets.cascade import Cascade, open_cascade
from voicebench.turn.timeline import Timeline

WARMUPS = (0, 1, 3, 10)
LOADS = 3
FIRST_TURNS = 3
GAPS_S = (0.0, 0.1, 0.7, 2.0, 5.0)
GAP_TURNS = 8
NUDGE_S = 0.1
NUDGES_S = (0.1, 0.25, 0.5, 1.0)
NUDGED_GAP_S = 2.0


def measure(pipelines: Pipelines, prompts: Sequence[str], warmup: Sequence[str]) -> list[Table]:
    """Measure all of them; takes a few minutes."""
    return [
        warm_up(prompts, warmup),
        silence(pipelines.ours, prompts),
        nudges(pipelines.ours, prompts),
    ]


def warm_up(prompts: Sequence[str], warmup: Sequence[str]) -> Table:
    """Return the first measured turns of a fresh start by the turns that were taken before."""
    rows = []
    for count in WARMUPS:
        taken: list[list[Timeline]] = [[] for _ in range(FIRST_TURNS)]
        for _ in range(LOADS):
            with closing(open_cascade(load_settings().settings, lambda _: None)) as fresh:
                take(fresh, [warmup[index % len(warmup)] for index in range(count)])
                # The same prompt in the same place of every load, so that places compare.
                for place, turn in enumerate(take(fresh, prompts[:FIRST_TURNS])):
                    taken[place].append(turn)
        rows.append([count, *(figure(turns, "first_audio_ms", 50) for turns in taken)])
    columns = [
        "warm-up turns",
        *(f"`first_audio` of turn {place}, ms" for place in range(1, FIRST_TURNS + 1)),
    ]
    return {"title": "a stronger warm-up", "columns": columns, "rows": rows}


def silence(ours: Cascade, prompts: Sequence[str]) -> Table:
    """Return the first audio by the silence before a turn, left alone and kept warm."""
    rows = []
    for gap_s in GAPS_S:
        alone = take(ours, prompts[:GAP_TURNS], gap_s)
        row: list[object] = [f"{gap_s:g}", *_first_audio(alone)]
        if gap_s:
            with closing(KeptWarm(ours)) as warm:
                kept = take(warm, prompts[:GAP_TURNS], gap_s)
            share = warm.nudge_s / (gap_s * GAP_TURNS)
            row += [*_first_audio(kept), f"{100 * share:.0f} %"]
        else:
            row += [None, None, None]
        rows.append(row)
    columns = [
        "silence, s",
        *("`first_audio` p50, ms", "max, ms"),
        *("kept warm: p50, ms", "max, ms", "of a core, in silence"),
    ]
    return {"title": "keeping warm in silence", "columns": columns, "rows": rows}


def nudges(ours: Cascade, prompts: Sequence[str]) -> Table:
    """Return the first audio after `NUDGED_GAP_S` by how often the silence is interrupted.

    Prompt by prompt in turn, and "never" among them, because the differences are small.
    """
    taken: dict[float | None, list[Timeline]] = {every_s: [] for every_s in (None, *NUDGES_S)}
    used = dict.fromkeys(taken, 0.0)
    for prompt in prompts[:GAP_TURNS]:
        for every_s in taken:
            if every_s is None:
                taken[every_s] += take(ours, [prompt], NUDGED_GAP_S)
                continue
            with closing(KeptWarm(ours, every_s)) as warm:
                taken[every_s] += take(warm, [prompt], NUDGED_GAP_S)
            used[every_s] += warm.nudge_s
    rows = []
    for every_s, turns in taken.items():
        share = 100 * used[every_s] / (NUDGED_GAP_S * len(turns))
        named = "never" if every_s is None else f"{every_s:g}"
        rows.append([named, *_first_audio(turns), f"{share:.0f} %"])
    columns = ["a token every, s", "`first_audio` p50, ms", "max, ms", "of a core, in silence"]
    title = f"keeping warm more or less often, {NUDGED_GAP_S:g} s of silence"
    return {"title": title, "columns": columns, "rows": rows}


class KeptWarm:
    """The pipeline with a language model that computes a token every so often in silence.

    A turn that comes while a token is being computed waits for it; that wait (tens of milliseconds,
    in some turns) comes before the turn's start and is not in its figures.
    """

    def __init__(self, ours: Cascade, every_s: float = NUDGE_S) -> None:
        self._every_s = every_s
        assert isinstance(ours.llm, InProcessLanguageModel)
        self._ours = ours
        self._nudged = ours.llm.with_rules(max_tokens=1)
        self._busy, self._over = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._nudge)
        self.nudge_s = 0.0
        """Processor time that the nudges took."""
        self._thread.start()

    def run(self, prompt: str, emit: Emit) -> None:
        """Answer ``prompt`` aloud."""
        with self._busy:
            self._ours.run(prompt, emit)

    def describe(self) -> dict[str, object]:
        """Return what the pipeline says of itself."""
        return self._ours.describe()

    def close(self) -> None:
        """Stop keeping warm; the pipeline stays open."""
        self._over.set()
        self._thread.join()

    def _nudge(self) -> None:
        while not self._over.wait(self._every_s):
            with self._busy:
                begun = time.process_time()
                list(self._nudged.reply("Hm."))
                self.nudge_s += time.process_time() - begun


def take(target: Target, prompts: Sequence[str], pause_s: float = 0.0) -> list[Timeline]:
    """Take one turn a prompt, each after ``pause_s`` seconds of silence."""
    planned = [PlannedTurn(n, "measured", prompt) for n, prompt in enumerate(prompts, 1)]
    recordings = take_turns(target, planned, rule=AudibleRule(), pause_s=pause_s)
    return [recording.timeline for recording in recordings]


def _first_audio(turns: Sequence[Timeline]) -> tuple[float | None, float | None]:
    return figure(turns, "first_audio_ms", 50), figure(turns, "first_audio_ms", 100)
