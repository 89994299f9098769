from __future__ import annotations

import shutil
import sys
from datetime import datetime
from pathlib import Path

import pytest
from drawn_turns import drawn_turn

from benchmarks.first_audio import llama
from benchmarks.first_audio.bandwidth import Bandwidth, measure
from benchmarks.first_audio.growth import prompt_of
from benchmarks.first_audio.onnx_voice import FIRST_FRAMES, MOST_FRAMES, window_bounds
from benchmarks.first_audio.stages import tokens_to_first_chunk
from benchmarks.first_audio.startup import since


def test_the_floor_is_bytes_over_the_larger_rate() -> None:
    assert Bandwidth(read=8e9, copy=10e9).floor_ms(100e6) == pytest.approx(10)


def test_a_bandwidth_is_more_than_nothing() -> None:
    found = measure(block_bytes=2**20, passes=2)
    assert found.read > 0
    assert found.copy > 0


def test_a_token_counts_for_the_first_chunk_up_to_its_hand_over() -> None:
    turn = drawn_turn(tokens=[10, 20, 30, 40], chunks=[30], audio=[(50, 100)])
    assert tokens_to_first_chunk(turn) == 3
    assert tokens_to_first_chunk(drawn_turn(tokens=[10])) == 0


def test_a_prompt_has_as_many_words_as_it_shall_have_tokens() -> None:
    assert len(prompt_of(16, "7").split()) == 16
    assert len(prompt_of(2000, "7").split()) == 2000
    assert prompt_of(16, "7") != prompt_of(16, "8")


@pytest.mark.parametrize("frames", [1, FIRST_FRAMES, FIRST_FRAMES + 1, 500])
def test_windows_cover_an_utterance_without_a_gap(frames: int) -> None:
    bounds = list(window_bounds(frames))
    assert bounds[0][0] == 0
    assert bounds[-1][1] == frames
    assert [stop for _, stop in bounds[:-1]] == [start for start, _ in bounds[1:]]
    assert max(stop - start for start, stop in bounds) <= MOST_FRAMES
    assert bounds[0][1] <= FIRST_FRAMES


def test_a_start_is_counted_from_the_process_s_own() -> None:
    cold = drawn_turn(audio=[(500, 100)], phase="cold")
    measured = drawn_turn(audio=[(100, 100)], turn=2)
    begun = datetime.fromisoformat(cold.started_at).timestamp() - 2.0
    found = since(begun, [cold, measured])
    assert found["first_audio_s"] == pytest.approx(2.5)
    assert found["first_measured_s"] == pytest.approx(2.0)
    assert found["cold_ms"] == pytest.approx(500)


def test_a_llama_that_ends_its_process_is_left_out_and_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(llama, "is_installed", lambda: True)
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    said = llama.why_not(tmp_path / "model.gguf")
    assert said is not None
    assert llama.WITHOUT_AMX in said
    monkeypatch.setattr(sys, "executable", shutil.which("true"))
    assert llama.why_not(tmp_path / "model.gguf") is None
    monkeypatch.setattr(llama, "is_installed", lambda: False)
    assert llama.INSTALL in str(llama.why_not(tmp_path / "model.gguf"))
