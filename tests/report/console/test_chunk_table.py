from __future__ import annotations

from handmade import failed_turn, make_turn
from outcomes import lines_of, row_of, shown

from voicebench.judging.digest import digest_of
from voicebench.report.console.chunk_table import chunk_sheet, length_rows
from voicebench.turn.timeline import Timeline


def spoken(number: int, *drawn: tuple[str, float, float]) -> Timeline:
    """Return a turn of chunks: text, first byte and total after the hand-over, 1,000 ms apart."""
    chunks = [(index * 1000.0, text) for index, (text, _, _) in enumerate(drawn)]
    audio = []
    for index, (_, first, total) in enumerate(drawn):
        audio += [(index * 1000 + first, 200.0), (index * 1000 + total, 300.0)]
    return make_turn(number, tokens=(), chunks=chunks, audio=audio)


def table(turns: list[Timeline], width: int = 100) -> str:
    sheet = chunk_sheet(digest_of(turns).chunks)
    assert sheet is not None
    return shown(sheet, width)


def test_the_texts_of_the_sprint_of_reference_give_its_figures() -> None:
    turns = [
        spoken(1, ("a" * 65, 117, 193)),
        spoken(2, ("b" * 78, 72, 375)),
        spoken(3, ("c" * 72, 77, 229)),
    ]
    rows = [" ".join(line.split()) for line in lines_of(table(turns))[3:]]
    assert rows == [
        "first 65 1 117 ms 193 ms 0.5 s 2.59×",
        "first 72 1 77.0 ms 229 ms 0.5 s 2.18×",
        "first 78 1 72.0 ms 375 ms 0.5 s 1.33×",
    ]


def test_later_chunks_stand_apart_from_first_ones() -> None:
    text = table([spoken(1, ("three words here", 60, 120), ("and some more", 80, 200))])
    assert row_of(text, "first  ").startswith("first 16 1 60.0 ms 120 ms")
    assert row_of(text, "later").startswith("later 13 1 80.0 ms 200 ms")


def test_chunks_of_one_length_share_a_row_of_medians() -> None:
    text = table([spoken(number, ("same", 50 + number, 100)) for number in range(1, 4)])
    assert row_of(text, "first  ").startswith("first 4 3 52.0 ms 100 ms")
    assert "medians over the chunks of each row" in text


def test_many_lengths_are_gathered_in_bands_that_double() -> None:
    turns = [spoken(length, ("x" * length, 60, 100)) for length in range(1, 41)]
    bands = [line.split()[1] for line in lines_of(table(turns))[3:-1]]
    assert bands == ["1–8", "9–16", "17–32", "33–40"]


def test_every_chunk_is_counted_once_with_all_its_audio() -> None:
    chunks = digest_of([spoken(1, (" three words ", 60, 120), ("more", 80, 200))]).chunks
    assert chunks["is_first"].tolist() == [True, False]
    assert (chunks["characters"].tolist(), chunks["words"].tolist()) == ([11, 4], [2, 1])
    assert chunks["audio_s"].tolist() == [0.5, 0.5]


def test_turns_that_failed_or_are_not_measured_are_left_out() -> None:
    cold = make_turn(1, phase="cold")
    assert chunk_sheet(digest_of([cold, failed_turn(2), make_turn(3, chunks=())]).chunks) is None


def test_a_chunk_that_brought_no_audio_is_left_out() -> None:
    turn = make_turn(chunks=((116, "Hi."), (250, "👍")), audio=((186, 500), (240, 100)))
    assert [row[0] for row in length_rows(digest_of([turn]).chunks)] == ["3"]
