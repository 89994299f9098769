"""One turn as a small SVG: the language model, the voice and the listener on one time axis.

The picture has no text and stretches with its cell; `in_words` says the same in a sentence for
people who cannot see it. From top to bottom, its lanes are the reply with a tick for each token,
the voice with a long tick for each text chunk and a short one for each piece of audio, and what the
listener hears, stalls included.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from voicebench import format as form
from voicebench.figures.metrics import BY_NAME, NS_PER_MS
from voicebench.report.lanes import Kind, Lane, Span, lanes
from voicebench.turn.playback import listen
from voicebench.turn.timeline import Timeline

SPAN = 4000
"""The width of the picture in its own units; it is stretched to the width of the cell."""
LANE = 10
PITCH = 13
HEIGHT = 3 * PITCH - 3

ROWS = {"LLM": 0, "voice": 1, "heard": 2}
HEARD = (Kind.PLAYING, Kind.SILENCE)
SHOWN_MARKS = (Kind.TOKEN, Kind.LLM_DONE, Kind.FIRST_AUDIO, Kind.FIRST_SOUND, Kind.FAILED)


@dataclass(frozen=True, slots=True)
class SvgPath:
    """An SVG path, and its class in the style sheet."""

    kind: str
    path: str


@dataclass(frozen=True, slots=True)
class Picture:
    """The paths of one turn, and the place of the target's line."""

    shapes: tuple[SvgPath, ...]
    target: int
    in_words: str
    goes_on: bool
    """Whether the turn goes on past the end of the axis."""


def picture(turn: Timeline, end_ms: float, target_ms: float) -> Picture:
    """Return the picture of ``turn`` on an axis from 0 to ``end_ms``."""
    axis = _Axis(end_ms)
    shapes: list[SvgPath] = []
    for lane in lanes(turn):
        shapes += _lane(lane, axis)
    top = ROWS["voice"] * PITCH
    shapes += _ticks("piece", [arrival.at_ns / NS_PER_MS for arrival in turn.audio], axis, top, 5)
    shapes += _ticks("chunk", [chunk.at_ns / NS_PER_MS for chunk in turn.chunks], axis, top, LANE)
    # Listening goes on past the end of nearly every axis, so it does not count.
    ends = [span.end_ms for lane in lanes(turn) for span in lane.spans if span.kind not in HEARD]
    return Picture(tuple(shapes), axis.at(target_ms), in_words(turn), max(ends, default=0) > end_ms)


def in_words(turn: Timeline) -> str:
    """Return the turn in a sentence."""
    moments = [
        ("first token", "llm_ttft_ms"),
        ("reply complete", "llm_total_ms"),
        ("first chunk", "first_chunk_ms"),
        ("first audio", "first_audio_ms"),
        ("first sound", "first_sound_ms"),
    ]
    parts = [
        f"{name} {form.quantity(value, 'ms')}"
        for name, metric in moments
        if (value := BY_NAME[metric].of(turn)) is not None
    ]
    stalls, stalled = BY_NAME["stall_count"].of(turn), BY_NAME["stall_ms"].of(turn)
    if stalls:
        parts.append(f"{form.plural(int(stalls), 'stall')} of {form.quantity(stalled, 'ms')}")
    elif stalls is not None:
        parts.append("no stall")
    if turn.failure is not None:
        at = form.quantity(turn.end_ns / NS_PER_MS, "ms")
        parts.append(f"failed in {turn.failure.stage} at {at}")
    return ", ".join(parts)


def playhead(turn: Timeline) -> list[tuple[float, float]]:
    """Return when each part of the audio is heard: (seconds into the audio, ms of the turn).

    Between two entries the audio plays without a stall.
    """
    if turn.sound is None:
        return []
    heard = listen(turn.audio, turn.sound.sample_rate).played_from_ns
    samples = 0
    known: list[tuple[float, float]] = []
    for arrival, start_ns in zip(turn.audio, heard, strict=True):
        at_s, at_ms = samples / turn.sound.sample_rate, start_ns / NS_PER_MS
        if not known or abs(known[-1][1] + 1000 * (at_s - known[-1][0]) - at_ms) > 0.5:
            known.append((round(at_s, 4), round(at_ms, 1)))
        samples += arrival.samples
    return known


def _css_class(kind: Kind) -> str:
    return kind.name.lower().replace("_", "-")


@dataclass(frozen=True, slots=True)
class _Axis:
    end_ms: float

    def at(self, at_ms: float) -> int:
        """Return the place of a moment, limited to the axis."""
        return round(min(max(at_ms / self.end_ms, 0.0), 1.0) * SPAN)

    def shows(self, at_ms: float) -> bool:
        return at_ms <= self.end_ms


def _lane(lane: Lane, axis: _Axis) -> Iterable[SvgPath]:
    top = ROWS[lane.name] * PITCH
    spans: dict[Kind, list[Span]] = {}
    for span in lane.spans:
        spans.setdefault(span.kind, []).append(span)
    for kind, found in spans.items():
        path = "".join(_box(span, axis, top) for span in found if axis.shows(span.start_ms))
        if path:
            yield SvgPath(_css_class(kind), path)
    for kind in SHOWN_MARKS:
        moments = [mark.at_ms for mark in lane.marks if mark.kind is kind]
        yield from _ticks(_css_class(kind), moments, axis, top, LANE)


def _box(span: Span, axis: _Axis, top: int) -> str:
    start, end = axis.at(span.start_ms), axis.at(span.end_ms)
    return f"M{start} {top}h{max(end - start, 1)}v{LANE}H{start}z"


def _ticks(
    kind: str, moments: Sequence[float], axis: _Axis, top: int, height: int
) -> list[SvgPath]:
    shown = dict.fromkeys(axis.at(at_ms) for at_ms in moments if axis.shows(at_ms))
    path = "".join(f"M{at} {top}v{height}" for at in shown)
    return [SvgPath(kind, path)] if path else []
