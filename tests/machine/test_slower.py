"""A slow way of computing that nobody asked for is named, in every place that people read."""

from __future__ import annotations

import pytest
from handmade import make_turn

from voicebench.engines.native.library import GET_A_COMPILER, NoLibrary
from voicebench.judging.advice import advise
from voicebench.judging.advice_sentences import Advice
from voicebench.judging.digest import digest_of
from voicebench.machine import devices
from voicebench.machine.slower import Slower, described, slower_engines, slower_in
from voicebench.report.head import notes_on

NO_COMPILER = NoLibrary("there is no C compiler").slower
ON_THE_CPU = Slower("computed on the CPU, though this machine has a GPU", "install another torch")
FAST = {"engine": "fast", "kernels": "native int8"}


def cascade(llm: Slower | None, tts: Slower | None) -> dict[str, object]:
    return {"target": "cascade", "llm": FAST | described(llm), "tts": FAST | described(tts)}


def test_a_description_gives_back_what_was_described() -> None:
    assert slower_in(described(NO_COMPILER)) == NO_COMPILER
    assert described(None) == {}


@pytest.mark.parametrize("target", [None, {}, [], {"llm": None}, {"llm": {"slower_because": 3}}])
def test_a_target_that_says_nothing_is_not_slow(target: object) -> None:
    assert slower_engines(target) == []


def test_engines_that_are_slow_for_one_reason_share_a_sentence() -> None:
    [(told, remedy)] = slower_engines(cascade(NO_COMPILER, NO_COMPILER))
    assert told == (
        "the language model and the voice are computed in torch, several times slower than in C: "
        "there is no C compiler"
    )
    assert remedy == GET_A_COMPILER


def test_engines_that_are_slow_for_two_reasons_have_two() -> None:
    told = [told for told, _ in slower_engines(cascade(ON_THE_CPU, NO_COMPILER))]
    assert [sentence.split(" is ")[0] for sentence in told] == ["the language model", "the voice"]


def test_the_head_of_every_report_and_the_advice_name_it() -> None:
    environment = {"target": cascade(None, NO_COMPILER), "cores": 2, "load_1min": 0.1}
    turns = [make_turn(number) for number in range(1, 4)]
    [(told, remedy)] = slower_engines(environment["target"])
    assert told in notes_on(environment)
    found = advise(digest_of(turns), [], environment)
    assert Advice(told, remedy, "slow computing") in found
    assert notes_on({"target": cascade(None, None)}) == []


@pytest.mark.parametrize(
    ("has_cuda", "said"), [(False, "is built without CUDA"), (True, "cannot use it")]
)
def test_a_gpu_that_stays_unused_is_named(
    has_cuda: bool, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "cuda_device_count", lambda: 1)
    monkeypatch.setattr(devices, "_torch_has_cuda", lambda: has_cuda)
    slower = devices.unused_gpu("auto", "cpu")
    assert slower is not None
    assert slower.because.endswith(said)
    # The CPU that was asked for, and the GPU that is used, are no surprise.
    assert devices.unused_gpu("cpu", "cpu") is None
    assert devices.unused_gpu("auto", "cuda:0") is None
    monkeypatch.setattr(devices, "cuda_device_count", lambda: 0)
    assert devices.unused_gpu("auto", "cpu") is None
