from __future__ import annotations

import ctypes
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Never, cast

import ml_dtypes
import numpy as np
import pytest
import torch

from voicebench.engines.llm.agreement import Quality, Turn
from voicebench.engines.llm.fast import choosing
from voicebench.engines.llm.fast.choosing import DecoderOption, Model, choose_decoder
from voicebench.engines.llm.fast.decoder_trial import trial_model
from voicebench.engines.llm.fast.decoder_weights import Weights
from voicebench.engines.llm.fast.engine import Decoder
from voicebench.engines.llm.fast.findings import Findings
from voicebench.engines.llm.fast.kernels import Precision, plain
from voicebench.engines.llm.fast.model_shape import Shape, Unsupported
from voicebench.engines.llm.fast.torch_decoder import TorchDecoder
from voicebench.engines.models.fetch_progress import say_nothing
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
    return Findings(folder, device="cpu")


@pytest.fixture
def model(findings: Findings) -> Model:
    shape, weights = trial_model()
    turns = [
        Turn([1, 2, 3, 4], 2, [5, 6, 7]),
        Turn([1, 2, 9], 2, [9, 9]),
        Turn([1, 2, 8], 2, [9]),
    ]
    return Model(shape, weights, "cpu", lambda: turns, findings)


class Named(TorchDecoder):
    def __init__(self, name: str, shape: Shape, weights: Weights) -> None:
        super().__init__(shape, weights, plain("fp32"), CPU)
        self.name = name


def offer(monkeypatch: pytest.MonkeyPatch, *names: str) -> list[DecoderOption]:
    """Put options of these names in the table, the fastest first."""

    def option(name: str, precision: str) -> DecoderOption:
        def build(shape: Shape, weights: Weights) -> TorchDecoder:
            return Named(name, shape, weights)

        return DecoderOption(name, cast(Precision, precision), build)

    offered = [option(name, name.split()[1]) for name in names]
    monkeypatch.setattr(choosing, "decoder_options", lambda *_: offered)
    return offered


def choose(model: Model, precision: str = "auto", kernels: str = "auto") -> Decoder:
    return choose_decoder(model, precision=precision, kernels=kernels, threads=1)


def chosen(model: Model, precision: str = "auto") -> str:
    """Return the name of the offered decoder that is chosen."""
    decoder = choose(model, precision)
    assert isinstance(decoder, Named)
    return decoder.name


def test_auto_takes_the_fastest_whose_quality_passes(
    monkeypatch: pytest.MonkeyPatch, model: Model
) -> None:
    offer(monkeypatch, "fast int8", "middle bf16", "slow fp32")
    model.findings.add_quality("fast int8", BAD)
    model.findings.add_quality("middle bf16", GOOD)
    assert chosen(model) == "middle bf16"
    model.findings.add_quality("fast int8", GOOD)
    assert chosen(model) == "fast int8"


def test_auto_needs_no_quality_measured_for_float32(
    monkeypatch: pytest.MonkeyPatch, model: Model
) -> None:
    offer(monkeypatch, "fast fp32", "slow int8")
    assert chosen(model) == "fast fp32"
    assert model.findings.quality("fast fp32") is None


def test_a_quality_that_is_not_known_is_measured_once_and_kept(
    monkeypatch: pytest.MonkeyPatch, model: Model
) -> None:
    offer(monkeypatch, "only int8")
    assert chosen(model) == "only int8"
    measured = model.findings.quality("only int8")
    assert measured is not None
    assert measured.agreement == 1.0
    assert measured.divergence == pytest.approx(0.0, abs=1e-6)
    assert measured.positions == 4
    monkeypatch.setattr(choosing, "compare", lambda *_: pytest.fail("measured again"))
    assert chosen(model) == "only int8"


def test_a_precision_that_is_asked_for_is_taken_whatever_its_quality(
    monkeypatch: pytest.MonkeyPatch, model: Model
) -> None:
    offer(monkeypatch, "a int8", "b bf16")
    model.findings.add_quality("a int8", BAD)
    assert chosen(model, "int8") == "a int8"


def test_nothing_that_passes_leaves_float32(monkeypatch: pytest.MonkeyPatch, model: Model) -> None:
    offer(monkeypatch, "only int8", "exact fp32")
    model.findings.add_quality("only int8", BAD)
    assert chosen(model) == "exact fp32"
    offer(monkeypatch, "only int8")
    with pytest.raises(SettingsError, match="change the replies of this model too much"):
        choose(model)


def test_what_is_slower_than_float32_is_taken_only_on_request(
    monkeypatch: pytest.MonkeyPatch, model: Model
) -> None:
    offer(monkeypatch, "slow bf16", "plain fp32")
    options = choosing.decoder_options("cpu", "auto", 1)
    options[0] = dataclasses.replace(options[0], on_request=True)
    assert chosen(model) == "plain fp32"
    assert chosen(model, "bf16") == "slow bf16"


def test_a_precision_that_a_device_does_not_have_is_refused(
    monkeypatch: pytest.MonkeyPatch, model: Model
) -> None:
    offer(monkeypatch, "only int8")
    with pytest.raises(SettingsError, match="no precision bf16; write auto"):
        choose(model, precision="bf16")


def test_a_candidate_whose_sizes_do_not_suit_is_passed_over(
    monkeypatch: pytest.MonkeyPatch, model: Model
) -> None:
    offered = offer(monkeypatch, "odd int8", "plain fp32")

    def refuse(shape: Shape, weights: Weights) -> Never:
        raise Unsupported("odd sizes")

    offered[0] = dataclasses.replace(offered[0], build=refuse)
    assert chosen(model) == "plain fp32"
    with pytest.raises(Unsupported, match="odd sizes"):
        choose(model, precision="int8")


def test_a_large_model_keeps_the_numbers_it_is_stored_in_until_measured(
    monkeypatch: pytest.MonkeyPatch, model: Model
) -> None:
    monkeypatch.setattr(choosing, "LARGEST_MEASURED", 10)
    stored = tuple(
        dataclasses.replace(layer, output=layer.output.astype(ml_dtypes.bfloat16))
        for layer in model.weights.layers
    )
    model.weights = dataclasses.replace(model.weights, layers=stored)
    offer(monkeypatch, "a int8", "b bf16", "c fp32")
    assert chosen(model) == "b bf16"
    model.findings.add_quality("a int8", GOOD)
    assert chosen(model) == "a int8"


TORCH_ON_A_CPU = [
    *("weight-only int8", "packed fp16", "packed bf16", "packed fp32"),
    *("plain fp32", "plain bf16", "plain fp16"),
]


@pytest.mark.parametrize(
    ("device", "kernels", "expected"),
    [
        ("cpu", "auto", ["native int8", *TORCH_ON_A_CPU]),
        ("cpu", "native", ["native int8"]),
        ("cpu", "torch", TORCH_ON_A_CPU),
        ("cuda:0", "auto", ["graphed fp16", "graphed bf16", "graphed fp32"]),
        ("mps", "auto", ["plain fp16", "plain bf16", "plain fp32"]),
    ],
)
def test_the_table_names_the_decoders_of_a_device_the_fastest_first(
    device: str, kernels: str, expected: list[str]
) -> None:
    options = choosing.decoder_options(device, kernels, threads=1)
    assert [option.name for option in options] == expected


@pytest.mark.parametrize("has_bfloat16", [True, False])
def test_bfloat16_is_for_processors_that_multiply_it(
    monkeypatch: pytest.MonkeyPatch, has_bfloat16: bool
) -> None:
    monkeypatch.setattr(choosing, "cpu_has_bfloat16", lambda: has_bfloat16)
    options = choosing.decoder_options("cpu", "torch", 1)
    slow = {option.name for option in options if option.on_request}
    assert slow == {"plain bf16", "plain fp16"} | (set() if has_bfloat16 else {"packed bf16"})


def test_the_decoder_in_c_is_taken_first(model: Model, c_library: ctypes.CDLL) -> None:
    model.findings.add_quality("native int8", GOOD)
    assert str(choose(model).describe()["kernels"]).startswith("native")


def test_without_a_compiler_torch_computes_and_the_reason_is_kept(
    monkeypatch: pytest.MonkeyPatch, model: Model
) -> None:
    def no_compiler(*_: object) -> None:
        raise NoLibrary("there is no C compiler")

    monkeypatch.setattr(choosing, "tried_library", no_compiler)
    model.findings.add_quality("weight-only int8", BAD)
    model.findings.add_quality("packed fp16", GOOD)
    assert isinstance(choose(model), TorchDecoder)
    assert str(model.no_library) == "there is no C compiler"
    with pytest.raises(SettingsError, match="there is no C compiler"):
        choose(model, kernels="native")


def test_findings_are_kept_between_runs_and_belong_to_model_and_machine(
    findings: Findings, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    findings.add_quality("a", GOOD)
    again = Findings(folder, device="cpu")
    assert again.quality("a") == GOOD
    assert again.quality("b") is None
    (folder / "model.safetensors").write_bytes(b"other weights")
    assert Findings(folder, device="cpu").quality("a") is None


def test_a_broken_findings_file_is_as_none(findings: Findings, tmp_path: Path) -> None:
    findings.add_quality("a", GOOD)
    (file,) = Path(tmp_path / "cache" / "findings").iterdir()
    changed = file.read_text().replace("0.99", "0.98")
    for content in ("{", "[]", '{"speed": 3, "quality": {"a": {"x": 1}}}', changed):
        file.write_text(content)
        again = Findings(tmp_path / "model", device="cpu")
        assert again.quality("a") is None


def test_a_cache_that_cannot_be_written_costs_nothing_but_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("VOICEBENCH_CACHE", str(tmp_path / "file"))
    findings = Findings(tmp_path, device="cpu")
    findings.add_quality("a", GOOD)
    findings.add_prefix([1], np.zeros(1, np.float32), np.zeros(1, np.float32))
    assert findings.quality("a") is None
    assert findings.prefix([1], say_nothing) is None


@pytest.mark.parametrize(
    "damage", [lambda b: b[:-9], lambda b: b[:-8] + b"\0\0\0\1" * 2, lambda b: b""]
)
def test_a_damaged_state_of_the_prefix_is_said_and_made_anew(
    model: Model, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    keys, values = model.exact_prefix([1, 2, 3])
    (file,) = (tmp_path / "cache" / "prefixes").rglob("*.state")
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    said: list[str] = []
    model.say = said.append
    again = model.exact_prefix([1, 2, 3])
    assert said == [
        "the saved state of the system prompt is damaged in the cache; computing it again"
    ]
    assert np.array_equal(again[0], keys)
    assert np.array_equal(again[1], values)
    assert file.read_bytes() == whole


def test_the_exact_prefix_is_kept_with_its_ids(model: Model) -> None:
    keys, values = model.exact_prefix([1, 2, 3])
    assert keys.shape == (2, 2, 3, 16)
    again = model.findings.prefix([1, 2, 3], say_nothing)
    assert again is not None
    assert np.array_equal(again[0], keys)
    assert np.array_equal(again[1], values)
    assert model.findings.prefix([1, 2], say_nothing) is None


def test_only_the_latest_prefixes_are_kept(findings: Findings) -> None:
    for number in range(20):
        findings.add_prefix([number], np.zeros(1, np.float32), np.zeros(1, np.float32))
    kept = [number for number in range(20) if findings.prefix([number], say_nothing) is not None]
    assert len(kept) == 16
    assert 19 in kept
