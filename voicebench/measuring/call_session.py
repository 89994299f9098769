"""A run of calls, from its settings to its record: check, render, call, judge."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol, cast, runtime_checkable

from voicebench.agents import Agent, SendsPackets
from voicebench.agents.agent_kinds import LOCAL, agent_kind
from voicebench.audio.resampled import resampled
from voicebench.calls.call_clock import CallClock
from voicebench.calls.call_script import CallScript
from voicebench.calls.conversation import Manners
from voicebench.calls.recorded_call import CallTracks, RecordedCall
from voicebench.calls.running.line_rendering import (
    check_voice,
    open_line_voice,
    read_playable_script,
    rendered,
)
from voicebench.calls.running.placing import CallPlan, place_call, place_call_in_thread
from voicebench.calls.running.script_files import read_script, script_path
from voicebench.calls.sealing import seal_call
from voicebench.errors import UsageError
from voicebench.events import Phase
from voicebench.figures.columns import GrowingColumns
from voicebench.judging.call_noise import find_call_noise
from voicebench.judging.gates import Verdict
from voicebench.judging.judgement import (
    against_baseline,
    judge_gates,
    judgement_entry,
    look_counts,
)
from voicebench.judging.streaming_check import StreamingCheck
from voicebench.machine.devices import threads
from voicebench.machine.environment import describe_environment
from voicebench.measuring.closing import close_run
from voicebench.measuring.plan import audible_rule
from voicebench.results.baseline import wanted_baseline
from voicebench.results.folder import RunFolder, check_writable, create_run_folder
from voicebench.results.run import RecordedRun
from voicebench.results.uninterrupted import uninterrupted
from voicebench.settings import CALL_TARGET, Effective, Settings, secrets_of, shown_settings
from voicebench.text.prompts import primary_subtag
from voicebench.turn.timeline import Timeline

WAV_RATE = 24_000


@runtime_checkable
class OnItsOwnClock(Protocol):
    """An agent whose calls run on a clock of its own, not on the real one."""

    clock: CallClock


@dataclass(frozen=True, slots=True)
class CallJob:
    """A run of calls that was checked."""

    effective: Effective
    script: CallScript
    baseline: RecordedRun | None

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self.effective.settings

    @property
    def agent(self) -> str:
        """What is called."""
        return self.settings.call.url or LOCAL

    def recorded(self) -> dict[str, object]:
        """Return the settings as the run folder keeps them.

        ``run`` and ``gates`` are those of the calls, so that every report judges the same turns by
        the same gates: a turn is a step of the script.
        """
        call, steps = self.settings.call, len(self.script.steps)
        recorded = cast(dict[str, dict[str, object]], shown_settings(self.settings))
        recorded["run"] |= {
            "target": CALL_TARGET,
            "runs": call.calls * steps,
            "prompts": call.script,
        }
        return {**recorded, "gates": list(call.gates)}


CallDone = Callable[[RecordedCall, tuple[Timeline, ...]], None]
"""Take a call that has ended, and its turns."""


def check_call(effective: Effective) -> CallJob:
    """Return the job. Raises a `VoicebenchError` for what cannot work; loads no model.

    A server is called for a moment, so that nothing is fetched or written for one that is down.
    """
    settings = effective.settings
    script = read_playable_script(settings.call.script)
    agent = settings.call.url or LOCAL
    if not script.packets.is_clean and not agent_kind(agent).has_packets:
        raise UsageError(
            f"the script {script.name} loses or delays packets, and the way to this agent has none",
            "leave out loss and jitter, or call an agent behind WebRTC (http://…, livekit+wss://…)",
        )
    agent_kind(agent).check(agent, settings)
    check_writable(Path(settings.run.results))
    job = CallJob(effective, script, None)
    job = replace(job, baseline=wanted_baseline(settings, job.recorded))
    agent_kind(agent).reach(agent, settings)
    return job


def run_calls(job: CallJob, say: Callable[[str], None], done: CallDone) -> RecordedRun:
    """Place the calls of ``job``, and return the recorded run.

    With ``until_decided`` the gates are judged after each look, and the calls end with the first
    look that decides them all.
    """
    settings = job.settings
    kind = agent_kind(job.agent)
    with closing(kind.open(job.agent, settings, say)) as agent, _open(job, agent, say) as run:
        try:
            for number in range(settings.call.warmup):
                run.place(-number, "warmup", done)
            for count in look_counts(job.recorded()):
                while run.measured < count:
                    run.place(run.calls + 1, "measured", done)
                if run.is_decided():
                    break
        except KeyboardInterrupt:
            run.interrupted = True
        return run.finish(job.baseline)


@dataclass(eq=False)
class OpenCalls:
    """An agent that is being called, and the folder that takes its turns."""

    job: CallJob
    agent: Agent
    plan: CallPlan
    folder: RunFolder
    environment: dict[str, object]
    interrupted: bool = False
    calls: int = 0
    """Measured calls so far."""
    _turns: int = 0
    _columns: GrowingColumns = field(default_factory=GrowingColumns)

    @property
    def measured(self) -> int:
        """How many turns were measured."""
        return self._columns.turns

    def place(self, number: int, phase: Phase, done: CallDone) -> None:
        """Place one call and keep its turns. An interrupted call is not kept."""
        if isinstance(self.agent, OnItsOwnClock):
            call = place_call(self.agent, self.plan, max(number, 1), self.agent.clock)
        else:
            call = place_call_in_thread(self.agent, self.plan, max(number, 1))
        sealed = seal_call(call, self._turns + 1, phase, secrets_of(self.job.settings))
        with uninterrupted():
            kept = phase == "measured" and self.job.settings.run.save_audio
            self.folder.append_call(sealed.turns, _at_one_rate(sealed.tracks) if kept else None)
            self._turns += len(sealed.turns)
            if phase == "measured":
                self.calls += 1
                for turn in sealed.turns:
                    self._columns.add(turn)
        done(call, sealed.turns)

    def is_decided(self) -> bool:
        """Return whether the turns so far decide every gate."""
        results = judge_gates(self.job.recorded(), self._columns.columns().summary())
        return all(result.verdict is not Verdict.UNDECIDED for result in results)

    def finish(self, baseline: RecordedRun | None) -> RecordedRun:
        """Read the turns back, judge them, and write the summary."""
        return close_run(
            self.folder,
            self.job.settings,
            self.environment,
            lambda run: self._judge(run, baseline),
            was_interrupted=lambda: self.interrupted,
        )

    def _judge(self, run: RecordedRun, baseline: RecordedRun | None) -> dict[str, object]:
        against = None
        if baseline is not None:
            against = against_baseline(
                run.gate_results, run.settings, run.side, baseline.side, str(baseline.path)
            )
        return judgement_entry(
            find_call_noise(run.columns),
            run.digest.flags,
            StreamingCheck(),
            allow_noise=self.job.settings.judge.allow_noise,
            against=against,
        )


@contextmanager
def _open(job: CallJob, agent: Agent, say: Callable[[str], None]) -> Iterator[OpenCalls]:
    """Render the caller's lines, and make the run folder."""
    settings = job.settings
    if isinstance(agent, SendsPackets):
        agent.packets = job.script.packets
    plan, about_voice = rendered_plan(settings, agent.sample_rate, say)
    description = secrets_of(settings).hidden_within(agent.describe())
    environment = describe_environment() | {
        "target": description,
        "caller": about_voice,
        "threads": threads(),
    }
    with create_run_folder(
        Path(settings.run.results),
        settings.run.name,
        settings=job.recorded() | {"origins": job.effective.origins},
        environment=environment,
        save_audio=settings.run.save_audio,
    ) as folder:
        yield OpenCalls(job, agent, plan, folder, environment)


def rendered_plan(
    settings: Settings, sample_rate: int, say: Callable[[str], None]
) -> tuple[CallPlan, dict[str, object]]:
    """Return the caller's lines at ``sample_rate`` (Hz) and his manners, and what is his voice.

    Raises a `voicebench.errors.VoicebenchError`.
    """
    call = settings.call
    script = read_script(call.script)
    about_voice: dict[str, object] = {}

    def voice():  # type: ignore[no-untyped-def]
        say("rendering the caller's lines")
        opened = open_line_voice(call.voice, call.pitch, say)
        about_voice.update(opened.describe())
        tag = about_voice.get("language")
        check_voice(script, primary_subtag(None if tag is None else str(tag)))
        return opened

    sounds = rendered(script, sample_rate, voice, script_path(call.script).parent)
    manners = Manners(
        silence_ms=1000 * call.silence_s,
        patience_ms=1000 * call.patience_s,
        longest_answer_ms=1000 * call.longest_answer_s,
    )
    return CallPlan(script, sounds, manners, audible_rule(settings.audible)), about_voice


def _at_one_rate(tracks: CallTracks):  # type: ignore[no-untyped-def]
    agent = tracks.agent
    return (
        resampled(tracks.caller, tracks.caller_rate, WAV_RATE),
        resampled(agent.pcm, agent.sample_rate, WAV_RATE),
        WAV_RATE,
    )
