"""The loss of quality by fast arithmetic: `voicebench doctor --quality`.

Three comparisons with float32, on texts that nothing was tuned on:

- language model: agreement and divergence of its scores (`voicebench.engines.llm.agreement`);
- voice: the signal-to-noise ratio of its samples, in dB;
- speech: the word error rates of one-shot, chunked and streamed speech
  (`voicebench.checks.intelligibility`), of plain sentences and of some with figures and names.

A setting of ``auto`` may take only what passes the limits here and in those modules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from voicebench.errors import ModelError, SettingsError
from voicebench.machine.extras import require

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from voicebench.checks.intelligibility import WordErrors
    from voicebench.engines.tts.local_synthesizer import LocalSynthesizer
    from voicebench.settings import Settings

Say = Callable[[str], None]

SNR_SENTENCES = 5
"""Sentences over which the samples of two number formats are compared."""

WORD_ERROR_MARGIN = 0.02
"""By how much the word error rates of two ways of speaking may differ. The recogniser itself varies
as much over forty sentences (some 400 words): samples that differ by a millionth gave 15 and 20
errors in 410 words."""

MOST_WORD_ERRORS = 0.1
"""Beyond this word error rate a voice is not understood, however it is spoken."""

EXACTLY = "streamed in float32"
"""The way of speaking that shows the loss by the arithmetic in use."""


@dataclass(frozen=True, slots=True)
class QualityFigure:
    """The figures of one ``form`` of a ``part`` (such as "voice"), and whether they pass."""

    part: str
    form: str
    figures: dict[str, float]
    passes: bool
    limit: str

    def as_dict(self) -> dict[str, object]:
        """Return the finding for ``--json``."""
        return asdict(self)


def examine_quality(settings: Settings, sentences: int, say: Say) -> Iterator[QualityFigure]:
    """Yield the quality of the model and the voice in ``settings``, each when it is measured.

    The recogniser hears ``sentences`` sentences, at most forty. Takes minutes. Raises as loading a
    model does, and `MissingExtra` if the extra ``quality`` is not installed.
    """
    require("quality")
    yield from _language_model(settings, say)
    yield from _samples(settings, say)
    yield from _words(settings, sentences, say)


def judged_words(found: dict[str, WordErrors], part: str = "speech") -> list[QualityFigure]:
    """Return a figure of ``part`` for each way of speaking, judged against one-shot speech.

    No way passes with more than `MOST_WORD_ERRORS`. Streamed speech is also judged against streamed
    speech in float32, if ``found`` has it.
    """
    findings = []
    for way, errors in found.items():
        against = ["one-shot"]
        if way == "streamed" and EXACTLY in found:
            against.append(EXACTLY)
        allowed = min(found[other].rate for other in against) + WORD_ERROR_MARGIN
        allowed = min(allowed, MOST_WORD_ERRORS)
        findings.append(
            QualityFigure(
                part,
                way,
                {"word_error_rate": errors.rate, "words": errors.words, "errors": errors.errors},
                errors.rate <= allowed,
                f"≤ {' and '.join(against)}, + {WORD_ERROR_MARGIN:.0%}; ≤ {MOST_WORD_ERRORS:.0%}",
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
    from voicebench.checks.intelligibility import SENTENCES
    from voicebench.engines.tts.fitting import LEAST_SNR_DB
    from voicebench.engines.tts.speech_noise import snr_db
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
        return voice.speak_whole(SENTENCES[:SNR_SENTENCES])

    try:
        exact, rough = spoken("float32"), spoken("bfloat16")
    except SettingsError as error:  # the voice never computes bfloat16 on this machine
        say(error.message)
        return
    ratio_db = snr_db(exact, rough)
    yield QualityFigure(
        "voice",
        "decoder in bfloat16",
        {"snr_db": ratio_db},
        ratio_db >= LEAST_SNR_DB,
        f"≥ {LEAST_SNR_DB:.0f} dB over float32",
    )


def _words(settings: Settings, sentences: int, say: Say) -> Iterator[QualityFigure]:
    from voicebench.checks.intelligibility import (
        FIGURES_AND_NAMES,
        SENTENCES,
        intelligibility,
        intelligibility_of_figures,
    )
    from voicebench.checks.recogniser import Recogniser
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
    usual = voice(settings.tts.dtype)
    found = intelligibility(usual, recogniser, texts)
    found[EXACTLY] = intelligibility(voice("float32"), recogniser, texts, ways=("streamed",))[
        "streamed"
    ]
    yield from judged_words(found)
    say(f"listening to {sentences} sentences with figures and names, spoken in two ways")
    figures = intelligibility_of_figures(usual, recogniser, FIGURES_AND_NAMES[:sentences])
    yield from judged_words(figures, "figures and names")
