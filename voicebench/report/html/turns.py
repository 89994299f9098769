"""The waterfall of a run: one row a turn, with its picture, its words and its audio."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from voicebench import format as form
from voicebench.figures.metrics import BY_NAME
from voicebench.judging.digest import MeasuredRun
from voicebench.report.console.waterfall import fit_axis
from voicebench.report.html.picture import SPAN, Picture, picture, playhead
from voicebench.report.lanes import heard_until_ms, start_ms, whole_ms
from voicebench.report.runs import TurnLimit, first_audio_limit, keeps, phase_label, status
from voicebench.results.run import RecordedRun
from voicebench.turn.timeline import Timeline

MOST_TEXT = 2_000
"""The number of characters of a prompt or a reply that are shown."""
AUDIO_BYTES = 3_000_000
"""The most bytes of saved audio in the page: four megabytes as base64."""


@dataclass(frozen=True, slots=True)
class TurnRow:
    """One row of the waterfall."""

    label: str
    order: int
    slowness: float | None
    picture: Picture
    first_audio: str
    stalls: str
    status: str
    kept: bool | None
    """Whether its first audio came in time; None for a turn that is not measured."""
    apart: bool
    """Whether the turn is not measured."""
    prompt: str
    reply: tuple[str, ...]
    failure: str
    audio: str
    playhead: str


@dataclass(frozen=True, slots=True)
class PageWaterfall:
    """The turns of one run on one axis."""

    rows: tuple[TurnRow, ...]
    end_ms: float
    """The end of the whole axis."""
    whole_ticks: tuple[tuple[float, str], ...]
    start_ticks: tuple[tuple[float, str], ...]
    start: int
    """The part of the pictures' width that shows only the beginning."""
    target: str
    note: str
    audio_note: str


def waterfall(run: RecordedRun, audio: AudioBudget, *, sort: bool) -> PageWaterfall | None:
    """Return the waterfall of ``run``; None if it has no measured turn."""
    runs = run.digest.runs
    if not runs:
        return None
    total = run.summary.turns
    limit = first_audio_limit(run.gate_results)
    # The playhead of the saved audio goes on to the end of what is heard.
    needs = [
        max(whole_ms(measured.turn), heard_until_ms(measured.turn) or 0.0) for measured in runs
    ]
    axis = fit_axis(needs, limit.ms, SPAN)
    beginnings = fit_axis([start_ms(measured.turn) for measured in runs], limit.ms, SPAN)
    start_end_ms = min(beginnings.end_ms, axis.end_ms)
    embedded = audio.take(run, sorted(runs, key=MeasuredRun.slowness, reverse=True))
    before, after = (
        [
            _row(turn, phase_label(turn.phase), None, limit=limit, end_ms=axis.end_ms)
            for turn in apart
        ]
        for apart in (run.digest.before, run.digest.after)
    )
    ordered = sorted(runs, key=MeasuredRun.slowness, reverse=True) if sort else runs
    rows = [
        _row(
            measured.turn,
            str(measured.number),
            measured,
            limit=limit,
            end_ms=axis.end_ms,
            audio=embedded.get(measured.number, ""),
        )
        for measured in ordered
    ]
    note = ""
    if len(runs) < total:
        note = (
            f"{len(runs)} of {total} runs are drawn: the failed and slowest ones, the fastest and "
            "the median; all figures and distributions on this page include all runs."
        )
    return PageWaterfall(
        rows=(*before, *rows, *after),
        end_ms=axis.end_ms,
        whole_ticks=tuple(_ticks(axis.end_ms)),
        start_ticks=tuple(_ticks(start_end_ms)),
        start=max(1, round(start_end_ms / axis.end_ms * SPAN)),
        target=form.limit(limit.ms, "ms"),
        note=note,
        audio_note=_audio_note(run, runs, embedded),
    )


def _audio_note(run: RecordedRun, runs: Sequence[MeasuredRun], embedded: Mapping[int, str]) -> str:
    saved = sum(run.audio_of(measured.turn) is not None for measured in runs)
    if not saved:
        return "No audio was saved; with --save-audio, the page can play the turns of a run."
    if len(embedded) == saved:
        return ""
    return (
        f"This page contains the audio of {len(embedded)} of {saved} runs, the slowest ones; the "
        "run folder has all of it."
    )


def _row(
    turn: Timeline,
    name: str,
    run: MeasuredRun | None,
    *,
    limit: TurnLimit,
    end_ms: float,
    audio: str = "",
) -> TurnRow:
    return TurnRow(
        label=name,
        order=turn.turn,
        slowness=None if run is None else run.first_audio_ms(),
        picture=picture(turn, end_ms, limit.ms),
        first_audio=form.ms(BY_NAME["first_audio_ms"].of(turn)),
        stalls=form.number(BY_NAME["stall_count"].of(turn), "count"),
        status=status(run, limit) if run else "! failed" if turn.failed else form.NOTHING,
        kept=None if run is None else keeps(run, limit),
        apart=run is None,
        prompt=shortened(turn.prompt),
        reply=_reply(turn),
        failure=shortened(turn.failure.reason) if turn.failure else "",
        audio=audio,
        playhead=json.dumps(playhead(turn)) if audio else "",
    )


def _reply(turn: Timeline) -> tuple[str, ...]:
    """Return the reply in the chunks that were handed to the voice, else whole."""
    if turn.chunks:
        return tuple(shortened(chunk.text) for chunk in turn.chunks)
    return (shortened(turn.reply),) if turn.reply else ()


def shortened(text: str) -> str:
    """Return ``text`` in one line, cut after `MOST_TEXT` characters."""
    line = form.one_line(text)
    return line if len(line) <= MOST_TEXT else f"{line[: MOST_TEXT - 1]}…"


def _ticks(end_ms: float) -> Iterator[tuple[float, str]]:
    """Yield the four to eight numbers of the axis, each with its place in percent."""
    step = 10.0 ** math.floor(math.log10(end_ms))
    while end_ms / step < 4:
        step /= 2 if end_ms / (step / 2) <= 8 else 5
    at = 0.0
    while at <= end_ms * 0.97:
        yield round(100 * at / end_ms, 2), f"{at:g}"
        at += step


class AudioBudget:
    """The bytes of audio that the page may still contain."""

    def __init__(self, room: int) -> None:
        self._room = room

    def take(self, run: RecordedRun, runs: Sequence[MeasuredRun]) -> dict[int, str]:
        """Return the audio of the ``runs`` that still fit, as data URLs by the run's number."""
        found = {}
        for measured in runs:
            path = run.audio_of(measured.turn)
            if path is None or path.stat().st_size > self._room:
                continue
            content = path.read_bytes()
            self._room -= len(content)
            found[measured.number] = f"data:audio/wav;base64,{base64.b64encode(content).decode()}"
        return found
