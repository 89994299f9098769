"""One run from its settings to its record: check, open, measure, read back, judge.

Nothing here prints or exits: who wants to follow along passes an `Observer`. Every finished turn
is on disk before the next one begins, and is not kept in memory. When the last one has ended, or
the user has interrupted, the folder is read back and judged: what is told of a run is told of what
was recorded.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from voicebench.audio.pcm import AudibleRule
from voicebench.checks.selftest import (
    QUICK_TURNS,
    QUICK_TURNS_BESIDE_AN_ENGINE,
    QUICK_TURNS_OVER_THE_WIRE,
    InstrumentError,
    measure_in_process,
)
from voicebench.checks.transports import measure_used
from voicebench.errors import CannotMeasure, UsageError
from voicebench.events import Event
from voicebench.figures.columns import GrowingColumns
from voicebench.judging.gates import Verdict
from voicebench.judging.judgement import against_baseline, judge_gates, judgement_entry, look_counts
from voicebench.judging.noise import find_noise
from voicebench.judging.streaming_check import StreamingCheck, check_streaming
from voicebench.machine.devices import threads
from voicebench.machine.environment import describe_environment
from voicebench.machine.machine_state import MachineWatch
from voicebench.measuring.plan import PlannedTurn, plan_idle_turns, plan_turns, take_turns
from voicebench.quoting import as_json
from voicebench.results.baseline import read_baseline
from voicebench.results.folder import RunFolder, check_writable, create_run_folder
from voicebench.results.run import RecordedRun, previous_run, read_digest, read_documents
from voicebench.results.uninterrupted import uninterrupted
from voicebench.settings import AudibleSettings, Effective, Settings, secrets_of
from voicebench.targets import Target
from voicebench.targets.kinds import check_target, kind_of, open_target
from voicebench.targets.load import Load, load_beside_clients
from voicebench.targets.recorded_names import (
    described,
    expected_settings,
    named_by_servers,
    recorded_settings,
)
from voicebench.text.prompts import PromptSet, check_prompt, from_prompts, language_of
from voicebench.text.prompts import load as load_prompts
from voicebench.turn.recorder import Recording
from voicebench.turn.timeline import Timeline


class Observer(Protocol):
    """Follows a run while it goes on; what it does must be quick."""

    def say(self, line: str) -> None:
        """Take one line about what is going on."""
        ...

    def planned(self, turns: Sequence[PlannedTurn]) -> None:
        """Learn which turns will be taken; fewer where the gates are decided before."""
        ...

    def event(self, at_ns: int, event: Event) -> None:
        """See an event of the present turn, after it was stamped, in the thread of its source."""
        ...

    def turn_done(self, turn: Timeline) -> None:
        """See a finished turn, between two turns."""
        ...


def run_session(effective: Effective, observer: Observer) -> RecordedRun:
    """Measure what ``effective`` describes. Raises a `VoicebenchError` where nothing can be."""
    settings = effective.settings
    baseline = check_session(settings)
    with open_run(effective, observer) as run:
        observer.planned(run.planned)
        with until_interrupted(run):
            for count in look_counts(settings.model_dump()):
                run.take_until(count)
                if run.is_decided():
                    break
            run.take_idle()
        return run.finish(baseline)


def check_session(settings: Settings) -> RecordedRun | None:
    """Refuse in milliseconds, before a model is fetched or loaded, what cannot be measured.

    Returns the baseline where one is named.
    """
    check_target(settings)
    _prompts(settings, "en")
    results = Path(settings.run.results)
    check_writable(results)
    if settings.judge.is_held_to_nothing:
        raise UsageError(
            "--max-regression (judge.max_regression) needs a run to compare with",
            "name it with --baseline, or leave --max-regression out",
        )
    if settings.judge.baseline is None:
        return None
    return read_baseline(
        settings.judge.baseline, results, settings.run.name, expected_settings(settings)
    )


@contextmanager
def open_run(
    effective: Effective, observer: Observer, prompts: PromptSet | None = None
) -> Iterator[OpenRun]:
    """Load the target, make the run folder, and plan the turns, on ``prompts`` if given."""
    with (
        closing(open_target(effective.settings, observer.say)) as target,
        measure_open(effective, target, observer, prompts) as run,
    ):
        yield run


@contextmanager
def measure_open(
    effective: Effective, target: Target, observer: Observer, prompts: PromptSet | None = None
) -> Iterator[OpenRun]:
    """Make the run folder of a target that is open already, and plan its turns."""
    description = described(target, effective.settings)
    effective = named_by_servers(effective, description)
    settings = effective.settings
    recorded = recorded_settings(effective, description)
    wires = kind_of(settings).wires(settings)
    errors = _instrument_errors(wires, load_beside_clients(target), observer)
    instrument = max(errors, key=lambda error: error.p95_ms)
    environment = describe_environment() | {
        "instrument": instrument.as_dict(),
        "instruments": [error.as_dict() for error in errors],
        "target": description,
        "threads": threads(),
    }
    with (
        create_run_folder(
            Path(settings.run.results),
            settings.run.name,
            settings=recorded | {"origins": effective.origins},
            environment=environment,
            save_audio=settings.run.save_audio,
        ) as folder,
        MachineWatch() as machine,
    ):
        yield OpenRun(
            settings,
            target,
            recorded=recorded,
            folder=folder,
            environment=environment,
            instrument=instrument,
            prompts=prompts or _prompts(settings, _language(target)),
            observer=observer,
            machine=machine,
        )


def _instrument_errors(
    wires: tuple[str, ...], load: Load | None, observer: Observer
) -> list[InstrumentError]:
    """Measure the instrument's own error, in process and over what the target is reached by.

    Over the wire it is measured beside the engine that computes here during a turn.
    """
    errors = [measure_in_process(QUICK_TURNS)]
    if wires:
        observer.say("measuring the instrument's own error over the wire")
        try:
            turns = QUICK_TURNS_OVER_THE_WIRE if load is None else QUICK_TURNS_BESIDE_AN_ENGINE
            errors += measure_used(wires, turns, load)
        except CannotMeasure as error:
            observer.say(f"it could not be measured: {error}")
    return errors


class OpenRun:
    """A set-up that is being measured: its target, its folder, and its turns so far."""

    def __init__(
        self,
        settings: Settings,
        target: Target,
        *,
        recorded: Mapping[str, object],
        folder: RunFolder,
        environment: dict[str, object],
        instrument: InstrumentError,
        prompts: PromptSet,
        observer: Observer,
        machine: MachineWatch,
    ) -> None:
        self.settings = settings
        self.prompts = prompts
        self.planned = _plan(settings, prompts)
        self.interrupted = False
        self._taken = 0
        self._measured = GrowingColumns()
        self._kept: list[tuple[int, Recording]] = []
        self._recorded = recorded
        self._target = target
        self._folder = folder
        self._environment = environment
        self._instrument = instrument
        self._observer = observer
        self._machine = machine

    def take_until(self, measured: int) -> None:
        """Take the planned turns until so many measured ones are done."""
        before = sum(turn.phase != "measured" for turn in self.planned)
        self.take(self.planned[self._taken : before + measured])

    def take_idle(self) -> None:
        """Take the turns that each come after a silent gap, where they are asked for."""
        run = self.settings.run
        if run.idle_gap_s > 0:
            prompts = self.prompts.rotate(run.idle_turns)
            self.take(plan_idle_turns(prompts, first=self._taken + 1))

    def take(self, planned: Sequence[PlannedTurn]) -> None:
        """Take these turns, each on disk before the next begins.

        An interrupt goes on to whoever called; the turn that it broke off is not kept.
        """
        recordings = take_turns(
            self._target,
            planned,
            rule=audible_rule(self.settings.audible),
            pause_s=self.settings.run.pause_s,
            idle_gap_s=self.settings.run.idle_gap_s,
            watch=self._observer.event,
            machine=self._machine,
            secrets=secrets_of(self.settings),
        )
        for recording in recordings:
            with uninterrupted():
                self._folder.append(recording)
                self._taken += 1
                self._keep(recording)
            self._observer.turn_done(recording.timeline)

    def _keep(self, recording: Recording) -> None:
        """Keep the figures of a measured turn, and the audio of the first ones to compare it."""
        turn = recording.timeline
        if turn.phase != "measured":
            return
        self._measured.add(turn)
        wanted = self.settings.judge.streaming_turns
        if not turn.failed and len(self._kept) < wanted:
            self._kept.append((self._measured.turns, recording))

    def is_decided(self) -> bool:
        """Whether no gate is undecided by the turns so far."""
        results = judge_gates(self._recorded, self._measured.columns().summary())
        return all(result.verdict is not Verdict.UNDECIDED for result in results)

    def finish(self, baseline: RecordedRun | None = None) -> RecordedRun:
        """Read the turns back, judge them, write the summary, and end the run.

        Where the folder cannot be finished the run says so: what was measured can still be shown.
        """
        self._folder.check_in_place()
        path = self._folder.path
        run = read_documents(path, read_digest(path, finished_only=False))
        entry = self._judgement(run, baseline)
        run = replace(run, complete=not self.interrupted)
        document = run.document_with(self._about(), entry, self._previous_figures(run))
        with uninterrupted():
            not_kept = self._folder.finish(document, complete=run.complete)
        stored = json.loads(as_json(document))
        return replace(run, stored=stored, not_kept=None if not_kept is None else str(not_kept))

    def _about(self) -> dict[str, object]:
        """Return what is said of the run besides what its other files say."""
        return {
            "folder": str(self._folder.path),
            "instrument": self._environment["instrument"],
            "instruments": self._environment["instruments"],
        }

    def _previous_figures(self, run: RecordedRun) -> dict[str, object] | None:
        """Return what the run before this one showed for the gates of this one."""
        results = Path(self.settings.run.results)
        earlier = previous_run(results, self.settings.run.name, run.path, run)
        if earlier is None:
            return None
        figures = [result.gate.figure for result in run.gate_results]
        return {
            "result": earlier.path.name,
            "figures": {figure.name: figure.observe(earlier.summary)[0] for figure in figures},
        }

    def _judgement(self, run: RecordedRun, baseline: RecordedRun | None) -> dict[str, object]:
        streaming = self._check_streaming()
        against = None
        if baseline is not None:
            against = against_baseline(
                run.gate_results, run.settings, run.side, baseline.side, str(baseline.path)
            )
        return judgement_entry(
            find_noise(run.columns, self._instrument.p95_ms),
            run.digest.flags,
            streaming,
            allow_noise=self.settings.judge.allow_noise,
            against=against,
        )

    def _check_streaming(self) -> StreamingCheck:
        """Ask the voice again for what it streamed, unless the user has no more patience."""
        if not self.interrupted:
            try:
                return check_streaming(self._target, self._kept, self._target.describe())
            except KeyboardInterrupt:
                self.interrupted = True
        return StreamingCheck()


@contextmanager
def until_interrupted(*runs: OpenRun) -> Iterator[None]:
    """Let the block take turns; where the user interrupts it, all of ``runs`` are incomplete."""
    try:
        yield
    except KeyboardInterrupt:
        for run in runs:
            run.interrupted = True


def audible_rule(settings: AudibleSettings) -> AudibleRule:
    """Return the rule that ``settings`` describe."""
    return AudibleRule(
        threshold=settings.threshold,
        frame_ms=settings.frame_ms,
        hop_ms=settings.hop_ms,
        min_ms=settings.min_ms,
    )


def _prompts(settings: Settings, language: str) -> PromptSet:
    """Return the prompts that are named, else the built-in set of ``language``."""
    if settings.run.prompt is not None:
        return from_prompts([check_prompt(settings.run.prompt, "--prompt")], language)
    return load_prompts(settings.run.prompts, language)


def _language(target: Target) -> str:
    """Return the language of the target's voice, for a fitting set of prompts."""
    description = target.describe()
    tts = description.get("tts")
    tag = tts.get("language") if isinstance(tts, dict) else None
    return language_of(str(tag or "en"))


def _plan(settings: Settings, prompts: PromptSet) -> list[PlannedTurn]:
    """Plan one cold turn, the warm-up turns and all measured ones that may be needed."""
    return plan_turns(
        prompts.rotate_warmup(settings.run.warmup + 1),
        prompts.rotate(look_counts(settings.model_dump())[-1]),
    )
