"""What fast arithmetic costs in quality, measured on purpose: `voicebench doctor --quality`.

Three figures, each on texts that nothing was tuned on:

- the language model: at how many positions it would go on as in float32, and how far its
  distributions are from those (`voicebench.engines.llm.agreement`);
- the voice: how far, in dB, its samples are above their error against a float32 decoder;
- speech: how many words an offline recogniser mishears, spoken at once, in chunks, and streamed,
  with the arithmetic that is in use and in float32 (`voicebench.engines.tts.intelligibility`).

What ``auto`` may choose has to reach the limits named here and in those modules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from voicebench.errors import ModelError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from voicebench.engines.tts.intelligibility import WordErrors
    from voicebench.engines.tts.synthesizer import LocalSynthesizer
    from voicebench.settings import Settings

Say = Callable[[str], None]

SNR_SENTENCES = 5
"""Sentences over which the samples of two number formats are compared."""

WORD_ERROR_MARGIN = 0.02
"""By how much one way of speaking may be misheard more often than another. In forty sentences, some
400 words, the recogniser's own wavering moves the rate by that much: samples that differ by a
millionth were misheard at 15 and at 20 of 410 words."""

EXACTLY = "streamed in float32"
"""The way of speaking that tells what the arithmetic in use costs."""


@dataclass(frozen=True, slots=True)
class QualityFigure:
    """One thing that was measured: of what, in which form, the figures, whether they pass."""

    part: str
    form: str
    figures: dict[str, float]
    passes: bool
    limit: str

    def as_dict(self) -> dict[str, object]:
        """Return the finding for ``--json``."""
        return asdict(self)


def examine_quality(settings: Settings, sentences: int, say: Say) -> Iterator[QualityFigure]:
    """Measure the model and the voice that ``settings`` name; yield what is found as it is found.

    ``sentences`` are spoken for the recogniser, at most forty. Takes minutes. Raises what loading
    a model raises; `ModelError` where the recogniser is not installed.
    """
    yield from _language_model(settings, say)
    yield from _samples(settings, say)
    yield from _words(settings, sentences, say)


def signal_to_error_db(exact: NDArray[np.float32], rough: NDArray[np.float32]) -> float:
    """Return how far, in dB, the power of ``exact`` is above that of its difference to ``rough``.

    Both are (samples,); infinite where they are equal.
    """
    import numpy as np

    signal = np.square(exact, dtype=np.float64).sum()
    error = np.square(exact - rough, dtype=np.float64).sum()
    return float("inf") if error == 0 else float(10 * np.log10(signal / error))


def judged_words(found: dict[str, WordErrors]) -> list[QualityFigure]:
    """Judge the word errors of each way of speaking against those of one-shot speech.

    What is streamed is judged against the same in float32 too, where that was listened to.
    """
    findings = []
    for way, errors in found.items():
        against = ["one-shot"]
        if way == "streamed" and EXACTLY in found:
            against.append(EXACTLY)
        allowed = min(found[other].rate for other in against) + WORD_ERROR_MARGIN
        findings.append(
            QualityFigure(
                "speech",
                way,
                {"word_error_rate": errors.rate, "words": errors.words, "errors": errors.errors},
                errors.rate <= allowed,
                f"≤ {' and '.join(against)}, + {WORD_ERROR_MARGIN:.0%}",
            )
        )
    return findings


def _language_model(settings: Settings, say: Say) -> Iterator[QualityFigure]:
    from voicebench.engines.llm.agreement import LEAST_AGREEMENT, MOST_DIVERGENCE
    from voicebench.engines.llm.language_model import measure_quality

    llm = settings.llm
    try:
        measured = measure_quality(
            llm.model, device=settings.llm_device(), kernels=llm.kernels, say=say
        )
    except ModelError as error:
        say(error.message)
        return
    for one in measured:
        yield QualityFigure(
            "language model",
            one.name,
            {
                "agreement": one.quality.agreement,
                "divergence_nats": one.quality.divergence,
                "positions": one.quality.positions,
                "token_ms": one.token_ms,
            },
            one.quality.passes,
            f"agreement ≥ {LEAST_AGREEMENT:.0%}, divergence ≤ {MOST_DIVERGENCE} nats",
        )


def _samples(settings: Settings, say: Say) -> Iterator[QualityFigure]:
    import numpy as np

    from voicebench.engines.tts.fitting import LEAST_SNR_DB
    from voicebench.engines.tts.intelligibility import SENTENCES
    from voicebench.engines.tts.synthesizer import load_synthesizer

    def spoken(dtype: str) -> NDArray[np.float32]:
        say(f"speaking with a decoder of {dtype}")
        voice = load_synthesizer(
            settings.tts.voice,
            device=settings.tts_device(),
            dtype=dtype,
            kernels=settings.tts.kernels,
            trim_silence=False,
        )
        return np.concatenate([voice.speak_whole(text) for text in SENTENCES[:SNR_SENTENCES]])

    exact = spoken("float32")
    snr_db = signal_to_error_db(exact, spoken("bfloat16"))
    yield QualityFigure(
        "voice",
        "decoder in bfloat16",
        {"snr_db": snr_db},
        snr_db >= LEAST_SNR_DB,
        f"≥ {LEAST_SNR_DB:.0f} dB over float32",
    )


def _words(settings: Settings, sentences: int, say: Say) -> Iterator[QualityFigure]:
    from voicebench.engines.tts.intelligibility import SENTENCES, intelligibility
    from voicebench.engines.tts.recogniser import Recogniser
    from voicebench.engines.tts.synthesizer import load_synthesizer

    def voice(dtype: str) -> LocalSynthesizer:
        return load_synthesizer(
            settings.tts.voice,
            device=settings.tts_device(),
            dtype=dtype,
            kernels=settings.tts.kernels,
            first_window=settings.tts.first_window_ms,
        )

    recogniser, texts = Recogniser(), SENTENCES[:sentences]
    say(f"listening to {sentences} sentences, spoken in three ways, and once more in float32")
    found = intelligibility(voice(settings.tts.dtype), recogniser, texts)
    found[EXACTLY] = intelligibility(voice("float32"), recogniser, texts, ways=("streamed",))[
        "streamed"
    ]
    yield from judged_words(found)
