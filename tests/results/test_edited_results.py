"""Results that somebody edited, cut or put something else in place of: each ends in a sentence.

Every value of every document is replaced by others in turn. `verify` says that the file differs,
and no reader of results ends in anything but a `VoicebenchError`.
"""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from io import StringIO
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
from handmade import failed_turn, make_turn
from recorded_folders import write_result
from rich.console import Console

from voicebench.errors import ResultsError, VoicebenchError
from voicebench.events import Connected, ServerTiming
from voicebench.report.console.console import print_runs
from voicebench.report.exchange import exchange
from voicebench.report.exchange.badge import badge
from voicebench.report.exchange.junit import junit_report
from voicebench.report.exchange.markdown import markdown_report
from voicebench.report.html import html_report, trend_of
from voicebench.results.baseline import set_baseline
from voicebench.results.checksums import NAME as CHECKSUMS
from voicebench.results.codec import decode_line, encode_line
from voicebench.results.history import run_history
from voicebench.results.reading import check_folder
from voicebench.results.run import previous_run, read_run
from voicebench.results.tables import write_events, write_long, write_turns
from voicebench.results.verify import verify
from voicebench.turn.timeline import MachineState, Timeline

DEEP = "[" * 100_000 + "]" * 100_000
NUMBERS = ["NaN", "-Infinity", "1e999", "1" + "0" * 400, "-1", "1.5", "true"]
OTHERS = ["null", '"text"', "[]", "{}", "[1]", '{"a": 1}', DEEP]
FILES = ["turns.jsonl", "runs.csv", "summary.json", "settings.json", "environment.json", CHECKSUMS]
HOLE = "\N{OBJECT REPLACEMENT CHARACTER}"

LINE = encode_line(
    replace(
        make_turn(2),
        machine=MachineState(0.1, 0.2, 3000.0, 0.0, 0, 0.0, 0),
        usage_tokens=4,
        first_byte_ns=1,
        silence_trimmed_ms=2.0,
        speaker_ns=5,
        connections=(Connected(1.0, False, 1, True),),
        server_timings=(ServerTiming(1.0, 2.0, "llm"),),
    )
)
MAY_BE_MISSING = ("machine", "seam_clicks", "connected_in_turn")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = write_result(tmp_path / "results", [make_turn(1), failed_turn(2), make_turn(3)])
    (made / CHECKSUMS).unlink()
    write_result(tmp_path / "later", [make_turn(1)], stamp="20270101T000000Z")
    return made


def places(value: object, above: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Yield the way to ``value`` and to all that is in it; of a list, to its first entry only."""
    yield above
    if isinstance(value, dict):
        for key in value:
            yield from places(value[key], (*above, key))
    elif isinstance(value, list) and value:
        yield from places(value[0], (*above, 0))


def with_text(document: object, place: tuple[str | int, ...], text: str) -> str:
    """Return ``document`` as JSON, with ``text`` (which may be no JSON) at ``place``."""
    if not place:
        return text
    changed = copy.deepcopy(document)
    inner: Any = changed
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = HOLE
    return json.dumps(changed, ensure_ascii=False).replace(f'"{HOLE}"', text)


def at(document: object, place: tuple[str | int, ...]) -> object:
    for step in place:
        document = document[step]  # type: ignore[index]
    return document


def read_or_refused(line: str) -> Timeline | None:
    """Return the turn in ``line``; None where a short sentence says that it is none."""
    try:
        return decode_line(line, "turns.jsonl, line 2")
    except ResultsError as error:
        refusal = error
    assert refusal.message.startswith("turns.jsonl, line 2 ")
    assert len(refusal.message) < 300
    return None


TURN_PLACES = list(places(json.loads(LINE)))


@pytest.mark.parametrize("place", TURN_PLACES, ids=lambda place: ".".join(map(str, place)))
def test_a_turn_with_another_value_is_no_turn_or_a_whole_one(place: tuple[str | int, ...]) -> None:
    document = json.loads(LINE)
    is_number = type(at(document, place)) in (int, float)
    for text in [*NUMBERS, *OTHERS]:
        turn = read_or_refused(with_text(document, place, text))
        if turn is None:
            continue
        assert text not in ("NaN", "-Infinity", "1e999", NUMBERS[3], DEEP), place
        assert decode_line(encode_line(turn), "again") == turn
        if is_number:
            assert text in ("-1", "1.5", "null"), place  # of the machine, which nothing is made of


@pytest.mark.parametrize("name", [*json.loads(LINE)])
def test_a_turn_without_a_field_says_which(name: str) -> None:
    document = json.loads(LINE)
    del document[name]
    if name in MAY_BE_MISSING:
        assert decode_line(json.dumps(document), "line")
        return
    with pytest.raises(ResultsError, match=name):
        decode_line(json.dumps(document), "line")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda d: d["audio"].reverse(), "audio run back in time"),
        (lambda d: d["tokens"].reverse(), "tokens run back in time"),
        (lambda d: d["chunks"][0].__setitem__(0, -5), "chunks begin before the turn"),
        (lambda d: d.update(end_ns=1), "go on after the turn's end"),
        (lambda d: d.update(started_at="yesterday"), "yesterday"),
        (lambda d: d["audio"][0].__setitem__(1, 0), "a piece without a sample"),
        (lambda d: d["tokens"][0].__setitem__(1, ""), "a piece without text"),
        (lambda d: d["sound"].update(first_audible_sample=10**9), "is after the audio"),
        (lambda d: d["sound"].update(peak=-0.5), "a level below nothing"),
    ],
)
def test_a_turn_that_could_not_have_happened_is_none(
    change: Callable[[Any], object], why: str
) -> None:
    document = json.loads(LINE)
    change(document)
    with pytest.raises(ResultsError, match=why):
        decode_line(json.dumps(document), "line")


def read_in_every_way(folder: Path) -> None:
    """Read a result as each command does; a `VoicebenchError` is an answer."""
    with suppress(VoicebenchError):
        runs = [read_run(folder)]
        print_runs(Console(file=StringIO(), width=100), runs)
        for make in (
            markdown_report,
            junit_report,
            exchange.json_report,
        ):
            make(runs)
        for tracked in (exchange.github_benchmark, exchange.bencher, exchange.gitlab_metrics):
            tracked(exchange.run_figures(runs))
        badge(runs[0])
        html_report(runs, sections=trend_of(runs))
    for write in (write_turns, write_long, write_events):
        with suppress(VoicebenchError):
            write(StringIO(), [check_folder(folder)])
    with suppress(VoicebenchError):
        read_run(folder)
    with suppress(VoicebenchError):
        run_history(folder.parent)
    with suppress(VoicebenchError):
        set_baseline(folder, folder.parent)
    (later,) = folder.parents[1].glob("later/*")
    previous_run(folder.parent, "made", later, read_run(later))


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("file", ["summary.json", "settings.json", "environment.json"])
def test_a_document_with_another_value_breaks_no_reader(folder: Path, file: str) -> None:
    path = folder / file
    document = json.loads(path.read_text())
    values = cycle([*NUMBERS, *OTHERS])  # all of them at every place would take minutes
    some = [place for place in places(document) if "metrics" not in place[:1] or len(place) < 3]
    for place, text in zip(some, values, strict=False):
        path.write_text(with_text(document, place, text))
        verify(folder)
        read_in_every_way(folder)


@pytest.mark.parametrize(
    ("file", "place", "value", "said"),
    [
        ("settings.json", ("run", "runs"), "many", "run.runs is"),
        ("settings.json", ("chunker", "first_words"), [3], "chunker.first_words is"),
        ("settings.json", ("gates",), "none", "gates is"),
        ("settings.json", ("origins",), {"run.runs": 5}, "origins is"),
        ("environment.json", ("cores",), "two", "cores is 'two', not a whole number"),
        ("environment.json", ("cores",), True, "cores is True, not a whole number"),
        ("environment.json", ("instrument",), [], "instrument is a list, not an object"),
        ("environment.json", ("instrument", "p95_ms"), "0", "p95_ms is '0', not a number"),
        ("environment.json", ("packages", "numpy"), 2, "packages is"),
        ("summary.json", ("schema",), 99, "has schema 99, and this voicebench reads schema 1"),
        ("summary.json", ("schema",), True, "has schema True"),
        ("summary.json", ("run",), 1, "run is 1, not an object"),
        ("summary.json", ("run", "complete"), False, "run.complete is false"),
        ("summary.json", ("run", "instrument", "p95_ms"), 0.001, "run.instrument is"),
        ("summary.json", ("turns", "cold"), False, "turns.cold is False"),
    ],
)
def test_a_document_of_wrong_values_does_not_hold(
    folder: Path, file: str, place: tuple[str, ...], value: object, said: str
) -> None:
    assert verify(folder).holds
    path = folder / file
    path.write_text(with_text(json.loads(path.read_text()), place, json.dumps(value)))
    checked = verify(folder)
    assert not checked.holds
    assert any(said in str(finding) for finding in checked.findings), checked.findings


def test_figures_that_a_summary_does_not_have_are_named(folder: Path) -> None:
    path = folder / "summary.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"metrics": {}}))
    (note,) = [note for note in verify(folder).notes if "does not have" in note]
    assert "metrics.first_audio_ms" in note


@pytest.mark.parametrize("file", ["turns.jsonl", "summary.json", "settings.json"])
def test_nesting_without_end_is_named(folder: Path, file: str) -> None:
    (folder / file).write_text(DEEP + "\n")
    checked = verify(folder)
    assert not checked.holds
    assert any("nested too deep" in str(finding) for finding in checked.findings)
    with pytest.raises(ResultsError, match=file):
        read_run(folder)


def nothing(path: Path) -> None:
    path.unlink()


def empty(path: Path) -> None:
    path.write_bytes(b"")


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def a_loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


def a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def no_text(path: Path) -> None:
    path.write_bytes(b"\xff\xfe\x00" * 100)


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("made", [nothing, empty, a_folder, a_loop, a_pipe, no_text])
def test_something_else_in_the_place_of_a_file_breaks_no_reader(
    folder: Path, file: str, made: Callable[[Path], None]
) -> None:
    (folder / CHECKSUMS).write_text("")
    made(folder / file)
    with suppress(VoicebenchError):
        checked = verify(folder)
        assert not checked.holds or file == CHECKSUMS, made
    read_in_every_way(folder)
