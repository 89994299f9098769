"""A whole signal at another sample rate, by its spectrum."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MARGIN_S = 0.05


def resampled(pcm: NDArray[np.float32], rate: int, new_rate: int) -> NDArray[np.float32]:
    """Return ``pcm`` (float32 mono, ``(samples,)``) at ``new_rate`` Hz.

    The spectrum is cut or continued with zeros, which keeps all up to half of the lower rate. The
    ends get a margin of silence meanwhile, because the spectrum takes the signal for periodic.
    """
    if rate == new_rate or not pcm.size:
        return pcm.astype(np.float32)
    margin = round(_MARGIN_S * rate)
    count = pcm.size + 2 * margin
    # A length that is a whole number of samples at both rates.
    step = rate // np.gcd(rate, new_rate)
    count += -count % int(step)
    padded = np.zeros(count)
    padded[margin : margin + pcm.size] = pcm
    new_count = count * new_rate // rate
    spectrum = np.fft.rfft(padded)[: new_count // 2 + 1]
    full = np.zeros(new_count // 2 + 1, dtype=np.complex128)
    full[: spectrum.size] = spectrum
    signal = np.fft.irfft(full, new_count) * new_count / count
    first = round(margin * new_rate / rate)
    return signal[first : first + round(pcm.size * new_rate / rate)].astype(np.float32)
