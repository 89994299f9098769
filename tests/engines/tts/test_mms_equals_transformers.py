"""An MMS voice in our network is transformers' own: same weights, same noise, same waveform."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from drawn_voices import FixedNoise, spoken_at_once, write_mms_voice
from numpy.typing import NDArray
from transformers import VitsModel, VitsTokenizer

from voicebench.engines.tts.characters import read_characters
from voicebench.engines.tts.mms import open_vits_folder
from voicebench.engines.tts.vits.arithmetic import Arithmetic
from voicebench.engines.tts.voice import Voice

KINDS: dict[str, Any] = {
    "one speaker": {},
    "two speakers, older names of weight norm": {
        "num_speakers": 2,
        "speaker_embedding_size": 5,
        "legacy_names": True,
    },
    "plain durations, even kernel in the text encoder": {
        "use_stochastic_duration_prediction": False,
        "ffn_kernel_size": 4,
    },
}


@dataclass(frozen=True)
class Spoken:
    """A voice, and what transformers makes of it: samples, and the noise that it drew."""

    folder: Path
    symbols: list[int]
    speaker: int | None
    durations: NDArray[np.float32]
    frames: NDArray[np.float32]
    samples: NDArray[np.float32]


@pytest.fixture(scope="module", params=KINDS)
def spoken(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Spoken:
    """Have transformers speak with a voice of each kind."""
    settings = KINDS[request.param]
    folder = write_mms_voice(tmp_path_factory.mktemp("mms"), **settings)
    symbols = next(read_characters(folder).symbols("hello my friend, it's ok"))
    speaker = 1 if "num_speakers" in settings else None
    draws: list[torch.Tensor] = []
    originals = {name: getattr(torch, name) for name in ("randn", "randn_like")}

    def recorded(name: str) -> Callable[..., torch.Tensor]:
        def draw(*args: object, **options: object) -> torch.Tensor:
            draws.append(originals[name](*args, **options))
            return draws[-1]

        return draw

    reference = VitsModel.from_pretrained(folder).eval()
    # With other noise a length may lie on the edge of a whole frame, and rounding alone tips it.
    torch.manual_seed(0)
    with pytest.MonkeyPatch.context() as patched, torch.inference_mode():
        for name in originals:
            patched.setattr(torch, name, recorded(name))
        samples = reference(torch.tensor([symbols]), speaker_id=speaker).waveform[0].numpy()
    *durations, frames = draws
    return Spoken(
        folder,
        symbols,
        speaker,
        durations[0][0].t().numpy() if durations else np.zeros((len(symbols), 2), np.float32),
        frames[0].t().numpy(),
        samples,
    )


@pytest.mark.usefixtures("own_cache")
def test_a_voice_equals_transformers(
    spoken: Spoken, exactly: Callable[[Voice], Arithmetic]
) -> None:
    voice = open_vits_folder(spoken.folder)
    assert next(voice.symbols("hello my friend, it's ok")) == spoken.symbols
    manner = replace(voice.manner, speaker=spoken.speaker)
    arithmetic = exactly(replace(voice, manner=manner))
    noise = FixedNoise(spoken.durations, spoken.frames)
    ours, theirs = spoken_at_once(arithmetic, spoken.symbols, manner, noise), spoken.samples
    assert np.abs(theirs).max() > 0.01
    assert ours.shape == theirs.shape
    assert np.corrcoef(ours, theirs)[0, 1] > 0.999
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


@pytest.mark.usefixtures("own_cache")
@pytest.mark.parametrize(
    "text", ["Hello, World!", "It's 5 o'clock — über-cool", "  spaces  ", "A|b", "co-operate"]
)
def test_characters_become_the_symbols_of_transformers_tokenizer(
    text: str, mms_folder: Path
) -> None:
    theirs = VitsTokenizer.from_pretrained(mms_folder)(text)["input_ids"]
    assert list(open_vits_folder(mms_folder).symbols(text)) == [theirs]
