"""An offline speech recogniser: Whisper base, run by faster-whisper.

It checks that a voice is understood; no voice turn is measured with it. The weights are the
catalogue's ``whisper-base``. The extra ``quality`` installs faster-whisper.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from voicebench.engines.models import ensure

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SAMPLE_RATE = 16_000
"""In Hz; the rate that Whisper expects."""


class Recogniser:
    """Transcribes English speech; the same samples always give the same words.

    Raises `ModelError` if the weights cannot be fetched.
    """

    def __init__(self) -> None:
        from faster_whisper import WhisperModel

        self._model: Any = WhisperModel(
            str(ensure("whisper-base")), device="cpu", compute_type="int8"
        )

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
