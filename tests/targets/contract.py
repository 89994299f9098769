"""What every target owes: the same script gives the same timeline, less what its transport hides.

A `Subject` is a target and how to open it for a `Script`. The script's plan says what happens in a
turn and when; each function of `CHECKS` plays some turns and holds the recorded timelines against
it. On a virtual clock the two are equal. On a real one nothing comes before its moment, and nothing
comes much later.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pytest

from voicebench.audio.pcm import AudibleRule
from voicebench.events import AudioChunk, Event, TextChunk, Token
from voicebench.figures.metrics import BY_NAME, compute
from voicebench.targets import Target, TargetKind
from voicebench.targets.script import Script
from voicebench.targets.simulated import Scripted, plan_turn
from voicebench.text.chunking import Chunker
from voicebench.turn.recorder import Clock, Recorder, Recording

PROMPT = "What will the weather be?"
LATE_MS = 5000.0
"""How late an event may come on a real clock: what a busy machine may do, and a hang may not."""

Hidden = Literal["tokens", "chunks", "pieces", "stages", "waits"]
"""What a transport can hide: the reply's tokens, its text chunks, where a piece of audio ends, in
which of its stages a turn failed, and how long a text chunk waits for the one before."""

QUICK = Script(ttft_s=0.006, token_s=0.001, ttfb_s=0.004, speed_x=1000.0, words=12)


@dataclass(frozen=True)
class Subject:
    """A target under test.

    ``open`` returns a context manager around a target that plays the script, all that it needs
    (a server in a thread) included. ``exact``: its clock is virtual, and the timeline is the plan.
    """

    name: str
    open: Callable[[Script], AbstractContextManager[Target]]
    hides: frozenset[Hidden] = frozenset()
    exact: bool = False
    clock_of: Callable[[Target], Clock] = lambda _target: time.perf_counter_ns

    def __str__(self) -> str:
        return self.name

    def shows(self, what: Hidden) -> bool:
        """Return whether the transport lets one see this."""
        return what not in self.hides

    def play(self, script: Script, turns: int = 1) -> list[Recording]:
        """Open the target, take some turns, and close it."""
        recordings = []
        with self.open(script) as target:
            for number in range(1, turns + 1):
                recorder = Recorder(self.clock_of(target))
                target.run(PROMPT, recorder.emit)
                recordings.append(recorder.seal(number, "measured", AudibleRule()))
        return recordings


def hidden_by(kind: TargetKind) -> frozenset[Hidden]:
    """Return what cannot be seen because the kind of target hides its events."""
    events: dict[Hidden, type[Event]] = {"tokens": Token, "chunks": TextChunk}
    return frozenset(what for what, event in events.items() if event in kind.hides)


def plan(script: Script, *, fails: bool = False) -> list[Scripted]:
    return plan_turn(script, PROMPT, Chunker(), fails=fails)


def texts(turn_plan: list[Scripted], kind: type[Token] | type[TextChunk]) -> list[str]:
    return [step.event.text for step in turn_plan if isinstance(step.event, kind)]


def moments_ms(turn_plan: list[Scripted], kind: type) -> list[float]:
    return [step.at_ns / 1e6 for step in turn_plan if isinstance(step.event, kind)]


def planned_pcm(turn_plan: list[Scripted]) -> np.ndarray:
    return np.concatenate(
        [step.event.pcm for step in turn_plan if isinstance(step.event, AudioChunk)]
    )


# The checks.


def a_turn_says_what_was_scripted(subject: Subject) -> None:
    ((recording),) = subject.play(QUICK)
    turn = recording.timeline
    assert turn.failure is None
    assert turn.prompt == PROMPT
    if subject.shows("tokens"):
        assert [token.text for token in turn.tokens] == texts(plan(QUICK), Token)
    else:
        assert turn.tokens == ()
    if subject.shows("chunks"):
        assert [chunk.text for chunk in turn.chunks] == texts(plan(QUICK), TextChunk)
    else:
        assert turn.chunks == ()


def the_audio_arrives_whole_in_order_and_once(subject: Subject) -> None:
    (recording,) = subject.play(QUICK)
    expected = planned_pcm(plan(QUICK))
    # A transport may carry 16-bit samples; it may not lose, repeat or swap any.
    np.testing.assert_allclose(recording.pcm, expected, rtol=0, atol=1 / 32768)
    turn = recording.timeline
    assert turn.sound is not None
    assert turn.sound.sample_rate == 16_000
    assert sum(arrival.samples for arrival in turn.audio) == expected.size


def nothing_comes_before_its_moment_or_much_later(subject: Subject) -> None:
    (recording,) = subject.play(QUICK)
    turn, turn_plan = recording.timeline, plan(QUICK)
    observed: list[tuple[list[float], list[float]]] = []
    if subject.shows("tokens"):
        tokens = [token.at_ns / 1e6 for token in turn.tokens]
        meant = moments_ms(turn_plan, Token)
        # Tokens that came joined carry the stamp of the first of them: their own is not known.
        own = [index for index, at in enumerate(tokens) if index == 0 or at != tokens[index - 1]]
        observed.append(([tokens[index] for index in own], [meant[index] for index in own]))
    if subject.shows("chunks") and subject.shows("waits"):
        chunks = [chunk.at_ns / 1e6 for chunk in turn.chunks]
        observed.append((chunks, moments_ms(turn_plan, TextChunk)))
    audio = [arrival.at_ns / 1e6 for arrival in turn.audio]
    scripted = moments_ms(turn_plan, AudioChunk)
    if subject.shows("pieces"):
        observed.append((audio, scripted))
    else:
        observed.append(([audio[0], audio[-1]], [scripted[0], scripted[-1]]))
    for seen, meant in observed:
        if subject.exact:
            assert seen == meant
        else:
            late = [ours - scripts for ours, scripts in zip(seen, meant, strict=True)]
            assert min(late) >= 0
            assert max(late) <= LATE_MS


def silence_at_the_head_is_not_taken_for_sound(subject: Subject) -> None:
    script = replace(QUICK, silence_s=0.03, words=4)
    (recording,) = subject.play(script)
    figures = compute(recording.timeline)
    assert figures["leading_silence_ms"] == pytest.approx(30)
    first_audio, first_sound = figures["first_audio_ms"], figures["first_sound_ms"]
    assert first_audio is not None
    assert first_sound == pytest.approx(first_audio + 30)


def the_stages_add_up_to_first_audio(subject: Subject) -> None:
    (recording,) = subject.play(QUICK)
    residual = compute(recording.timeline)["unattributed_ms"]
    if subject.shows("chunks"):
        assert residual is not None
        assert abs(residual) < 1.0
    else:
        assert residual is None


def what_cannot_be_seen_is_missing_and_never_zero(subject: Subject) -> None:
    of_tokens = {name for name in BY_NAME if name.startswith("llm_") and name != "llm_total_ms"}
    of_chunks = {"first_chunk_ms", "tts_ttfb_ms", "synth_speed_x", "unattributed_ms"}
    of_audio = {"first_audio_ms", "first_sound_ms", "gapless_start_ms", "turn_ms", "audio_s"}
    visible = of_audio
    if subject.shows("tokens"):
        visible = visible | of_tokens
    if subject.shows("chunks"):
        visible = visible | of_chunks
    looked_for = of_audio | of_tokens | of_chunks
    # Tokens far enough apart not to come joined, which would hide the gaps between them. A reader
    # who is kept waiting gets them joined all the same: what can be seen is seen in some turn.
    seen: set[str] = set()
    for _ in range(5):
        (recording,) = subject.play(replace(QUICK, token_s=0.02))
        figures = compute(recording.timeline)
        came_whole = recording.timeline.whole_reply is not None
        assert (figures["llm_total_ms"] is not None) == (subject.shows("tokens") or came_whole)
        seen |= {name for name in looked_for if figures[name] is not None}
        assert seen <= visible
        if seen == visible:
            break
    assert seen == visible


def a_turn_that_fails_says_so_and_the_next_one_works(subject: Subject) -> None:
    script = replace(QUICK, words=6, fail=2)
    turns = [recording.timeline for recording in subject.play(script, turns=3)]
    assert [turn.failed for turn in turns] == [False, True, False]
    failure = turns[1].failure
    assert failure is not None
    assert failure.reason
    assert turns[1].audio == ()
    if subject.shows("tokens"):
        assert [token.text for token in turns[1].tokens] == ["The"]
        if subject.shows("stages"):
            assert failure.stage == "llm"


def a_turn_takes_nothing_over_from_the_one_before(subject: Subject) -> None:
    first, second = (recording.timeline for recording in subject.play(QUICK, turns=2))
    assert first.reply == second.reply
    assert [chunk.text for chunk in first.chunks] == [chunk.text for chunk in second.chunks]
    assert first.sound == second.sound


def it_describes_itself_in_json(subject: Subject) -> None:
    with subject.open(QUICK) as target:
        description = json.loads(json.dumps(target.describe(), allow_nan=False))
    assert description["target"]


CHECKS: tuple[Callable[[Subject], None], ...] = (
    a_turn_says_what_was_scripted,
    the_audio_arrives_whole_in_order_and_once,
    nothing_comes_before_its_moment_or_much_later,
    silence_at_the_head_is_not_taken_for_sound,
    the_stages_add_up_to_first_audio,
    what_cannot_be_seen_is_missing_and_never_zero,
    a_turn_that_fails_says_so_and_the_next_one_works,
    a_turn_takes_nothing_over_from_the_one_before,
    it_describes_itself_in_json,
)
