"""The timeline of one voice turn: its shape once sealed, and the rules that make it legal.

The rules, in words:

1. `TurnStarted` comes first, and once; its stamp is the zero of the turn.
2. Exactly one of `TurnFinished` and `TurnFailed` comes last.
3. Time never runs back.
4. A `Token`, a `Reply` and a `TextChunk` have text; an `AudioChunk` has at least one sample, and
   all of a turn's audio has one sample rate.

Tokens that arrived joined share one stamp: equal stamps mean that the time between them cannot be
observed.

A target that breaks a rule has a defect, and `seal` raises `IllegalEvent`. A turn that keeps the
rules is legal, but *failed* if its audio is silent or is not speech (`voicebench.audio.hearing`).

Sealing turns the PCM into what the metrics need (sample counts, audible onset, levels). So a
timeline is small, and figures computed from the live turn equal those computed from its line in
``turns.jsonl``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from voicebench.audio import pcm as analysis
from voicebench.audio.hearing import Hearing, hear, unlike_speech
from voicebench.audio.pcm import AudibleRule
from voicebench.audio.seams import count_clicks
from voicebench.errors import IllegalEvent
from voicebench.events import (
    AudioChunk,
    Connected,
    Event,
    Fault,
    FirstByte,
    Phase,
    Remark,
    RemarkKind,
    Reply,
    ServerTiming,
    SilenceTrimmed,
    SpeakerStarted,
    Stage,
    TextChunk,
    Token,
    TurnFailed,
    TurnFinished,
    TurnStarted,
    Usage,
)
from voicebench.turn.playback import Arrival


@dataclass(frozen=True, slots=True)
class Stamped:
    """An event and the clock's reading when it was emitted."""

    at_ns: int
    event: Event


class TimedText(NamedTuple):
    """A piece of text that was in hand ``at_ns`` after the turn's start."""

    at_ns: int
    text: str


@dataclass(frozen=True, slots=True)
class TimedRemark:
    """A `Remark`, and when it came after the turn's start."""

    at_ns: int
    kind: RemarkKind
    said: str = ""


@dataclass(frozen=True, slots=True)
class Sound:
    """What was measured on the samples of the turn's audio, after the turn."""

    sample_rate: int
    first_audible_sample: int | None
    peak: float
    rms: float
    clipped_samples: int
    seam_clicks: int | None = None
    """Seams between two pieces at which the signal jumps; None in older results."""
    hearing: Hearing | None = None
    """What distinguishes speech from noise; None in older results."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a turn failed."""

    reason: str
    fault: Fault
    stage: Stage


@dataclass(frozen=True, slots=True)
class MachineState:
    """What the machine was doing during a turn, from counters read before and after it.

    None where the system does not say.
    """

    cpu_others: float | None = None
    """Share of the cores' time that other processes used, 0 to 1."""
    load_1min: float | None = None
    clock_mhz: float | None = None
    """Mean clock of the cores, after the turn."""
    quota_ms: float | None = None
    """Time for which a CPU quota held the container back."""
    throttled: int | None = None
    """How often a core was throttled because it was too hot."""
    collection_ms: float | None = None
    """Time that Python's garbage collection took."""
    gpu_others: int | None = None
    """How many other processes computed on the GPU."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """One sealed voice turn. All ``_ns`` fields count from the turn's start, on one clock."""

    turn: int
    phase: Phase
    prompt: str
    started_at: str
    """Wall-clock label (ISO 8601, UTC); never used for a duration."""
    end_ns: int
    tokens: tuple[TimedText, ...] = ()
    whole_reply: TimedText | None = None
    """The reply, if it arrived in one piece; then there are no tokens."""
    chunks: tuple[TimedText, ...] = ()
    audio: tuple[Arrival, ...] = ()
    sound: Sound | None = None
    failure: Failure | None = None
    usage_tokens: int | None = None
    usage_with_hidden: bool = False
    """Whether that count includes an unknown number of tokens that no listener hears."""
    remarks: tuple[TimedRemark, ...] = ()
    """The first remark of each kind."""
    first_byte_ns: int | None = None
    connections: tuple[Connected, ...] = ()
    server_timings: tuple[ServerTiming, ...] = ()
    silence_trimmed_ms: float | None = None
    speaker_ns: int | None = None
    machine: MachineState | None = None
    """None where it was not sampled, as in older results."""

    @property
    def failed(self) -> bool:
        """Whether the turn failed."""
        return self.failure is not None

    @property
    def reply(self) -> str:
        """The reply's visible text."""
        if self.whole_reply is not None:
            return self.whole_reply.text
        return "".join(token.text for token in self.tokens)


@dataclass(slots=True)
class _Draft:
    """The fields of the timeline while its events are read one after the other."""

    tokens: list[TimedText] = field(default_factory=list)
    whole_reply: TimedText | None = None
    chunks: list[TimedText] = field(default_factory=list)
    audio: list[Arrival] = field(default_factory=list)
    pcm: list[NDArray[np.float32]] = field(default_factory=list)
    sample_rate: int | None = None
    failure: Failure | None = None
    usage: Usage | None = None
    remarks: list[TimedRemark] = field(default_factory=list)
    first_byte_ns: int | None = None
    connections: list[Connected] = field(default_factory=list)
    server_timings: list[ServerTiming] = field(default_factory=list)
    silence_trimmed_ms: float | None = None
    speaker_ns: int | None = None

    def take(self, at_ns: int, event: Event) -> None:
        match event:
            case Token() | Reply() | TextChunk():
                self._take_text(at_ns, event)
            case AudioChunk(pcm, sample_rate):
                self._take_audio(at_ns, pcm, sample_rate)
            case Usage():
                self.usage = event
            case Remark(kind, said):
                if all(kind != known.kind for known in self.remarks):
                    self.remarks.append(TimedRemark(at_ns, kind, said))
            case FirstByte():
                if not self.audio:
                    self.first_byte_ns = at_ns
            case Connected(number=number):
                if not number or all(number != known.number for known in self.connections):
                    self.connections.append(event)
            case ServerTiming():
                self.server_timings.append(event)
            case SilenceTrimmed(duration_ms):
                self.silence_trimmed_ms = (self.silence_trimmed_ms or 0.0) + duration_ms
            case SpeakerStarted(delay_ms):
                self.speaker_ns = at_ns + round(delay_ms * 1e6)
            case TurnFailed(reason, fault, stage):
                self.failure = Failure(reason, fault, stage)
            case TurnStarted() | TurnFinished():
                pass

    def _take_text(self, at_ns: int, event: Token | Reply | TextChunk) -> None:
        if not event.text:
            raise IllegalEvent(f"{type(event).__name__} without text")
        match event:
            case Token(text, joined=True) if self.tokens:
                self.tokens.append(TimedText(self.tokens[-1].at_ns, text))
            case Token(text):
                self.tokens.append(TimedText(at_ns, text))
            case Reply(text):
                self.whole_reply = TimedText(at_ns, text)
            case TextChunk(text):
                self.chunks.append(TimedText(at_ns, text))

    def _take_audio(self, at_ns: int, pcm: NDArray[np.float32], sample_rate: int) -> None:
        if pcm.ndim != 1 or pcm.size == 0:
            raise IllegalEvent(f"AudioChunk of shape {pcm.shape}, not (samples,)")
        if self.sample_rate not in (None, sample_rate):
            raise IllegalEvent(f"audio at {sample_rate} Hz after audio at {self.sample_rate} Hz")
        self.sample_rate = sample_rate
        self.audio.append(Arrival(at_ns, int(pcm.size)))
        self.pcm.append(pcm)


def check_order(events: Sequence[Stamped]) -> None:
    """Raise `IllegalEvent` unless ``events`` keep rules 1 to 3."""
    if not events or not isinstance(events[0].event, TurnStarted):
        raise IllegalEvent("a turn must begin with TurnStarted")
    if not isinstance(events[-1].event, TurnFinished | TurnFailed):
        raise IllegalEvent("a turn must end with TurnFinished or TurnFailed")
    for earlier, later in pairwise(events):
        if isinstance(later.event, TurnStarted):
            raise IllegalEvent("a turn starts once")
        if isinstance(earlier.event, TurnFinished | TurnFailed):
            raise IllegalEvent(f"{type(later.event).__name__} after the turn's end")
        if later.at_ns < earlier.at_ns:
            raise IllegalEvent("time ran back within a turn")


def seal(
    events: Sequence[Stamped],
    *,
    turn: int,
    phase: Phase,
    started_at: str,
    rule: AudibleRule,
) -> tuple[Timeline, NDArray[np.float32]]:
    """Check ``events`` and return the sealed timeline and the turn's audio.

    The audio is float32 mono, shape ``(samples,)``, at ``timeline.sound.sample_rate``. Raises
    `IllegalEvent` when a rule is broken.
    """
    check_order(events)
    first = events[0]
    assert isinstance(first.event, TurnStarted)
    draft = _Draft()
    for stamped in events:
        draft.take(stamped.at_ns - first.at_ns, stamped.event)
    pcm = np.concatenate(draft.pcm) if draft.pcm else np.zeros(0, dtype=np.float32)
    sound = _describe_sound(draft.pcm, pcm, draft.sample_rate, rule)
    timeline = Timeline(
        turn=turn,
        phase=phase,
        prompt=first.event.prompt,
        started_at=started_at,
        end_ns=events[-1].at_ns - first.at_ns,
        tokens=tuple(draft.tokens),
        whole_reply=draft.whole_reply,
        chunks=tuple(draft.chunks),
        audio=tuple(draft.audio),
        sound=sound,
        failure=draft.failure or _failure_of_audio(sound, pcm),
        usage_tokens=None if draft.usage is None else draft.usage.tokens,
        usage_with_hidden=draft.usage is not None and draft.usage.hidden is None,
        remarks=tuple(draft.remarks),
        first_byte_ns=draft.first_byte_ns,
        connections=tuple(draft.connections),
        server_timings=tuple(draft.server_timings),
        silence_trimmed_ms=draft.silence_trimmed_ms,
        speaker_ns=draft.speaker_ns,
    )
    return timeline, pcm


def _describe_sound(
    pieces: Sequence[NDArray[np.float32]],
    pcm: NDArray[np.float32],
    sample_rate: int | None,
    rule: AudibleRule,
) -> Sound | None:
    if sample_rate is None:
        return None
    onset = analysis.first_audible_sample(pcm, sample_rate, rule)
    # NaN and infinities count as 0, as in all of the analysis: a level must be a number.
    heard = np.nan_to_num(pcm, nan=0.0, posinf=0.0, neginf=0.0)
    return Sound(
        sample_rate=sample_rate,
        first_audible_sample=onset,
        peak=analysis.peak(heard),
        rms=analysis.rms(heard),
        clipped_samples=analysis.clipped_samples(heard),
        seam_clicks=count_clicks(heard, [piece.size for piece in pieces], sample_rate),
        hearing=hear(pcm, sample_rate, onset),
    )


def _failure_of_audio(sound: Sound | None, pcm: NDArray[np.float32]) -> Failure | None:
    reason = _fault_of_sound(sound)
    wrong = pcm.size - int(np.isfinite(pcm).sum())
    if reason is None and wrong:
        reason = f"{wrong} of {pcm.size} samples of the audio are not finite numbers"
    return None if reason is None else Failure(reason, "audio", "audio")


def _fault_of_sound(sound: Sound | None) -> str | None:
    if sound is None:
        return "the turn ended without any audio"
    if sound.first_audible_sample is None:
        return "the turn's audio is silent from end to end"
    return None if sound.hearing is None else unlike_speech(sound.hearing, sound.peak)
