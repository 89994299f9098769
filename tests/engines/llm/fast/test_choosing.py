from __future__ import annotations

import ctypes
import dataclasses
from collections.abc import Callable
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
import torch

from voicebench.engines.llm.agreement import Quality, Turn
from voicebench.engines.llm.fast import choosing
from voicebench.engines.llm.fast.calibration import turn_time
from voicebench.engines.llm.fast.choosing import DecoderOption, Model, choose_decoder, say_nothing
from voicebench.engines.llm.fast.decoder_trial import trial_model
from voicebench.engines.llm.fast.decoder_weights import Weights
from voicebench.engines.llm.fast.engine import Decoder
from voicebench.engines.llm.fast.findings import Findings
from voicebench.engines.llm.fast.kernels import Precision, plain
from voicebench.engines.llm.fast.model_shape import Shape, Unsupported
from voicebench.engines.llm.fast.torch_decoder import TorchDecoder
from voicebench.engines.native.library import NoLibrary
from voicebench.errors import SettingsError

CPU = torch.device("cpu")
GOOD, BAD = Quality(0.99, 0.001, 100), Quality(0.9, 0.5, 100)


@pytest.fixture
def findings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Findings:
    monkeypatch.setenv("VOICEBENCH_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"weights")
    return Findings(folder, device="cpu", threads=1)


@pytest.fixture
def model(findings: Findings) -> Model:
    shape, weights = trial_model()
    turns = [
        Turn([1, 2, 3, 4], 2, [5, 6, 7]),
        Turn([1, 2, 9], 2, [9, 9]),
        Turn([1, 2, 8], 2, [9]),
    ]
    return Model(shape, weights, "cpu", lambda: turns, findings)


def offer(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Offer candidates whose speed and quality a test has put into the findings."""

    def candidate(name: str, precision: Precision) -> DecoderOption:
        def build(shape: Shape, weights: Weights) -> TorchDecoder:
            decoder = TorchDecoder(shape, weights, plain("fp32"), CPU)
            decoder.name = name
            return decoder

        return DecoderOption(name, precision, build)

    offered = [candidate(name, name.split()[1]) for name in names]
    monkeypatch.setattr(choosing, "candidates_of", lambda *_: offered)


def choose(model: Model, precision: str = "auto", kernels: str = "auto") -> Decoder:
    return choose_decoder(model, precision=precision, kernels=kernels, threads=1)


def test_auto_takes_the_fastest_whose_quality_passes(
    monkeypatch: pytest.MonkeyPatch, model: Model
) -> None:
    offer(monkeypatch, "slow fp32", "fast int8", "middle bf16")
    speeds = {"fast int8": 1.0, "middle bf16": 2.0, "slow fp32": 3.0}
    for name, milliseconds in speeds.items():
        model.findings.add_speed(name, milliseconds)
    model.findings.add_quality("fast int8", BAD)
    model.findings.add_quality("middle bf16", GOOD)
    assert choose(model).name == "middle bf16"
    model.findings.add_quality("fast int8", GOOD)
    assert choose(model).name == "fast int8"


def test_auto_needs_no_quality_measured_for_float32(
    monkeypatch: pytest.MonkeyPatch, model: Model
) -> None:
    offer(monkeypatch, "slow int8", "fast fp32")
    model.findings.add_speed("slow int8", 2.0)
    model.findings.add_speed("fast fp32", 1.0)
    assert choose(model).name == "fast fp32"
    assert model.findings.quality("fast fp32") is None


def test_a_quality_that_is_not_known_is_measured_once_and_kept(
    monkeypatch: pytest.MonkeyPatch, model: Model
) -> None:
    offer(monkeypatch, "only int8")
    assert choose(model).name == "only int8"
    measured = model.findings.quality("only int8")
    assert measured.agreement == 1.0
    assert measured.divergence == pytest.approx(0.0, abs=1e-6)
    assert measured.positions == 4
    monkeypatch.setattr(choosing, "compare", lambda *_: pytest.fail("measured again"))
    assert choose(model).name == "only int8"


def test_a_precision_that_is_asked_for_is_taken_whatever_its_quality(
    monkeypatch: pytest.MonkeyPatch, model: Model
) -> None:
    offer(monkeypatch, "a int8", "b bf16")
    model.findings.add_quality("a int8", BAD)
    assert choose(model, precision="int8").name == "a int8"


def test_nothing_that_passes_leaves_float32(monkeypatch: pytest.MonkeyPatch, model: Model) -> None:
    offer(monkeypatch, "only int8")
    model.findings.add_quality("only int8", BAD)
    assert choose(model) is model.exact


def test_a_precision_that_a_device_does_not_have_is_refused(
    monkeypatch: pytest.MonkeyPatch, model: Model
) -> None:
    offer(monkeypatch, "only int8")
    with pytest.raises(SettingsError, match="no precision bf16; write auto"):
        choose(model, precision="bf16")


def test_a_candidate_whose_sizes_do_not_suit_is_passed_over(
    monkeypatch: pytest.MonkeyPatch, model: Model
) -> None:
    offer(monkeypatch, "odd int8", "plain fp32")
    odd = choosing.candidates_of()

    def refuse(shape: Shape, weights: Weights) -> None:
        raise Unsupported("odd sizes")

    odd[0] = dataclasses.replace(odd[0], build=refuse)
    assert choose(model).name == "plain fp32"
    with pytest.raises(Unsupported, match="odd sizes"):
        choose(model, precision="int8")


def test_a_large_model_keeps_the_numbers_it_is_stored_in_until_measured(
    monkeypatch: pytest.MonkeyPatch, model: Model
) -> None:
    monkeypatch.setattr(choosing, "MEASURED_IN_PASSING", 10)
    stored = tuple(
        dataclasses.replace(layer, output=layer.output.astype(ml_dtypes.bfloat16))
        for layer in model.weights.layers
    )
    model.weights = dataclasses.replace(model.weights, layers=stored)
    offer(monkeypatch, "a int8", "b bf16", "c fp32")
    for milliseconds, name in enumerate(("a int8", "b bf16", "c fp32")):
        model.findings.add_speed(name, milliseconds)
    assert choose(model).name == "b bf16"
    model.findings.add_quality("a int8", GOOD)
    assert choose(model).name == "a int8"


def test_the_cpu_offers_a_native_decoder_and_torchs_products(c_library: ctypes.CDLL) -> None:
    names = [candidate.name for candidate in choosing.candidates_of("cpu", "auto", 1)]
    assert names[0] == "native int8"
    assert "plain fp32" in names
    native = choosing.candidates_of("cpu", "native", 1)
    assert [candidate.name for candidate in native] == ["native int8"]
    assert "native int8" not in [one.name for one in choosing.candidates_of("cpu", "torch", 1)]


def test_without_a_compiler_the_cpu_offers_torchs_products(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_compiler(*_: object) -> None:
        raise NoLibrary("there is no C compiler")

    monkeypatch.setattr(choosing, "tried_library", no_compiler)
    names = [candidate.name for candidate in choosing.candidates_of("cpu", "auto", 1)]
    assert "native int8" not in names
    assert "plain fp32" in names
    assert list(choosing.candidates_of("cpu", "native", 1)) == []


def test_a_turn_takes_time_and_a_decoder_that_cannot_be_built_forever() -> None:
    shape, weights = trial_model()

    def build(shape: Shape, weights: Weights) -> TorchDecoder:
        assert shape.layers == len(weights.layers) <= 8
        return TorchDecoder(shape, weights, plain("fp32"), CPU)

    def refuse(shape: Shape, weights: Weights) -> None:
        raise Unsupported("no")

    assert 0 < turn_time(build, shape, weights) < float("inf")
    assert turn_time(refuse, shape, weights) == float("inf")


def test_findings_are_kept_between_runs_and_belong_to_model_and_machine(
    findings: Findings, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    findings.add_speed("a", 1.5)
    findings.add_quality("a", GOOD)
    again = Findings(folder, device="cpu", threads=1)
    assert again.speed("a") == 1.5
    assert again.quality("a") == GOOD
    more_threads = Findings(folder, device="cpu", threads=2)
    assert more_threads.speed("a") is None
    assert more_threads.quality("a") == GOOD
    (folder / "model.safetensors").write_bytes(b"other weights")
    assert Findings(folder, device="cpu", threads=1).speed("a") is None


def test_a_broken_findings_file_is_as_none(findings: Findings, tmp_path: Path) -> None:
    findings.add_speed("a", 1.5)
    (file,) = Path(tmp_path / "cache" / "findings").iterdir()
    changed = file.read_text().replace("1.5", "0.5")
    for content in ("{", "[]", '{"speed": 3, "quality": {"a": {"x": 1}}}', changed):
        file.write_text(content)
        again = Findings(tmp_path / "model", device="cpu", threads=1)
        assert again.speed("a") is None
        assert again.quality("a") is None


def test_a_cache_that_cannot_be_written_costs_nothing_but_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("VOICEBENCH_CACHE", str(tmp_path / "file"))
    findings = Findings(tmp_path, device="cpu", threads=1)
    findings.add_speed("a", 1.5)
    findings.add_prefix([1], np.zeros(1, np.float32), np.zeros(1, np.float32))
    assert findings.speed("a") == 1.5
    assert findings.prefix([1], say_nothing) is None


@pytest.mark.parametrize(
    "damage", [lambda b: b[:-9], lambda b: b[:-8] + b"\0\0\0\1" * 2, lambda b: b""]
)
def test_a_damaged_state_of_the_prefix_is_said_and_made_anew(
    model: Model, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    keys, values = model.kept([1, 2, 3])
    (file,) = (tmp_path / "cache" / "prefixes").rglob("*.state")
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    said = []
    model.say = said.append
    again = model.kept([1, 2, 3])
    assert said == ["the kept state of the system prompt is damaged in the cache, and is made anew"]
    assert np.array_equal(again[0], keys)
    assert np.array_equal(again[1], values)
    assert file.read_bytes() == whole


def test_the_exact_prefix_is_kept_with_its_ids(model: Model) -> None:
    keys, values = model.kept([1, 2, 3])
    assert keys.shape == (2, 2, 3, 16)
    again = model.findings.prefix([1, 2, 3], say_nothing)
    assert np.array_equal(again[0], keys)
    assert np.array_equal(again[1], values)
    assert model.findings.prefix([1, 2], say_nothing) is None


def test_only_the_latest_prefixes_are_kept(findings: Findings) -> None:
    for number in range(20):
        findings.add_prefix([number], np.zeros(1, np.float32), np.zeros(1, np.float32))
    kept = [number for number in range(20) if findings.prefix([number], say_nothing) is not None]
    assert len(kept) == 16
    assert 19 in kept
