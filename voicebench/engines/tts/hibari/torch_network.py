"""The network of a hibari voice in torch: where there is no C library, and to check the C."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from voicebench.engines.tts.hibari.sizes import (
    BINS,
    DECODER_BLOCKS,
    DECODER_REACH,
    FRAME_CHANNELS,
    HEADS,
    NORM_EPS,
    PARTS,
    PROSODY_DILATIONS,
    PROSODY_LAYERS,
    TEXT_BLOCKS,
    TEXT_LAYERS,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voicebench.engines.tts.hibari.onnx_weights import Weights


class TorchNetwork:
    """The network in torch, float32.

    A `voicebench.engines.tts.hibari.frame_network.FrameNetwork`.
    """

    kernels = "torch"
    dtype = "float32"

    def __init__(self, weights: Weights, device: str = "cpu") -> None:
        self.device = device
        self._weights = {name: torch.from_numpy(w).to(device) for name, w in weights.items()}

    @torch.inference_mode()
    def read(
        self, symbols: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Return the features of ``symbols`` (n,) for decoder and prosody, and log durations."""
        ids = torch.from_numpy(symbols).to(self.device)
        text = self._encode(ids, "m.text", TEXT_LAYERS)
        features = self._encode(ids, "pn.text", PROSODY_LAYERS)
        hidden = functional.gelu(self._convolve(features, "pn.dur.0"))
        durations = self._convolve(hidden, "pn.dur.2")[:, 0]
        return _host(text), _host(features), _host(durations)

    @torch.inference_mode()
    def prosody(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return (frames, 4): pitch, pitch, energy, energy of the two halves of each frame."""
        hidden = self._convolve(torch.from_numpy(rows).to(self.device), "pn.pro_in")
        for number, dilation in enumerate(PROSODY_DILATIONS):
            hidden = self._block(hidden, f"pn.pro.{number}", dilation)
        return _host(self._convolve(hidden, "pn.pro_out"))

    def stream(self) -> TorchFrameStream:
        """Begin an utterance."""
        return TorchFrameStream(self)

    @torch.inference_mode()
    def decode(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the parts (frames, 5 * 601) of the frames ``rows`` (frames, 130)."""
        hidden = self._convolve(torch.from_numpy(rows).to(self.device), "m.dec_in")
        for number in range(DECODER_BLOCKS):
            hidden = self._block(hidden, f"m.dec.{number}")
        return _host(self._multiply(self._normalise(hidden, "m.dec_norm"), "m.head"))

    def _encode(self, ids: Tensor, name: str, layers: int) -> Tensor:
        hidden = self._weights[f"{name}.emb.weight"][ids]
        for number in range(TEXT_BLOCKS):
            hidden = self._block(hidden, f"{name}.convs.{number}")
        for _ in range(layers):  # one layer, applied again and again
            hidden = self._attend(hidden, f"{name}.attn")
        return self._normalise(hidden, f"{name}.norm")

    def _attend(self, rows: Tensor, name: str) -> Tensor:
        count, channels = rows.shape
        weights = self._weights
        joint = self._normalise(rows, f"{name}.norm1") @ weights[f"{name}.self_attn.in_proj_weight"]
        joint = joint + weights[f"{name}.self_attn.in_proj_bias"]
        heads = joint.view(1, count, 3, HEADS, channels // HEADS).permute(2, 0, 3, 1, 4)
        read = (
            functional.scaled_dot_product_attention(*heads)[0]
            .transpose(0, 1)
            .reshape(count, channels)
        )
        rows = rows + self._multiply(read, f"{name}.self_attn.out_proj")
        hidden = self._multiply(self._normalise(rows, f"{name}.norm2"), f"{name}.linear1")
        return rows + self._multiply(functional.gelu(hidden), f"{name}.linear2")

    def _block(self, rows: Tensor, name: str, dilation: int = 1) -> Tensor:
        """Compute one ConvNeXt block (Liu et al., arXiv:2201.03545)."""
        taps = self._weights[f"{name}.dw.weight"].T[:, None]
        hidden = functional.conv1d(
            rows.T[None],
            taps,
            self._weights[f"{name}.dw.bias"],
            padding=taps.shape[2] // 2 * dilation,
            dilation=dilation,
            groups=rows.shape[1],
        )[0].T
        hidden = functional.gelu(
            self._multiply(self._normalise(hidden, f"{name}.norm"), f"{name}.pw1")
        )
        return rows + self._weights[f"{name}.gamma"] * self._multiply(hidden, f"{name}.pw2")

    def _convolve(self, rows: Tensor, name: str) -> Tensor:
        taps = self._weights[f"{name}.weight"].permute(2, 1, 0)
        bias = self._weights[f"{name}.bias"]
        return functional.conv1d(rows.T[None], taps, bias, padding=taps.shape[2] // 2)[0].T

    def _multiply(self, rows: Tensor, name: str) -> Tensor:
        return rows @ self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"]

    def _normalise(self, rows: Tensor, name: str) -> Tensor:
        gain, bias = self._weights[f"{name}.weight"], self._weights[f"{name}.bias"]
        return functional.layer_norm(rows, rows.shape[-1:], gain, bias, NORM_EPS)


class TorchFrameStream:
    """An utterance; implements `voicebench.engines.tts.hibari.frame_network.FrameStream`.

    Each window is computed together with the frames to either side that change it.
    """

    def __init__(self, network: TorchNetwork) -> None:
        self._network = network
        self._rows = np.empty((0, FRAME_CHANNELS), np.float32)
        self._given = 0  # of the rows that are kept

    def window(self, rows: NDArray[np.float32], *, last: bool) -> NDArray[np.float32]:
        """Return the parts (count, 5 * 601) of the frames that ``rows`` complete."""
        self._rows = np.concatenate((self._rows, rows))
        until = self._rows.shape[0] if last else max(0, self._rows.shape[0] - DECODER_REACH)
        if until <= self._given:
            return np.empty((0, PARTS * BINS), np.float32)
        parts = self._network.decode(self._rows)[self._given : until]
        keep = max(0, until - DECODER_REACH)
        self._rows, self._given = self._rows[keep:], until - keep
        return parts


def _host(tensor: Tensor) -> NDArray[np.float32]:
    return np.ascontiguousarray(tensor.cpu().numpy(), np.float32)
