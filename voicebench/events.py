"""The vocabulary of a voice turn: what a target can say happened, and nothing about when.

A target *pushes* these events through `Emit` from whatever thread they arise in. It never sees a
clock: the recorder stamps each event as it is emitted. Everything that is measured later is a
function of the stamped sequence, so an event must be emitted exactly when the thing it names is
in hand (see each class).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Phase = Literal["cold", "warmup", "idle", "measured"]
"""Which statistic a turn belongs to; phases are never mixed in one."""

Stage = Literal["connect", "llm", "chunker", "tts", "audio", "transport", "turn"]
"""The part of the turn in which a failure happened."""

Fault = Literal["engine", "audio", "timeout", "protocol", "refused", "interrupted"]
"""The kind of failure: a model broke, the audio is unusable, time ran out, the peer broke its
protocol, the peer refused, or the user stopped the turn."""

RemarkKind = Literal[
    "reasoning",
    "blank",
    "mark",
    "tool calls",
    "refusal",
    "non-text",
    "false end",
    "open end",
    "late sound",
    "unknown",
]
"""What a `Remark` is about. Withheld from the listener: the model's reasoning, white space before
the first word, special tokens written as text, tool calls, a refusal in a field of its own, content
that is not text. About the stream: an end that later text disproved, a stream that stayed open
after the reply's end, sound that is not the turn's (of one before, after that one's end, or before
the turn's response was announced), an event that the protocol does not know."""


@dataclass(frozen=True, slots=True)
class TurnStarted:
    """The user's words are in hand and the request is about to be made."""

    prompt: str


@dataclass(frozen=True, slots=True)
class Token:
    """A non-empty visible text delta of the reply is in hand (for a local model: on the host).

    ``joined``: it had come with the token before (in one network read, or while this process was
    busy with that one), so the time between the two is not the model's, and the timeline gives
    both the same stamp.
    """

    text: str
    joined: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """The whole reply came at once; when its first token was made cannot be observed."""

    text: str


@dataclass(frozen=True, slots=True)
class Usage:
    """The model's own count of the reply's tokens, where it reports one.

    ``hidden`` is how many more it made that no listener hears (see `Remark`). None: ``tokens``
    includes some of them, and nobody says how many.
    """

    tokens: int
    hidden: int | None = 0


@dataclass(frozen=True, slots=True)
class Remark:
    """Something that is no part of the reply came, and bears on how its figures are read.

    Emitted when it first comes, once for each ``kind`` in a turn. ``said`` is a peer's own words,
    fit to be shown, where they are what matters.
    """

    kind: RemarkKind
    said: str = ""


@dataclass(frozen=True, slots=True)
class TextChunk:
    """A piece of the reply is handed to the synthesizer."""

    text: str


@dataclass(frozen=True, slots=True)
class Connected:
    """The turn's connection: what opening it took, and whether it was reused.

    Said once for each request. ``number`` tells connections apart (0: unknown), so that several
    requests over one connection count it once, as the first of them found it. ``in_turn``: it was
    opened while the turn waited; else it was open before.
    """

    connect_ms: float
    reused: bool
    number: int = 0
    in_turn: bool = False


@dataclass(frozen=True, slots=True)
class FirstByte:
    """The first body byte of an audio response is in hand; a container header counts here.

    Whether a message holds sound is known when it is whole, and its first byte comes before that.
    So this may be said of a message that turns out to hold none: the last one before the first
    `AudioChunk` counts.
    """


@dataclass(frozen=True, slots=True, eq=False)
class AudioChunk:
    """Whole PCM frames are in host memory: float32 mono in [-1, 1], shape ``(samples,)``."""

    pcm: NDArray[np.float32]
    sample_rate: int


@dataclass(frozen=True, slots=True)
class SilenceTrimmed:
    """The synthesizer left out this much silence at the head of the reply."""

    duration_ms: float


@dataclass(frozen=True, slots=True)
class ServerTiming:
    """A duration that the server measured on its own clock, and reports.

    ``stage`` says of what: the whole turn, or one request of the language model or of the voice up
    to its first token or sound. ``our_ms`` is ours for the same request, from when it was sent,
    where it is less than the turn.
    """

    duration_ms: float
    our_ms: float | None = None
    stage: Stage = "turn"


@dataclass(frozen=True, slots=True)
class SpeakerStarted:
    """The sound device took the first sample and will play it after ``delay_ms`` (DAC time)."""

    delay_ms: float


@dataclass(frozen=True, slots=True)
class TurnFinished:
    """The last sample is in hand."""


@dataclass(frozen=True, slots=True)
class TurnFailed:
    """The turn ended without a usable answer: one sentence why, what kind of fault, and where."""

    reason: str
    fault: Fault
    stage: Stage


Event = (
    TurnStarted
    | Token
    | Reply
    | Usage
    | Remark
    | TextChunk
    | Connected
    | FirstByte
    | AudioChunk
    | SilenceTrimmed
    | ServerTiming
    | SpeakerStarted
    | TurnFinished
    | TurnFailed
)

WHOLE_TURN = ("voice", "realtime")
"""Targets of which one endpoint does the whole turn."""

Emit = Callable[[Event], None]
"""Take one event, now. Safe to call from any thread."""

LlmEvent = Token | Reply | Usage | Remark | Connected | ServerTiming
"""What a language model yields while it answers."""

TtsEvent = AudioChunk | FirstByte | Remark | Connected | ServerTiming | SilenceTrimmed
"""What a synthesizer yields while it speaks one text chunk."""
