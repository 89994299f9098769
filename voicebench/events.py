"""The events of a voice turn. They say what happened, not when.

A target pushes events through `Emit`, from the thread in which they happen. It never reads a clock:
the recorder stamps each event when it is emitted. All figures are computed from the stamped events,
so a target has to emit an event at the moment that its class describes.

**Text and sound of a server** are in hand when their bytes are read. Taking the bytes apart is our
own time. So such an event has the moment of its read (``read_ns``, set by the connection), and the
recorder takes that for its stamp. It is None for what this process computes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Phase = Literal["cold", "warmup", "idle", "measured", "load"]
"""The phase of a turn. No statistic mixes two phases.

``load`` is a turn of a level: the window of its level (``levels.jsonl``) says whether it is of the
ramp, measured, or of the drain."""

Stage = Literal["connect", "llm", "chunker", "tts", "audio", "transport", "turn"]
"""The part of the turn in which a failure happened."""

Fault = Literal["engine", "audio", "timeout", "protocol", "refused", "interrupted"]
"""The kind of failure: an engine failed, the audio is unusable, a time limit passed, the server
broke its protocol, the server refused, or the user interrupted the run."""

CancelHow = Literal["asked", "hung up"]
"""How a target is told that the listener interrupts: it is asked to stop, and its answer shows when
it does; or the connection is closed, and what it goes on to do cannot be seen."""

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
"""What a `Remark` is about.

Content that is not spoken: ``reasoning``; ``blank``, white space before the first word; ``mark``, a
special token written as text; ``tool calls``; ``refusal``, in its own field; ``non-text``.

Oddities of the stream: ``false end``, text came after an end; ``open end``, the stream stayed open
after the reply's end; ``late sound``, sound that does not belong to this turn (of an earlier turn,
or before the turn's response was announced); ``unknown``, an event unknown to the protocol."""


@dataclass(frozen=True, slots=True)
class TurnStarted:
    """The prompt is there, and the request is about to be made."""

    prompt: str


@dataclass(frozen=True, slots=True)
class Token:
    """A non-empty visible text delta of the reply is in memory (for a local model: on the host).

    ``joined``: it came together with the token before, in one network read or while this process
    was busy with that token. The time between the two is unknown, so both get the same stamp.
    """

    text: str
    joined: bool = False
    read_ns: int | None = field(default=None, kw_only=True, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Reply:
    """The whole reply came in one piece; the time of its first token is unknown."""

    text: str
    read_ns: int | None = field(default=None, kw_only=True, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Usage:
    """The model's own count of the reply's tokens.

    ``hidden`` is the number of further tokens that are not spoken (see `Remark`). None if
    ``tokens`` includes an unknown number of them. ``prompt_tokens`` counts the prompt with all
    messages before it; ``cached_tokens`` are those of them that were not computed again. None
    where the model or its server does not say.
    """

    tokens: int
    hidden: int | None = 0
    prompt_tokens: int | None = None
    cached_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Remark:
    """Something came that is not part of the reply, but matters for its figures.

    Emitted at the first occurrence, once for each ``kind`` in a turn. ``said`` has the server's
    words if they matter, made safe to print.
    """

    kind: RemarkKind
    said: str = ""


@dataclass(frozen=True, slots=True)
class TextChunk:
    """A piece of the reply is handed to the synthesizer."""

    text: str


@dataclass(frozen=True, slots=True)
class Connected:
    """The connection of a request: the time that opening it took, and whether it was reused.

    Emitted once for each request. ``number`` identifies the connection (0: unknown), so that
    several requests over one connection count it once, with the values of the first. ``in_turn``:
    it was opened while the turn waited, not before the turn. ``port`` is ours (0: unknown); it is
    not recorded.
    """

    connect_ms: float
    reused: bool
    number: int = 0
    in_turn: bool = False
    port: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class FirstByte:
    """The first body byte of an audio response is in memory; a container header counts here.

    A message shows only at its end whether it has sound, so this event may come for a message
    without sound. The last one before the first `AudioChunk` counts.
    """

    read_ns: int | None = field(default=None, kw_only=True, compare=False, repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class AudioChunk:
    """Whole PCM frames are in host memory: float32 mono in [-1, 1], shape ``(samples,)``.

    Sound that came compressed is in hand when it is decoded, so it has no ``read_ns``.
    """

    pcm: NDArray[np.float32]
    sample_rate: int
    read_ns: int | None = field(default=None, kw_only=True, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class SilenceTrimmed:
    """The synthesizer cut this much silence at the beginning of the reply."""

    duration_ms: float


@dataclass(frozen=True, slots=True)
class ServerTiming:
    """A duration that the server measured on its own clock, and reports.

    ``stage`` is ``turn`` for the whole turn, or ``llm`` or ``tts`` for one request up to its first
    token or sound. ``our_ms`` is our own duration of this request, from the moment it was sent;
    None for the whole turn.
    """

    duration_ms: float
    our_ms: float | None = None
    stage: Stage = "turn"


@dataclass(frozen=True, slots=True)
class SpeakerStarted:
    """The sound device took the first sample and will play it after ``delay_ms`` (DAC time)."""

    delay_ms: float


@dataclass(frozen=True, slots=True)
class TurnInterrupted:
    """The listener interrupts the reply: the request to stop it goes out.

    Sound may still come. The turn ends with `TurnFinished`.
    """

    how: CancelHow = "asked"


@dataclass(frozen=True, slots=True)
class TurnStopped:
    """The interrupted target says that it has stopped, or has sent the whole reply by then.

    Without this event nothing says when, or whether, it stopped.
    """


@dataclass(frozen=True, slots=True)
class TurnFinished:
    """The last sample is in memory. After an interruption: no further sample will be."""


@dataclass(frozen=True, slots=True)
class TurnFailed:
    """The turn ended without a usable answer. ``reason`` is one sentence."""

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
    | TurnInterrupted
    | TurnStopped
    | TurnFinished
    | TurnFailed
)

ReadEvent = Token | Reply | FirstByte | AudioChunk
"""The events that may have the moment at which their bytes were read."""

Emit = Callable[[Event], None]
"""Take one event, now. Safe to call from any thread."""

LlmEvent = Token | Reply | Usage | Remark | Connected | ServerTiming
"""The events that a language model yields for one prompt."""

TtsEvent = AudioChunk | FirstByte | Remark | Connected | ServerTiming | SilenceTrimmed
"""The events that a synthesizer yields for one text chunk."""
