"""What an import may hold, and what is said of one that holds something else."""

from __future__ import annotations

from pathlib import Path

import pytest

from voicebench.errors import UsageError
from voicebench.sprints.imported import read_import
from voicebench.sprints.sprint import Sprint, Text


def read(folder: Path, content: str) -> Sprint:
    path = folder / "mine.toml"
    path.write_text(content, encoding="utf-8")
    return read_import(path, 7)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("figure = 1", "unknown key 'figure'"),
        ("[figures]\nlatency = 1", "unknown key 'figures.latency'"),
        ("[[runs]]\nllm = 3", r"unknown key 'runs\[1\]\.llm'"),
        ("figures = 1", "figures 1: input should be an object"),
        ("runs = 3", "runs 3: input should be a valid array"),
        (
            "[figures]\ntts_ttfb_ms = 'fast'",
            r"figures.tts_ttfb_ms\[1\] 'fast': input should be a valid number",
        ),
        ("[figures]\ntts_ttfb_ms = nan", "figures.tts_ttfb_ms nan is out of range"),
        ("[figures]\ntts_ttfb_ms = inf", "figures.tts_ttfb_ms inf is out of range"),
        ("[figures]\ntts_ttfb_ms = -1", "figures.tts_ttfb_ms -1 is out of range"),
        ("[figures]\ntts_ttfb_ms = [1, 2, 3]", r"write one number, or a range: \[low, high\]"),
        ("[figures]\ntts_ttfb_ms = [2, 1]", r"write one number, or a range: \[low, high\]"),
        ("[figures]\ntests = 'many'", "write 'passed/total'"),
        ("[figures]\ntests = '5/4'", "write 'passed/total'"),
        ("[figures]\ntests = 5", "figures.tests 5: input should be a valid string"),
        ("[[runs]]\nfirst_audio_ms = true", "True: input should be a valid number"),
        ("[[commits]]\nhash = 'a'", "subject"),
        (
            "[[files]]\npath = 'a'\nadded = 'x'",
            r"files\[1\]\.added 'x': input should be a valid integer",
        ),
        (
            "[[files]]\npath = 'a'\nadded = 1.5",
            r"files\[1\]\.added 1.5: input should be a",
        ),
        ("[setup]\nfirst_words = '3'", "setup.first_words '3': input should be a valid integer"),
        ("[setup]\nsequential = 'yes'", "setup.sequential 'yes': input should be a valid boolean"),
        ("[score]\nquality = 12", "score.quality 12: input should be less than or equal to 10"),
        ("[score]\ntotal = 51", "score.total 51: input should be less than or equal to 50"),
        ("title = 3", "title 3: write a text, or one in each language"),
        ("title = { en = 'a' }", "title.fr: field required"),
        ("title = { en = 'a', fr = 3 }", "title.fr 3: input should be a valid string"),
        ("[[changes]]\ntext = 'a'", r"changes\[1\]\.title: field required"),
        ("[[changes]]\ntitle = 'a'\nlanguage = 'a b'", "'a b': string should match pattern"),
        (
            "[[first_chunks]]\ntext = 'a'\nfirst_byte_ms = 'b'",
            "'b': input should be",
        ),
        ("[reported]\nwell = [1]", r"reported.well\[1\] 1: write a text"),
        ("[", "not valid TOML"),
    ],
)
def test_an_invalid_import_is_an_error_in_one_sentence(
    tmp_path: Path, content: str, sentence: str
) -> None:
    with pytest.raises(UsageError, match=sentence) as error:
        read(tmp_path, content)
    assert "mine.toml" in str(error.value)
    assert "\n" not in str(error.value) or "not valid TOML" in sentence


def test_a_text_in_one_language_stands_for_both(tmp_path: Path) -> None:
    sprint = read(tmp_path, "title = 'Vite'\nclosing = { en = 'Done.', fr = 'Fini.' }")
    assert sprint.title == Text("Vite", "Vite")
    assert sprint.closing == Text("Done.", "Fini.")


def test_a_day_and_a_moment_are_written_as_iso_8601(tmp_path: Path) -> None:
    for written, read_back in (
        ("2026-01-21", "2026-01-21"),
        ("2026-01-21T05:14:00Z", "2026-01-21T05:14:00Z"),
        ("2026-01-21T05:14:00+01:00", "2026-01-21T05:14:00+01:00"),
        ("'some day'", "some day"),
    ):
        assert read(tmp_path, f"started = {written}").started_at == read_back


RUNS = "[[runs]]\nfirst_audio_ms = 250\n[[runs]]\nfirst_audio_ms = 350\n"


@pytest.mark.parametrize(
    ("reported", "known"),
    [
        ("[250, 350]", {"mean": 300.0, "min": 250.0, "max": 350.0, "p50": 300.0}),
        ("[250, 351]", {"min": 250.0, "max": 351.0}),
        ("300", {"mean": 300.0, "min": 250.0, "max": 350.0, "p50": 300.0, "": 300.0}),
        ("310", {"": 310.0}),
    ],
)
def test_runs_that_agree_with_the_reported_figure_tell_its_other_statistics(
    tmp_path: Path, reported: str, known: dict[str, float]
) -> None:
    sprint = read(tmp_path, f"{RUNS}[figures]\nfirst_audio_ms = {reported}")
    (reading,) = [one for one in sprint.readings if one.metric == "first_audio"]
    assert reading.known == known
    assert reading.count == (2 if "p50" in known else None)


def test_a_target_without_a_figure_is_a_row_without_one(tmp_path: Path) -> None:
    sprint = read(tmp_path, "")
    assert [(one.metric, one.value) for one in sprint.readings] == [
        ("llm_total", None),
        ("tts_ttfb", None),
        ("first_audio", None),
    ]
