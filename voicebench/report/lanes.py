"""A turn as spans and marks on a time axis, in milliseconds, for all drawings.

A turn is shown in two ways. Its *path* is one lane: the stages up to the first audio one after the
other, then the listening. Its three *lanes* show what happens at the same time: the language model,
the voice, and the listener, who plays from the first audio on.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from voicebench.figures.metrics import BY_NAME, NS_PER_MS, audio_by_chunk
from voicebench.turn.playback import listen
from voicebench.turn.timeline import Timeline


class Kind(Enum):
    """The kind of a span or a mark, with its name in the legend."""

    PREFILL = "waiting for the reply to begin"
    WRITING = "writing"
    TOKEN = "token"
    WAIT = "waiting for a chunk of text"
    SYNTHESIS = "voice at work, nothing in hand yet"
    ARRIVING = "audio arriving"
    SILENCE = "audio, still silent"
    PLAYING = "speech heard"
    STALL = "stall"
    LLM_DONE = "reply complete"
    FIRST_AUDIO = "first audio"
    FIRST_SOUND = "first sound"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Span:
    """A period of a lane; it is drawn at least one cell wide."""

    start_ms: float
    end_ms: float
    kind: Kind


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment on a lane."""

    at_ms: float
    kind: Kind


@dataclass(frozen=True, slots=True)
class Lane:
    """One line of a waterfall. Later spans cover earlier ones, and marks cover all."""

    name: str
    spans: tuple[Span, ...]
    marks: tuple[Mark, ...] = ()

    def kinds(self) -> set[Kind]:
        """Return the kinds of all spans and marks."""
        return {span.kind for span in self.spans} | {mark.kind for mark in self.marks}


def path(turn: Timeline) -> Lane:
    """Return the turn as one lane."""
    begun, handed_over, first_audio = _moments(turn)
    spans = []
    if begun is not None:
        spans.append(Span(0.0, begun, Kind.PREFILL))
    if handed_over is not None:
        spans.append(Span(begun or 0.0, handed_over, Kind.WAIT))
    if first_audio is not None:
        spans.append(Span(handed_over or begun or 0.0, first_audio, Kind.SYNTHESIS))
    complete = BY_NAME["llm_total_ms"].of(turn)
    marks = [] if complete is None else [Mark(complete, Kind.LLM_DONE)]
    if turn.failed:
        spans.append(_until_failure(turn))
        marks = [_failure_mark(turn)]
    heard = _listener_lane(turn)
    return Lane("", (*spans, *heard.spans), (*marks, *heard.marks))


def lanes(turn: Timeline) -> list[Lane]:
    """Return the lanes of the turn that are not empty: language model, voice, listener."""
    drawn = [_llm_lane(turn), _voice_lane(turn), _listener_lane(turn)]
    return [lane for lane in drawn if lane.spans or lane.marks]


def start_ms(turn: Timeline) -> float:
    """Return when speech is heard and the reply is complete, or when the turn failed."""
    if turn.failed:
        return turn.end_ns / NS_PER_MS
    moments = (BY_NAME[name].of(turn) for name in ("llm_total_ms", "first_sound_ms"))
    return max(at_ms or 0.0 for at_ms in moments)


def whole_ms(turn: Timeline) -> float:
    """Return the end of the last sample or the last stall."""
    stalls = [span.end_ms for span in _listener_lane(turn).spans if span.kind is Kind.STALL]
    return max(start_ms(turn), turn.end_ns / NS_PER_MS, *stalls)


def heard_until_ms(turn: Timeline) -> float | None:
    """Return when the listener has heard all audio; None without audio."""
    if turn.sound is None:
        return None
    return listen(turn.audio, turn.sound.sample_rate).end_ns / NS_PER_MS


def _moments(turn: Timeline) -> tuple[float | None, float | None, float | None]:
    """Return when the reply began (or came in one piece), the first chunk, the first audio."""
    texts = turn.tokens or ([turn.whole_reply] if turn.whole_reply else [])
    return (
        _first_ms(text.at_ns for text in texts),
        _first_ms(chunk.at_ns for chunk in turn.chunks),
        _first_ms(arrival.at_ns for arrival in turn.audio),
    )


def _first_ms(stamps: Iterable[int]) -> float | None:
    return next((at_ns / NS_PER_MS for at_ns in stamps), None)


def _llm_lane(turn: Timeline) -> Lane:
    begun, _, _ = _moments(turn)
    complete = BY_NAME["llm_total_ms"].of(turn)
    spans: list[Span] = []
    marks = [Mark(token.at_ns / NS_PER_MS, Kind.TOKEN) for token in turn.tokens]
    if begun is not None and complete is not None:
        spans.append(Span(0.0, begun, Kind.PREFILL))
        if complete > begun:
            spans.append(Span(begun, complete, Kind.WRITING))
        elif not turn.tokens:
            marks.append(Mark(complete, Kind.LLM_DONE))
    if turn.failure is not None and turn.failure.stage == "llm":
        spans.append(_until_failure(turn))
        marks.append(_failure_mark(turn))
    return Lane("LLM", tuple(spans), tuple(marks))


def _voice_lane(turn: Timeline) -> Lane:
    begun, handed_over, first_audio = _moments(turn)
    spans: list[Span] = []
    if handed_over is None and first_audio is not None:
        spans.append(Span(0.0, first_audio, Kind.SYNTHESIS))
        spans.append(Span(first_audio, turn.audio[-1].at_ns / NS_PER_MS, Kind.ARRIVING))
    free_at = begun or 0.0
    for chunk_ns, audio in audio_by_chunk(turn):
        chunk_ms = chunk_ns / NS_PER_MS
        if chunk_ms > free_at:
            spans.append(Span(free_at, chunk_ms, Kind.WAIT))
        first_ms = audio[0].at_ns / NS_PER_MS if audio else chunk_ms
        spans.append(Span(chunk_ms, first_ms, Kind.SYNTHESIS))
        if audio:
            spans.append(Span(first_ms, audio[-1].at_ns / NS_PER_MS, Kind.ARRIVING))
        free_at = max(chunk_ms, spans[-1].end_ms)
    if turn.failure is None or turn.failure.stage == "llm":
        return Lane("voice", tuple(spans))
    if not turn.audio:
        spans.append(Span(handed_over or free_at, turn.end_ns / NS_PER_MS, Kind.SYNTHESIS))
    return Lane("voice", tuple(spans), (_failure_mark(turn),))


def _listener_lane(turn: Timeline) -> Lane:
    _, _, first_audio = _moments(turn)
    if first_audio is None or turn.sound is None:
        return Lane("heard", ())
    playback = listen(turn.audio, turn.sound.sample_rate)
    end = playback.end_ns / NS_PER_MS
    heard = BY_NAME["first_sound_ms"].of(turn)
    spans = [Span(first_audio, end, Kind.SILENCE if heard is None else Kind.PLAYING)]
    marks = [Mark(first_audio, Kind.FIRST_AUDIO)]
    if heard is not None:
        marks.insert(0, Mark(heard, Kind.FIRST_SOUND))
        if heard > first_audio:
            spans.append(Span(first_audio, heard, Kind.SILENCE))
    for stall in playback.stalls:
        start, stop = stall.start_ns, stall.start_ns + stall.duration_ns
        spans.append(Span(start / NS_PER_MS, stop / NS_PER_MS, Kind.STALL))
    return Lane("heard", tuple(spans), tuple(marks))


def _until_failure(turn: Timeline) -> Span:
    """Return the span from the last event to the failure."""
    stamps = [text.at_ns for text in (*turn.tokens, *turn.chunks)]
    stamps += [arrival.at_ns for arrival in turn.audio]
    kind = Kind.SYNTHESIS if turn.chunks else Kind.WAIT if turn.tokens else Kind.PREFILL
    return Span(max(stamps, default=0) / NS_PER_MS, turn.end_ns / NS_PER_MS, kind)


def _failure_mark(turn: Timeline) -> Mark:
    return Mark(turn.end_ns / NS_PER_MS, Kind.FAILED)
