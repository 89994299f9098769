"""Whether the C code for voices, as it was compiled here, computes what torch computes."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import torch

from voicebench.tts.vits.native_voice import NativeArithmetic, multiplies_bfloats
from voicebench.tts.vits.network import Arithmetic, TorchArithmetic, Vits
from voicebench.tts.vits.shape import (
    DecoderShape,
    DurationShape,
    FlowShape,
    TextShape,
    VitsShape,
)

if TYPE_CHECKING:
    from torch import Tensor

TOLERANCE = 1e-3
"""Of samples in [-1, 1], and of what a text is encoded to."""

LEAST_SNR_DB = 30.0
"""How far samples of a bfloat16 decoder are above their error, in any network that is sane."""

_FRAMES = 90
_CUTS = (5, 17, 18, 70)


def vits_works(library: ctypes.CDLL, threads: int = 2) -> bool:
    """Return whether C computes what torch computes, on two small random networks.

    The networks have what differs between voices: both kinds of residual blocks, several speakers,
    widths that fill whole tiles and widths that do not. An utterance is spoken at once and in
    windows.
    """
    kinds: tuple[Literal[1, 2], ...] = (1, 2)
    return all(_agrees(library, trial_network(kind), threads) for kind in kinds)


def _agrees(library: ctypes.CDLL, network: Vits, threads: int) -> bool:
    exact = TorchArithmetic(network)
    speaker = None if network.speakers is None else network.speakers[1]
    draws = torch.Generator().manual_seed(1)
    symbols = torch.randint(0, network.shape.text.symbols, (23,), generator=draws)
    noise = torch.randn(23, 2, generator=draws)
    frames = torch.randn(_FRAMES, network.shape.flow.channels, generator=draws)
    with torch.inference_mode():
        native = NativeArithmetic(library, network, speaker=speaker, bfloats=False, threads=threads)
        encoded = zip(
            exact.encode(symbols, speaker, noise),
            native.encode(symbols, speaker, noise),
            strict=True,
        )
        if not all(torch.allclose(one, other, atol=TOLERANCE) for one, other in encoded):
            return False
        whole = spoken(exact, speaker, frames, ())
        for cuts in ((), _CUTS):
            found = spoken(native, speaker, frames, cuts)
            if found.shape != whole.shape or (found - whole).abs().max() > TOLERANCE:
                return False
        if not multiplies_bfloats(library):
            return True
        rough = NativeArithmetic(library, network, speaker=speaker, bfloats=True, threads=threads)
        error = spoken(rough, speaker, frames, _CUTS) - whole
        return bool(10 * torch.log10(whole.square().sum() / error.square().sum()) >= LEAST_SNR_DB)


def spoken(
    arithmetic: Arithmetic, speaker: Tensor | None, frames: Tensor, cuts: Sequence[int]
) -> Tensor:
    """Return the samples of an utterance of ``frames``, spoken in windows that end at ``cuts``."""
    stream, begun, windows = arithmetic.stream(speaker), 0, []
    for cut in (*cuts, frames.shape[0]):
        windows.append(stream.window(frames[begun:cut], last=cut == frames.shape[0]))
        begun = cut
    return torch.cat(windows)


def trial_network(kind: Literal[1, 2]) -> Vits:
    """Return a small random network whose residual blocks are of ``kind``."""
    several = kind == 1
    shape = VitsShape(
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
    network = Vits(shape).eval().requires_grad_(False)
    draws = torch.Generator().manual_seed(kind)
    for name, weight in network.named_parameters():
        drawn = torch.randn(weight.shape, generator=draws)
        # Sums of as many numbers as there are inputs keep their size; gains stay around one.
        inputs = weight.shape[0] * weight.shape[1] if weight.dim() == 3 else weight.shape[-1]
        weight.copy_(drawn / inputs**0.5 if weight.dim() > 1 else 0.1 * drawn)
        if name.endswith("norm.weight"):
            weight.add_(1.0)
    return network
