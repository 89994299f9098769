"""`voicebench run` on the embedded models: a real reply, a real voice, real figures."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from wav_files import read_wav

from voicebench.audio.pcm import first_audible_sample
from voicebench.figures.call_metrics import CALL_METRICS
from voicebench.figures.metrics import BY_NAME, compute
from voicebench.results.batches import stream_turns
from voicebench.results.folder import audio_file
from voicebench.results.run import RecordedRun, read_run
from voicebench.turn.timeline import Timeline

pytestmark = [pytest.mark.models, pytest.mark.slow]


def run(results: Path, *more: str) -> RecordedRun:
    """Measure two turns in a fresh process and return what it recorded."""
    command = [sys.executable, "-m", "voicebench", "run", "--results", str(results)]
    options = ["--runs", "2", "--warmup", "1", "--no-gate", "--json", *more]
    done = subprocess.run([*command, *options], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["turns"]["failed"] == 0
    return read_run(Path(document["run"]["folder"]))


def all_turns(run: RecordedRun) -> list[Timeline]:
    return list(stream_turns(run.path))


def measured(run: RecordedRun) -> list[Timeline]:
    return [turn for turn in stream_turns(run.path) if turn.phase == "measured"]


@pytest.fixture(scope="module")
def overlapped(tmp_path_factory: pytest.TempPathFactory) -> RecordedRun:
    return run(tmp_path_factory.mktemp("overlap"), "--save-audio")


@pytest.fixture(scope="module")
def sequential(tmp_path_factory: pytest.TempPathFactory) -> RecordedRun:
    return run(tmp_path_factory.mktemp("sequential"), "--sequential")


def test_a_cold_a_warm_and_the_measured_turns_are_kept_apart(overlapped: RecordedRun) -> None:
    phases = [turn.phase for turn in stream_turns(overlapped.path)]
    assert phases == ["cold", "warmup", "measured", "measured"]
    assert overlapped.complete


@pytest.mark.usefixtures("c_library", "overlapped")
def test_a_run_in_c_does_not_wait_for_torch(tmp_path: Path) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "voicebench", "run", "--no-gate"]
    options = ["--runs", "1", "--warmup", "0", "--results", str(tmp_path)]
    done = subprocess.run([*command, *options], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "voicebench.engines.llm.fast.native_decoder" in imported
    assert not imported & {"torch", "transformers", "onnx", "pandas"}


def test_every_metric_an_in_process_target_can_show_is_there(overlapped: RecordedRun) -> None:
    over_a_wire = {"connect_ms", "connection_reused", "first_byte_ms"} | {
        name for name in BY_NAME if name.startswith(("server_", "transport_"))
    }
    under_load = {"late_ms", "client_lag_ms", "setup_ms"} | {
        name for name in BY_NAME if name.endswith("_due_ms")
    }
    of_interruptions = {"stop_ms", "wasted_audio_s", "interrupting_first_audio_ms"}
    of_calls = {metric.name for metric in CALL_METRICS}
    for turn in measured(overlapped):
        missing = {name for name, value in compute(turn).items() if value is None}
        others = over_a_wire | under_load | of_interruptions | of_calls
        assert missing == others | {"speaker_ms"}


def test_nothing_is_left_unattributed(overlapped: RecordedRun, sequential: RecordedRun) -> None:
    for turn in (*all_turns(overlapped), *all_turns(sequential)):
        residual = compute(turn)["unattributed_ms"]
        assert residual is not None
        assert abs(residual) < 1


def test_the_chunks_spoken_are_the_reply(overlapped: RecordedRun) -> None:
    for turn in all_turns(overlapped):
        assert "".join(chunk.text for chunk in turn.chunks) == turn.reply


def test_speech_begins_while_the_reply_is_still_being_written(overlapped: RecordedRun) -> None:
    long_replies = [turn for turn in all_turns(overlapped) if len(turn.chunks) > 1]
    assert long_replies
    for turn in long_replies:
        assert turn.audio[0].at_ns < turn.tokens[-1].at_ns


def test_sequential_waits_for_the_whole_reply(sequential: RecordedRun) -> None:
    for turn in all_turns(sequential):
        assert turn.chunks[0].at_ns >= turn.tokens[-1].at_ns


def test_both_ways_give_the_same_reply(overlapped: RecordedRun, sequential: RecordedRun) -> None:
    assert [turn.reply for turn in all_turns(overlapped)] == [
        turn.reply for turn in all_turns(sequential)
    ]


def test_samples_leave_before_a_chunk_is_complete(overlapped: RecordedRun) -> None:
    """Within the first text chunk, audio comes in several pieces."""
    for turn in measured(overlapped):
        end = turn.chunks[1].at_ns if len(turn.chunks) > 1 else turn.end_ns
        assert sum(arrival.at_ns <= end for arrival in turn.audio) >= 2


def test_the_saved_audio_is_what_was_measured(overlapped: RecordedRun) -> None:
    for turn in measured(overlapped):
        file = audio_file(overlapped.path, turn.turn)
        assert file is not None
        pcm, rate = read_wav(file)
        assert turn.sound is not None
        assert rate == turn.sound.sample_rate
        assert pcm.size == sum(arrival.samples for arrival in turn.audio)
        onset = first_audible_sample(pcm, rate)
        assert onset is not None
        assert turn.sound.first_audible_sample is not None
        assert abs(onset - turn.sound.first_audible_sample) <= rate // 1000
