from __future__ import annotations

import pytest
from outcomes import lines_of, shown
from rich.cells import cell_len
from rich.text import Text

from voicebench.report.console.style import PLAIN, WIDER, Column, Sheet, fitting, spell


def sheet(notes: tuple[Text, ...] = ()) -> Sheet:
    return Sheet(
        "Fruit",
        [
            Column("name", [Text("apple"), Text("pear")], "left"),
            Column("weight", [Text("182"), Text("7")], spare=1),
            Column("colour", [Text("red"), Text("green")], "left", spare=2),
        ],
        notes,
    )


def test_a_sheet_has_its_title_heads_rows_and_notes() -> None:
    assert lines_of(shown(sheet((Text("as bought"),)), 40)) == [
        "Fruit",
        "name   weight  colour",
        "─────────────────────",
        "apple     182  red",
        "pear        7  green",
        "as bought",
    ]


def test_a_narrow_sheet_leaves_out_what_is_missed_least_and_says_so() -> None:
    lines = lines_of(shown(sheet(), 20))
    assert lines[1] == "name   weight"
    assert lines[-2:] == ["hidden (terminal too", "narrow): colour"]


def test_the_columns_that_matter_stay_at_any_width() -> None:
    assert [column.head for column in fitting(sheet().columns, 3)] == ["name"]


def test_a_column_that_is_an_extra_goes_without_a_word() -> None:
    extra = Column("tint", [Text("x")], spare=9, extra=True)
    assert "left out" not in shown(Sheet("T", [Column("n", [Text("1")]), extra]), 4)


def test_a_column_of_text_is_squeezed_before_others_are_left_out() -> None:
    long = Column("text", [Text("a very long story about fruit")], "left", least=10)
    columns = [long, Column("n", [Text("1")], spare=1)]
    assert lines_of(shown(Sheet("T", columns), 20))[3] == "a very long stor…  1"


def test_a_head_that_looks_like_markup_or_a_cell_that_does_is_printed_as_it_is() -> None:
    text = shown(Sheet("T", [Column("h", [Text("[bold]x[/]")])]))
    assert "[bold]x[/]" in text


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "cp437"])
def test_every_encoding_prints_without_failing_and_as_wide(encoding: str) -> None:
    text = "".join(PLAIN) + "é你😀"
    assert cell_len(spell(text, encoding)) == cell_len(text)
    shown(Text(text), 200, encoding=encoding)


def test_plain_stand_ins_are_ascii_and_one_cell_wide() -> None:
    assert all(len(plain) == 1 and plain.isascii() for plain in PLAIN.values())


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_a_limit_keeps_its_meaning_where_its_sign_cannot_be_printed(encoding: str) -> None:
    limits = Sheet(
        "Limits",
        [
            Column("limit ≤", [Text.assemble("≤ ", ("5 %", "bold")), Text("< 300 ms")], "left"),
            Column("seen", [Text("4 %"), Text("≥ 310")]),
        ],
        [Text("a: 3 → 2")],
    )
    assert lines_of(shown(limits, 40, encoding=encoding)) == [
        "Limits",
        "limit <=    seen",
        lines_of(shown(limits, 40, encoding=encoding))[2],
        "<= 5 %       4 %",
        "< 300 ms  >= 310",
        "a: 3 -> 2",
    ]
    assert shown(Text("≤ 5 %"), encoding=encoding) == "<= 5 %\n"
    assert lines_of(shown(limits, 40))[3:5] == ["≤ 5 %       4 %", "< 300 ms  ≥ 310"]


def test_signs_without_a_plain_one_of_their_width_are_spelled_out() -> None:
    assert spell("".join(WIDER), "ascii") == ">=<=->"
    assert not set(WIDER) & set(PLAIN)


def test_the_style_of_a_spelled_out_cell_stays() -> None:
    cell = Text.assemble(("≤ 5", "bold"), " %", style="red")
    [column] = [Column("limit", [cell]).spelled("ascii")]
    assert column.cells[0].plain == "<= 5 %"
    assert column.cells[0].style == "red"
    assert [span.style for span in column.cells[0].spans if span.style == "bold"]


def test_what_can_be_printed_is_left_as_it_is() -> None:
    assert spell("ça – 你好", "utf-8") == "ça – 你好"
    assert spell("ça – 你好", "ascii") == "?a - ????"


def test_a_sheet_in_ascii_keeps_its_shape() -> None:
    assert lines_of(shown(sheet(), 40, encoding="ascii"))[2] == "---------------------"
