"""A set-up that is being measured: its target is open, and its run folder takes turns.

Every finished turn is on disk before the next one begins, and is not kept in memory. After the last
turn, or after an interrupt, the folder is read back and judged. So what is printed about a run
comes from its files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from voicebench.checks.selftest import (
    QUICK_TURNS,
    QUICK_TURNS_BESIDE_AN_ENGINE,
    QUICK_TURNS_OVER_THE_WIRE,
    InstrumentError,
    measure_in_process,
)
from voicebench.checks.transports import measure_used
from voicebench.errors import CannotMeasure
from voicebench.figures.columns import GrowingColumns
from voicebench.judging.gates import Verdict
from voicebench.judging.judgement import against_baseline, judge_gates, judgement_entry
from voicebench.judging.noise import find_noise
from voicebench.judging.streaming_check import StreamingCheck, check_streaming
from voicebench.machine.devices import set_threads, threads
from voicebench.machine.environment import describe_environment
from voicebench.machine.extras import MissingExtra
from voicebench.machine.machine_state import MachineWatch
from voicebench.measuring.closing import close_run
from voicebench.measuring.conversation_history import ConversationHistory
from voicebench.measuring.plan import (
    Observer,
    PlannedTurn,
    audible_rule,
    check_language,
    plan_idle_turns,
    plan_run,
    prompts_for,
    take_turns,
)
from voicebench.results.folder import RunFolder, create_run_folder
from voicebench.results.run import RecordedRun
from voicebench.results.uninterrupted import uninterrupted
from voicebench.settings import Effective, Settings, secrets_of
from voicebench.targets import Say, Target
from voicebench.targets.engine_opening import engine_threads
from voicebench.targets.kinds import kind_of, open_target
from voicebench.targets.load import Load, load_beside_clients
from voicebench.targets.recorded_names import described, named_by_servers, recorded_settings
from voicebench.text.prompts import PromptSet, language_of
from voicebench.turn.recorder import Recording


@dataclass(eq=False)
class OpenRun:
    """A set-up that is being measured."""

    settings: Settings
    recorded: Mapping[str, object]
    """The settings as the run folder keeps them."""
    target: Target
    folder: RunFolder
    environment: Mapping[str, object]
    instrument: InstrumentError
    """The largest of the instrument's own errors."""
    prompts: PromptSet
    observer: Observer
    machine: MachineWatch
    interrupted: bool = False
    planned: Sequence[PlannedTurn] = field(init=False)
    """All turns that may be needed, except idle ones."""
    _taken: int = field(default=0, init=False)
    _measured: GrowingColumns = field(default_factory=GrowingColumns, init=False)
    _spoken: list[tuple[int, Recording]] = field(default_factory=list, init=False)
    """The first measured turns (number and recording), which the voice will speak again."""
    _history: ConversationHistory = field(init=False)

    def __post_init__(self) -> None:
        """Plan the turns."""
        self._history = ConversationHistory(self.folder.path.name)
        self.planned = plan_run(self.settings, self.prompts)

    def take_until(self, measured: int) -> None:
        """Take planned turns until ``measured`` measured ones are done."""
        before = sum(turn.phase != "measured" for turn in self.planned)
        self.take(self.planned[self._taken : before + measured])

    def take_idle(self) -> None:
        """Take the idle turns, if the settings ask for them."""
        run = self.settings.run
        if run.idle_gap_s > 0:
            prompts = self.prompts.rotate(run.idle_turns)
            self.take(plan_idle_turns(prompts, first=self._taken + 1))

    def take(self, planned: Sequence[PlannedTurn]) -> None:
        """Take these turns, each on disk before the next begins.

        Raises `KeyboardInterrupt`; the unfinished turn is not kept.
        """
        recordings = take_turns(
            self.target,
            planned,
            rule=audible_rule(self.settings.audible),
            pause_s=self.settings.run.pause_s,
            idle_gap_s=self.settings.run.idle_gap_s,
            watch=self.observer.event,
            machine=self.machine,
            secrets=secrets_of(self.settings),
            history=self._history,
        )
        for recording in recordings:
            with uninterrupted():
                self.folder.append(recording)
                self._taken += 1
                self._keep(recording)
            self.observer.turn_done(recording.timeline)

    def _keep(self, recording: Recording) -> None:
        turn = recording.timeline
        if turn.phase != "measured":
            return
        self._measured.add(turn)
        if not turn.failed and len(self._spoken) < self.settings.judge.streaming_turns:
            self._spoken.append((self._measured.turns, recording))

    def is_decided(self) -> bool:
        """Return whether the turns so far decide every gate."""
        results = judge_gates(self.recorded, self._measured.columns().summary())
        return all(result.verdict is not Verdict.UNDECIDED for result in results)

    def finish(self, baseline: RecordedRun | None = None) -> RecordedRun:
        """Read the turns back, judge them, and write the summary.

        If the summary cannot be written, the returned run says why.
        """
        return close_run(
            self.folder,
            self.settings,
            self.environment,
            lambda run: self._judge(run, baseline),
            was_interrupted=lambda: self.interrupted,
        )

    def _judge(self, run: RecordedRun, baseline: RecordedRun | None) -> dict[str, object]:
        streaming = self._check_streaming()
        against = None
        if baseline is not None:
            against = against_baseline(
                run.gate_results, run.settings, run.side, baseline.side, str(baseline.path)
            )
        return judgement_entry(
            find_noise(run.columns, self.instrument.p95_ms),
            run.digest.flags,
            streaming,
            allow_noise=self.settings.judge.allow_noise,
            against=against,
        )

    def _check_streaming(self) -> StreamingCheck:
        """Compare streamed speech with the same speech in one piece, unless interrupted."""
        if not self.interrupted:
            try:
                return check_streaming(self.target, self._spoken, self.target.describe())
            except KeyboardInterrupt:
                self.interrupted = True
        return StreamingCheck()


@contextmanager
def open_run(
    effective: Effective, observer: Observer, prompts: PromptSet | None = None
) -> Iterator[OpenRun]:
    """Load the target, and make the run folder. ``prompts`` replaces those of the settings."""
    with (
        closing(open_target(effective.settings, observer.say)) as target,
        open_folder(effective, target, observer, prompts) as run,
    ):
        yield run


@contextmanager
def open_folder(
    effective: Effective, target: Target, observer: Observer, prompts: PromptSet | None = None
) -> Iterator[OpenRun]:
    """Make the run folder of a target that is already open."""
    description = described(target, effective.settings)
    effective = named_by_servers(effective, description)
    settings = effective.settings
    check_language(settings, description)
    recorded = recorded_settings(effective, description)
    wires = kind_of(settings).wires(settings)
    errors = _instrument_errors(wires, load_beside_clients(target), observer.say)
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
            recorded,
            target,
            folder,
            environment,
            instrument,
            prompts or prompts_for(settings, _language(description)),
            observer,
            machine,
        )


def take_in_turn(
    runs: Sequence[OpenRun], order: Callable[[int], Sequence[int]], observer: Observer
) -> None:
    """Take the turns of several runs on the same prompts, one prompt after the other.

    The warm-up turns of each run come first. ``order`` takes the number of the round, from 0, and
    returns the indices of the runs in the order in which they answer its prompt. An interrupt
    ends all runs.
    """
    turns = [(run, turn) for run in runs for turn in run.planned if turn.phase != "measured"]
    measured = [[turn for turn in run.planned if turn.phase == "measured"] for run in runs]
    for number, same_prompt in enumerate(zip(*measured, strict=True)):
        turns += [(runs[index], same_prompt[index]) for index in order(number)]
    observer.planned([turn for _, turn in turns])
    counts = {engine_threads(run.settings) for run in runs}
    with until_interrupted(*runs):
        for run, turn in turns:
            if len(counts) > 1:  # the number of threads is one for the whole process
                set_threads(engine_threads(run.settings))
            run.take([turn])


@contextmanager
def until_interrupted(*runs: OpenRun) -> Iterator[None]:
    """Mark all of ``runs`` as interrupted if the user interrupts the block."""
    try:
        yield
    except KeyboardInterrupt:
        for run in runs:
            run.interrupted = True


def _instrument_errors(
    wires: tuple[str, ...], load: Load | None, say: Say
) -> list[InstrumentError]:
    """Measure the instrument's own error: in process, and over the wires beside ``load``."""
    errors = [measure_in_process(QUICK_TURNS)]
    if wires:
        say("measuring the instrument's own error over the wire")
        try:
            turns = QUICK_TURNS_OVER_THE_WIRE if load is None else QUICK_TURNS_BESIDE_AN_ENGINE
            errors += measure_used(wires, turns, load)
        except (CannotMeasure, MissingExtra) as error:
            say(f"it could not be measured: {error}")
    return errors


def _language(description: Mapping[str, object]) -> str:
    """Return the language of the voice, English if it is unknown."""
    tts = description.get("tts")
    tag = tts.get("language") if isinstance(tts, Mapping) else None
    return language_of(str(tag or "en"))
