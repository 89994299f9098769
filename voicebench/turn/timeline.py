"""The timeline of one voice turn: its shape once sealed, and the rules that make it legal.

The rules, in words:

1. `TurnStarted` comes first, and once; its stamp is the zero of the turn.
2. Exactly one of `TurnFinished` and `TurnFailed` comes last.
3. Time never runs back.
4. A `Token`, a `Reply` and a `TextChunk` have text; an `AudioChunk` has at least one sample, and
   all of a turn's audio has one sample rate.
5. A turn is interrupted at most once, and `TurnStopped` comes after that.

Tokens that arrived joined share one stamp: equal stamps mean that the time between them cannot be
observed.

A target that breaks a rule has a defect, and `seal` raises `IllegalEvent`. A turn that keeps the
rules is legal, but *failed* if its audio is silent or is not speech (`voicebench.audio.hearing`). A
turn that was interrupted may be silent so far.

Sealing turns the PCM into what the metrics need (sample counts, audible onset, levels). So a
timeline is small, and figures computed from the live turn equal those computed from its line in
``turns.jsonl``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple, TypeVar

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
    TurnInterrupted,
    TurnStarted,
    TurnStopped,
    Usage,
)
from voicebench.turn.call_turn import CallTurn
from voicebench.turn.cut import Cut
from voicebench.turn.load_place import LoadPlace
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
    """Measurements on the samples of the turn's audio, made after the turn."""

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
    """State of the machine during a turn, from counters that are read before and after it.

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
    conversation: int | None = None
    """Number of the conversation within the run, from 1; None for a turn that stands alone."""
    conversation_turn: int | None = None
    """Number of the turn within its conversation, from 1."""
    prompt_tokens: int | None = None
    """Tokens of the prompt with all messages before it, as the model or its server counts them."""
    cached_tokens: int | None = None
    """Those of them that were not computed again, as the model or its server says."""
    load: LoadPlace | None = None
    """None for a turn that was not taken under load."""
    cut: Cut | None = None
    """None for a reply that the listener heard out."""
    call: CallTurn | None = None
    """None for a turn that is not of a spoken call. A turn of a call begins when the caller's last
    audible sample is sent, and has no tokens, chunks or audio of its own."""

    @property
    def is_whole(self) -> bool:
        """Whether the reply came to its end, unless the turn failed; the listener may not have
        heard all of it."""
        return self.cut is None or self.cut.how == "complete"

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
    start_ns = events[0].at_ns
    found: defaultdict[type[Event], list[tuple[int, Any]]] = defaultdict(list)
    for stamped in events:
        if isinstance(stamped.event, FirstByte) and AudioChunk in found:
            continue
        found[type(stamped.event)].append((stamped.at_ns - start_ns, stamped.event))
    for kind in (Token, Reply, TextChunk):
        if not all(event.text for _, event in found[kind]):
            raise IllegalEvent(f"{kind.__name__} without text")
    pieces = [_checked_audio(event, found[AudioChunk][0][1]) for _, event in found[AudioChunk]]
    pcm = np.concatenate(pieces) if pieces else np.zeros(0, dtype=np.float32)
    sound = None
    if pieces:
        sound = _describe_sound(pieces, pcm, found[AudioChunk][0][1].sample_rate, rule)
    failures = [Failure(made.reason, made.fault, made.stage) for _, made in found[TurnFailed]]
    usage = found[Usage][-1][1] if found[Usage] else None
    cut = _cut(found)
    trimmed = [event.duration_ms for _, event in found[SilenceTrimmed]]
    timeline = Timeline(
        turn=turn,
        phase=phase,
        prompt=found[TurnStarted][0][1].prompt,
        started_at=started_at,
        end_ns=events[-1].at_ns - start_ns,
        tokens=_tokens(found[Token]),
        whole_reply=_last([TimedText(at_ns, event.text) for at_ns, event in found[Reply]]),
        chunks=tuple(TimedText(at_ns, event.text) for at_ns, event in found[TextChunk]),
        audio=tuple(Arrival(at_ns, int(event.pcm.size)) for at_ns, event in found[AudioChunk]),
        sound=sound,
        failure=_last(failures) or _failure_of_audio(sound, pcm, cut),
        usage_tokens=None if usage is None else usage.tokens,
        usage_with_hidden=usage is not None and usage.hidden is None,
        prompt_tokens=None if usage is None else usage.prompt_tokens,
        cached_tokens=None if usage is None else usage.cached_tokens,
        remarks=_first_of_each_kind(found[Remark]),
        first_byte_ns=_last([at_ns for at_ns, _ in found[FirstByte]]),
        connections=_first_of_each_number(found[Connected]),
        server_timings=tuple(event for _, event in found[ServerTiming]),
        silence_trimmed_ms=sum(trimmed) if trimmed else None,
        speaker_ns=_last(
            [at_ns + round(event.delay_ms * 1e6) for at_ns, event in found[SpeakerStarted]]
        ),
        cut=cut,
    )
    return timeline, pcm


Item = TypeVar("Item")


def _last(items: Sequence[Item]) -> Item | None:
    return items[-1] if items else None


def _checked_audio(event: AudioChunk, first: AudioChunk) -> NDArray[np.float32]:
    """Return the samples of ``event``. Raises `IllegalEvent` if they break rule 4."""
    if event.pcm.ndim != 1 or event.pcm.size == 0:
        raise IllegalEvent(f"AudioChunk of shape {event.pcm.shape}, not (samples,)")
    if event.pcm.dtype != np.float32:
        raise IllegalEvent(f"AudioChunk of {event.pcm.dtype}, not float32 in [-1, 1]")
    if event.sample_rate != first.sample_rate:
        raise IllegalEvent(f"audio at {event.sample_rate} Hz after audio at {first.sample_rate} Hz")
    return event.pcm


def _tokens(stamped: Iterable[tuple[int, Token]]) -> tuple[TimedText, ...]:
    """Return the tokens; a joined one has the stamp of the token before it."""
    tokens: list[TimedText] = []
    for at_ns, event in stamped:
        tokens.append(TimedText(tokens[-1].at_ns if event.joined and tokens else at_ns, event.text))
    return tuple(tokens)


def _first_of_each_kind(stamped: Iterable[tuple[int, Remark]]) -> tuple[TimedRemark, ...]:
    first: dict[RemarkKind, TimedRemark] = {}
    for at_ns, event in stamped:
        first.setdefault(event.kind, TimedRemark(at_ns, event.kind, event.said))
    return tuple(first.values())


def _first_of_each_number(stamped: Sequence[tuple[int, Connected]]) -> tuple[Connected, ...]:
    """Return each connection as its first request reported it; number 0 is unknown."""
    first: dict[object, Connected] = {}
    for place, (_, event) in enumerate(stamped):
        first.setdefault(event.number or (place, "unknown"), event)
    return tuple(first.values())


def _cut(found: Mapping[type[Event], Sequence[tuple[int, Any]]]) -> Cut | None:
    """Return the interruption. Raises `IllegalEvent` if the events break rule 5."""
    cuts = found.get(TurnInterrupted, ())
    stops = [at_ns for at_ns, _ in found.get(TurnStopped, ())]
    if len(cuts) > 1:
        raise IllegalEvent("a turn is interrupted once")
    if stops and (not cuts or stops[0] < cuts[0][0]):
        raise IllegalEvent("TurnStopped without TurnInterrupted before it")
    if not cuts:
        return None
    at_ns, event = cuts[0]
    return Cut(at_ns, event.how, _last(stops))


def _describe_sound(
    pieces: Sequence[NDArray[np.float32]],
    pcm: NDArray[np.float32],
    sample_rate: int,
    rule: AudibleRule,
) -> Sound:
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


def _failure_of_audio(
    sound: Sound | None, pcm: NDArray[np.float32], cut: Cut | None
) -> Failure | None:
    is_silent = sound is None or sound.first_audible_sample is None
    reason = None if cut is not None and is_silent else _fault_of_sound(sound)
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
