"""Check that the C code for voices, as compiled here, computes the same as torch.

The result is kept for each library, so torch is imported only for the first check.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from voicebench.engines.tts.native_stream import multiplies_bfloats
from voicebench.engines.tts.speech_noise import snr_db
from voicebench.engines.tts.vits.native_voice import NativeArithmetic
from voicebench.engines.tts.vits.voice_shape import (
    DecoderShape,
    DurationShape,
    FlowShape,
    TextShape,
    VitsShape,
)
from voicebench.engines.tts.vits.voice_weights import weight_shapes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voicebench.engines.tts.vits.arithmetic import Arithmetic

TOLERANCE = 1e-3
"""The largest error of samples in [-1, 1] and of encoded text."""

LEAST_SNR_DB = 30.0
"""The least signal-to-noise ratio of a correct bfloat16 decoder."""

_FRAMES = 90
_CUTS = (5, 17, 18, 70)


def vits_works(library: ctypes.CDLL, threads: int = 2) -> bool:
    """Return whether C and torch agree on two small random networks, at once and in windows.

    The networks have all variations of the voices: both kinds of residual blocks, several speakers,
    widths that fill whole tiles and widths that do not.
    """
    kinds: tuple[Literal[1, 2], ...] = (1, 2)
    return all(_agrees(library, kind, threads) for kind in kinds)


def _agrees(library: ctypes.CDLL, kind: Literal[1, 2], threads: int) -> bool:
    from voicebench.engines.tts.vits.torch_voice import TorchArithmetic

    shape = trial_shape(kind)
    weights = drawn_weights(shape, seed=kind)
    speaker = 1 if shape.speakers > 1 else None
    draws = np.random.default_rng(1)
    symbols = draws.integers(shape.text.symbols, size=23)
    noise = draws.standard_normal((23, 2), np.float32)
    frames = draws.standard_normal((_FRAMES, shape.flow.channels), np.float32)

    def native(*, bfloats: bool) -> NativeArithmetic:
        return NativeArithmetic(
            library, shape, weights, speaker=speaker, bfloats=bfloats, threads=threads
        )

    exact = TorchArithmetic(shape, weights, speaker=speaker)
    floats = native(bfloats=False)
    encoded = zip(exact.encode(symbols, noise), floats.encode(symbols, noise), strict=True)
    if not all(np.allclose(found, right, atol=TOLERANCE) for right, found in encoded):
        return False
    whole = spoken(exact, frames, ())
    for cuts in ((), _CUTS):
        found = spoken(floats, frames, cuts)
        if found.shape != whole.shape or not np.allclose(found, whole, rtol=0, atol=TOLERANCE):
            return False
    if not multiplies_bfloats(library):
        return True
    return snr_db(whole, spoken(native(bfloats=True), frames, _CUTS)) >= LEAST_SNR_DB


def spoken(
    arithmetic: Arithmetic, frames: NDArray[np.float32], cuts: Sequence[int]
) -> NDArray[np.float32]:
    """Return the samples of ``frames`` (time, channels), in windows that end at ``cuts``."""
    stream, begun, windows = arithmetic.stream(), 0, []
    for cut in (*cuts, frames.shape[0]):
        windows.append(stream.window(frames[begun:cut], last=cut == frames.shape[0]))
        begun = cut
    return np.concatenate(windows)


def drawn_weights(shape: VitsShape, seed: int) -> dict[str, NDArray[np.float32]]:
    """Return random weights for a voice of ``shape``, scaled so that its signals stay moderate."""
    draws = np.random.default_rng(seed)
    weights = {}
    for name, size in weight_shapes(shape).items():
        drawn = draws.standard_normal(size, np.float32)
        # Divided by the root of the inputs, sums keep their size; gains are about one.
        inputs = size[0] * size[1] if len(size) == 3 else size[-1]
        weight = drawn / np.float32(inputs**0.5) if len(size) > 1 else np.float32(0.1) * drawn
        weights[name] = weight + np.float32(name.endswith("norm.weight"))
    return weights


def trial_shape(kind: Literal[1, 2]) -> VitsShape:
    """Return the sizes of a small network whose residual blocks are of ``kind``."""
    several = kind == 1
    return VitsShape(
        text=TextShape(
            symbols=20, channels=40, feed_channels=56, layers=2, heads=2, kernel=3, reach=4
        ),
        durations=DurationShape(stochastic=True, channels=24, kernel=3, layers=2, flows=3),
        flow=FlowShape(channels=32, couplings=2, hidden=24, layers=3, kernel=5),
        decoder=DecoderShape(
            channels=128,
            first_kernel=7,
            last_kernel=7,
            rates=(4, 3, 2),
            kernels=(8, 7, 4),
            block_kernels=(3, 5),
            block_dilations=((1, 3), (1, 2)),
            block_kind=kind,
        ),
        speakers=3 if several else 1,
        speaker_channels=8 if several else 0,
    )
