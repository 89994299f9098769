"""Plan the turns of a run (order, phase, prompt), and take them.

The first turn after loading is ``cold``; then come the ``warmup`` turns, on prompts that no
measured turn uses; then the ``measured`` turns, which rotate through the prompts; then the ``idle``
turns, each after a silence.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from voicebench.audio.pcm import AudibleRule
from voicebench.errors import CannotMeasure, UsageError
from voicebench.events import Event, Phase
from voicebench.judging.judgement import look_counts
from voicebench.machine.machine_state import MachineWatch
from voicebench.measuring.conversation_history import ConversationHistory
from voicebench.quoting import quote
from voicebench.remote import Remote
from voicebench.secrecy import NO_SECRETS, Secrets
from voicebench.targets import Target
from voicebench.text.prompts import PromptSet, check_prompt, from_prompts, load
from voicebench.turn.recorder import Clock, Recorder, Recording
from voicebench.turn.timeline import MachineState, Timeline

if TYPE_CHECKING:
    from voicebench.settings import AudibleSettings, Settings


@dataclass(frozen=True, slots=True)
class PlannedTurn:
    """One turn to take."""

    turn: int
    phase: Phase
    prompt: str
    conversation: int | None = None
    """Number of its conversation, from 1; None for a turn that stands alone."""
    conversation_turn: int | None = None
    """Its number within the conversation, from 1."""


class Observer(Protocol):
    """Follows a run while it goes on. Its methods must be quick."""

    def say(self, line: str) -> None:
        """Take one line of progress."""
        ...

    def planned(self, turns: Sequence[PlannedTurn]) -> None:
        """Take the planned turns; there will be fewer if the gates are decided earlier."""
        ...

    def event(self, at_ns: int, event: Event) -> None:
        """Take a stamped event of the current turn, in the thread of its source."""
        ...

    def turn_done(self, turn: Timeline) -> None:
        """Take a finished turn, before the next one begins."""
        ...


def check_language(settings: Settings, description: Mapping[str, object]) -> None:
    """Raise `UsageError` for the built-in French prompts with a voice that speaks English.

    ``description`` is that of an open target. A server's voice is known by its name; one whose
    language is unknown is not judged.
    """
    tts = description.get("tts")
    if settings.run.prompts != "french" or not isinstance(tts, Mapping):
        return
    from voicebench.targets.kinds import language_of_embedded  # loads pydantic

    voice = tts.get("voice")
    spoken = tts.get("language") or language_of_embedded(voice)
    if spoken and str(spoken).lower().startswith("en"):
        raise UsageError(
            f"the prompts 'french' are French, and the voice {quote(str(voice or ''))} speaks "
            "English",
            "take a French voice: --voice fr_FR-siwis-medium.onnx (with its .onnx.json, from "
            "huggingface.co/rhasspy/piper-voices, extra piper) or --voice facebook/mms-tts-fra "
            "(extra torch)",
        )


def prompts_for(settings: Settings, language: str) -> PromptSet:
    """Return the prompts of the settings, else the built-in set of ``language``.

    Raises `UsageError` for prompts that cannot be used with these settings.
    """
    if settings.run.prompt is not None:
        return from_prompts([check_prompt(settings.run.prompt, "--prompt")], language)
    prompts = load(settings.run.prompts, language)
    if prompts.conversations and settings.run.turns_per_conversation > 1:
        raise UsageError(
            f"{settings.run.prompts} has conversations of its own, and "
            "run.turns_per_conversation makes others",
            "leave one of them out",
        )
    return prompts


def plan_run(settings: Settings, prompts: PromptSet) -> list[PlannedTurn]:
    """Plan one cold turn, the warm-up turns, and all measured turns that may be needed.

    Only measured turns are in conversations.
    """
    count = look_counts(settings.model_dump())[-1]
    turns_each = settings.run.turns_per_conversation
    if turns_each == 1 and not prompts.conversations:
        return plan_turns(prompts.rotate_warmup(settings.run.warmup + 1), prompts.rotate(count))
    groups = prompts.in_conversations(count, turns_each)
    planned = plan_turns(
        prompts.rotate_warmup(settings.run.warmup + 1),
        [prompt for group in groups for prompt in group],
    )
    places = [
        (number, place)
        for number, group in enumerate(groups, 1)
        for place in range(1, len(group) + 1)
    ]
    apart = len(planned) - len(places)
    return planned[:apart] + [
        replace(turn, conversation=number, conversation_turn=place)
        for turn, (number, place) in zip(planned[apart:], places, strict=True)
    ]


def audible_rule(settings: AudibleSettings) -> AudibleRule:
    """Return the rule that ``settings`` describe."""
    return AudibleRule(
        threshold=settings.threshold,
        frame_ms=settings.frame_ms,
        hop_ms=settings.hop_ms,
        min_ms=settings.min_ms,
    )


def plan_turns(warmup_prompts: Sequence[str], measured_prompts: Sequence[str]) -> list[PlannedTurn]:
    """Number the turns of a run: the first is cold, the other warm-up turns follow, then the rest.

    ``warmup_prompts`` has one prompt for the cold turn and one for each warm-up turn.
    """
    phases: list[tuple[Phase, str]] = []
    for index, prompt in enumerate(warmup_prompts):
        phases.append(("warmup" if index else "cold", prompt))
    phases += [("measured", prompt) for prompt in measured_prompts]
    return [PlannedTurn(number, phase, text) for number, (phase, text) in enumerate(phases, 1)]


def plan_idle_turns(prompts: Sequence[str], first: int) -> list[PlannedTurn]:
    """Return the idle turns; ``first`` is the number of the first one."""
    return [PlannedTurn(number, "idle", prompt) for number, prompt in enumerate(prompts, first)]


def take_turns(
    target: Target,
    planned: Sequence[PlannedTurn],
    *,
    rule: AudibleRule,
    clock: Clock = time.perf_counter_ns,
    pause_s: float = 0.0,
    idle_gap_s: float = 0.0,
    watch: Callable[[int, Event], None] | None = None,
    machine: MachineWatch | None = None,
    secrets: Secrets = NO_SECRETS,
    history: ConversationHistory | None = None,
) -> Iterator[Recording]:
    """Yield each turn, sealed, as soon as it has ended.

    ``pause_s`` seconds of silence come before each measured turn, ``idle_gap_s`` before each idle
    one. Connections are prepared before every turn except an idle one: it measures what the silence
    has left of them. ``machine`` notes what the machine did during a turn; it is read before the
    turn starts and after it has ended. No turn contains any of ``secrets``. ``history`` has what
    was said so far in the conversation, if the turns are of one.

    A turn that ended by a defect is yielded, and then the exception is raised. The same holds for a
    turn that had ended when the user interrupted. A turn that was interrupted is not yielded.
    """
    for turn in planned:
        if turn.phase == "idle":
            time.sleep(idle_gap_s)
        elif turn.phase == "measured":
            time.sleep(pause_s)
        if isinstance(target, Remote) and turn.phase != "idle":
            # A server that is gone fails the turn, which says why; the run goes on.
            with suppress(CannotMeasure):
                target.prepare()
        if machine is not None:
            machine.before_turn()
        answering = target if history is None else history.target_for(turn.conversation, target)
        recorder = Recorder(clock, watch=watch, secrets=secrets)
        try:
            answering.run(turn.prompt, recorder.emit)
            state = machine.after_turn() if machine is not None else None
        except BaseException as error:
            if recorder.ended and not _broken_off(recorder, error):
                yield _sealed(recorder, turn, rule, None)
            raise
        recording = _sealed(recorder, turn, rule, state)
        if history is not None:
            history.heard(recording.timeline)
        yield recording


def _sealed(
    recorder: Recorder, turn: PlannedTurn, rule: AudibleRule, state: MachineState | None
) -> Recording:
    recording = recorder.seal(turn.turn, turn.phase, rule)
    timeline = replace(
        recording.timeline,
        machine=state,
        conversation=turn.conversation,
        conversation_turn=turn.conversation_turn,
    )
    return replace(recording, timeline=timeline)


def _broken_off(recorder: Recorder, error: BaseException) -> bool:
    """Return whether the user interrupted a turn that had not ended."""
    return isinstance(error, KeyboardInterrupt) and recorder.fault == "interrupted"
