"""Spoken calls on the page: both tracks as a picture, with the sound and a playhead."""

from __future__ import annotations

import base64
import wave
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from voicebench import format as form
from voicebench.audio.wav_writer import stereo_wav
from voicebench.report.call_picture import (
    AUDIBLE_LEVEL,
    HUMAN_GAP_MS,
    LEVEL_STEP_MS,
    CallPicture,
    call_pictures,
)
from voicebench.report.html.picture import SPAN, SvgPath
from voicebench.results.folder import call_audio
from voicebench.results.run import RecordedRun

MOST_CALLS = 5
MOST_WAITS = 60
SOUND_RATE = 8000
"""The rate of the sound in the page, in Hz: a third of the saved one."""
TRACK = 40
GAP = 16
CALL_HEIGHT = 2 * TRACK + GAP
WAIT_HEIGHT = 12
STAGE_CLASSES = {
    "end of turn": "wait",
    "transcript": "writing",
    "reply text": "prefill",
    "voice": "synthesis",
}


@dataclass(frozen=True, slots=True)
class DrawnCall:
    """One call: its picture, its sound as a data URL, and the same in words."""

    number: int
    end_ms: float
    shapes: tuple[SvgPath, ...]
    sound: str
    in_words: str
    length: str


@dataclass(frozen=True, slots=True)
class DrawnWait:
    """The wait for one answer, on the axis of all waits."""

    run: int
    said: str
    shapes: tuple[SvgPath, ...]
    response: str
    is_cut_in: bool


@dataclass(frozen=True, slots=True)
class PageCalls:
    """The calls of a run that are drawn."""

    calls: tuple[DrawnCall, ...]
    waits: tuple[DrawnWait, ...]
    human: int
    """The place of the 208 ms line."""
    note: str


def page_calls(run: RecordedRun, room: int) -> PageCalls | None:
    """Return the calls of ``run``, with at most ``room`` bytes of sound; None if it has none."""
    pictures = call_pictures(run.digest, MOST_CALLS)
    if not pictures:
        return None
    drawn = []
    for picture in pictures:
        sound = _sound(run, picture.call)
        room -= len(sound)
        drawn.append(
            DrawnCall(
                picture.call,
                picture.length_ms,
                tuple(_shapes(picture)),
                sound if room >= 0 else "",
                picture.in_words(),
                form.seconds(picture.length_ms / 1000),
            )
        )
    waits, human = _waits(pictures)
    note = ""
    if not any(call.sound for call in drawn):
        note = "No sound was saved; with --save-audio, the page can play the calls."
    return PageCalls(tuple(drawn), waits, human, note)


def _shapes(picture: CallPicture) -> Iterable[SvgPath]:
    end = picture.length_ms or 1.0

    def at(ms: float) -> int:
        return round(max(0.0, min(ms / end, 1.0)) * SPAN)

    both = [min(one, other) for one, other in zip(picture.caller, picture.agent, strict=False)]
    yield SvgPath("both", _boxes(both, at, 0, CALL_HEIGHT))
    yield SvgPath("caller", _bars(picture.caller, at, TRACK))
    yield SvgPath("agent", _bars(picture.agent, at, CALL_HEIGHT))
    for name, css in STAGE_CLASSES.items():
        path = "".join(
            f"M{at(wait.from_ms + start)} {TRACK + 3}"
            f"h{max(1, at(wait.from_ms + stop) - at(wait.from_ms + start))}v{GAP - 6}"
            f"H{at(wait.from_ms + start)}z"
            for wait in picture.waits
            for stage, start, stop in wait.stages
            if stage == name and stop > start
        )
        yield SvgPath(css, path)
    human = (at(wait.from_ms + HUMAN_GAP_MS) for wait in picture.waits)
    yield SvgPath("target", "".join(f"M{x} {TRACK}v{GAP}" for x in human))
    for kind in ("answer", "stop", "cut in", "interruption", "noise"):
        css = {"answer": "first-sound", "stop": "first-sound"}.get(kind, "failed")
        path = "".join(
            f"M{at(mark.at_ms)} {TRACK if kind in ('answer', 'cut in') else 0}v{TRACK + GAP}"
            for mark in picture.marks
            if mark.kind == kind
        )
        yield SvgPath(css, path)


def _bars(levels: Sequence[int], at, bottom: int) -> str:  # type: ignore[no-untyped-def]
    """Return one bar for each level, upwards from ``bottom``: -50 dB is nothing, -5 dB all."""
    path = []
    for step, level in enumerate(levels):
        height = round(max(0.0, min((level - 30) / 45, 1.0)) * TRACK)
        if height:
            left, right = at(step * LEVEL_STEP_MS), at((step + 1) * LEVEL_STEP_MS)
            path.append(f"M{left} {bottom}v-{height}H{max(right, left + 1)}v{height}z")
    return "".join(path)


def _boxes(levels: Sequence[int], at, top: int, height: int) -> str:  # type: ignore[no-untyped-def]
    path = []
    for step, level in enumerate(levels):
        if level >= AUDIBLE_LEVEL:
            left, right = at(step * LEVEL_STEP_MS), at((step + 1) * LEVEL_STEP_MS)
            path.append(f"M{left} {top}h{max(right - left, 1)}v{height}H{left}z")
    return "".join(path)


def _waits(pictures: Sequence[CallPicture]) -> tuple[tuple[DrawnWait, ...], int]:
    waits = sorted((wait for one in pictures for wait in one.waits), key=lambda one: one.run)
    end = 1.05 * max([HUMAN_GAP_MS, *(wait.response_ms for wait in waits)])

    def at(ms: float) -> int:
        return round(max(0.0, min(ms / end, 1.0)) * SPAN)

    drawn = []
    for wait in waits[:MOST_WAITS]:
        shapes = tuple(
            SvgPath(STAGE_CLASSES[name], f"M{at(start)} 0H{at(stop)}v{WAIT_HEIGHT}H{at(start)}z")
            for name, start, stop in wait.stages
            if at(stop) > at(start)
        )
        drawn.append(
            DrawnWait(
                wait.run,
                form.one_line(wait.said),
                shapes,
                form.ms(wait.response_ms),
                wait.response_ms < 0,
            )
        )
    return tuple(drawn), at(HUMAN_GAP_MS)


def _sound(run: RecordedRun, call: int) -> str:
    """Return the saved sound of a call as a data URL at `SOUND_RATE`; empty without one."""
    path = call_audio(run.path, call)
    if path is None:
        return ""
    try:
        with wave.open(str(path), "rb") as file:
            channels, rate = file.getnchannels(), file.getframerate()
            content = file.readframes(file.getnframes())
    except (OSError, EOFError, wave.Error):
        return ""
    if channels != 2 or rate % SOUND_RATE:
        return ""
    frames = np.frombuffer(content, dtype="<i2").reshape(-1, 2)
    step = rate // SOUND_RATE
    whole = frames[: len(frames) - len(frames) % step].reshape(-1, step, 2)
    small = whole.mean(axis=1).astype("<i2")
    content = stereo_wav(small, SOUND_RATE)
    return f"data:audio/wav;base64,{base64.b64encode(content).decode()}"
