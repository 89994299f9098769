"""The network of a hibari voice in torch: where there is no C library, and to check the C."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
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
    TEXT_CHANNELS,
    TEXT_LAYERS,
)
from voicebench.engines.tts.hibari.spectrum import Waveform
from voicebench.errors import EngineError
from voicebench.machine.devices import compute_float32_exactly, to_host

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voicebench.engines.tts.hibari.onnx_weights import Weights
    from voicebench.engines.tts.hibari.recordings import RecordedParts
    from voicebench.engines.tts.speech_noise import Noise


class TorchNetwork:
    """The network in torch, float32.

    A `voicebench.engines.tts.hibari.frame_network.FrameNetwork`. CUDA computes on a stream of its
    own; with ``recorded``, which is set once it has been checked, it replays graphs of it.

    The private methods compute tensors. Their ``mask`` (rows, 1) is 1 for the rows that there are
    and 0 for rows behind them, which fill a recording's size: they change no other row.

    Torch has its own number of threads, hurried or not.
    """

    kernels = "torch"
    dtype = "float32"

    def __init__(self, weights: Weights, device: str = "cpu") -> None:
        self.device = device
        self.library_facts: dict[str, object] = {}
        self.recorded: RecordedParts | None = None
        self._device = torch.device(device)
        self._stream = None
        if self._device.type == "cuda":
            compute_float32_exactly()
            self._stream = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
        with self.computing():
            self._weights = {name: self.on_device(w) for name, w in weights.items()}

    @property
    def replayed(self) -> bool:
        """Whether recordings are replayed."""
        return self.recorded is not None

    def read(
        self,
        symbols: NDArray[np.int64],
        *,
        hurried: bool = False,  # noqa: ARG002
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Return the features of ``symbols`` (n,) for decoder and prosody, and log durations."""
        with self.computing():
            found = None
            if self.recorded is not None:
                found = self.recorded.read(symbols.astype(np.float32)[:, None])
            if found is None:
                found = to_host(self.read_rows(self.on_device(symbols)))
        text, features, durations = np.split(found, (TEXT_CHANNELS, found.shape[1] - 1), axis=1)
        return text, features, durations[:, 0]

    def prosody(
        self,
        rows: NDArray[np.float32],
        *,
        hurried: bool = False,  # noqa: ARG002
    ) -> NDArray[np.float32]:
        """Return (frames, 4): pitch, pitch, energy, energy of the two halves of each frame."""
        with self.computing():
            found = self.recorded.prosody(rows) if self.recorded is not None else None
            return to_host(self.prosody_rows(self.on_device(rows))) if found is None else found

    def stream(self, *, hurried: bool = False) -> TorchFrameStream:  # noqa: ARG002
        """Begin an utterance."""
        return TorchFrameStream(self)

    def waveform(self, pitch: NDArray[np.float32], noise: Noise, first: int = 0) -> Waveform:
        """Begin the samples of an utterance, in numpy."""
        return Waveform(pitch, noise, first)

    def decode(
        self, rows: NDArray[np.float32], start: int = 0, stop: int | None = None
    ) -> NDArray[np.float32]:
        """Return the parts (count, 5 * 601) of some of the frames ``rows`` (frames, 130)."""
        with self.computing():
            found = None
            if self.recorded is not None:
                found = self.recorded.decode(rows, start, stop)
            if found is None:
                found = to_host(self.decode_rows(self.on_device(rows))[start:stop])
            return found

    @contextlib.contextmanager
    def computing(self) -> Iterator[None]:
        """Compute without gradients, and in CUDA on the network's own stream.

        Raises `EngineError` if the device has no memory left.
        """
        own = torch.cuda.stream(self._stream) if self._stream else contextlib.nullcontext()
        with torch.inference_mode(), own:
            try:
                yield
            except torch.OutOfMemoryError as error:
                raise EngineError(
                    f"{self._device} has no memory left for the voice",
                    "choose another device, or let fewer programs use this one",
                ) from error

    def on_device(self, array: NDArray[np.float32] | NDArray[np.int64]) -> Tensor:
        """Return ``array`` as a tensor on the network's device; a CPU shares the memory."""
        return torch.from_numpy(array).to(self._device)

    def read_rows(self, ids: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return what `read` returns for ``ids`` (n,) as the columns of one tensor (n, 321)."""
        text = self._encode(ids, "m.text", TEXT_LAYERS, mask)
        features = self._encode(ids, "pn.text", PROSODY_LAYERS, mask)
        hidden = functional.gelu(self._convolve(features, "pn.dur.0", mask))
        durations = self._convolve(hidden, "pn.dur.2", mask)
        return torch.cat((text, features, durations), dim=1)

    def prosody_rows(self, rows: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return what `prosody` returns."""
        hidden = self._convolve(rows, "pn.pro_in", mask)
        for number, dilation in enumerate(PROSODY_DILATIONS):
            hidden = self._block(hidden, f"pn.pro.{number}", mask, dilation)
        return self._convolve(hidden, "pn.pro_out", mask)

    def decode_rows(self, rows: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the parts (frames, 5 * 601) of all frames ``rows`` (frames, 130)."""
        hidden = self._convolve(rows, "m.dec_in", mask)
        for number in range(DECODER_BLOCKS):
            hidden = self._block(hidden, f"m.dec.{number}", mask)
        return self._multiply(self._normalise(hidden, "m.dec_norm"), "m.head")

    def _encode(self, ids: Tensor, name: str, layers: int, mask: Tensor | None) -> Tensor:
        hidden = self._weights[f"{name}.emb.weight"][ids]
        for number in range(TEXT_BLOCKS):
            hidden = self._block(hidden, f"{name}.convs.{number}", mask)
        for _ in range(layers):  # one layer, applied again and again
            hidden = self._attend(hidden, f"{name}.attn", mask)
        return self._normalise(hidden, f"{name}.norm")

    def _attend(self, rows: Tensor, name: str, mask: Tensor | None) -> Tensor:
        count, channels = rows.shape
        weights = self._weights
        joint = self._normalise(rows, f"{name}.norm1") @ weights[f"{name}.self_attn.in_proj_weight"]
        joint = joint + weights[f"{name}.self_attn.in_proj_bias"]
        heads = joint.view(1, count, 3, HEADS, channels // HEADS).permute(2, 0, 3, 1, 4)
        seen = None if mask is None else (mask > 0).view(1, 1, 1, count)
        read = (
            functional.scaled_dot_product_attention(heads[0], heads[1], heads[2], seen)[0]
            .transpose(0, 1)
            .reshape(count, channels)
        )
        rows = rows + self._multiply(read, f"{name}.self_attn.out_proj")
        hidden = self._multiply(self._normalise(rows, f"{name}.norm2"), f"{name}.linear1")
        return rows + self._multiply(functional.gelu(hidden), f"{name}.linear2")

    def _block(self, rows: Tensor, name: str, mask: Tensor | None, dilation: int = 1) -> Tensor:
        """Compute one ConvNeXt block (Liu et al., arXiv:2201.03545)."""
        taps = self._weights[f"{name}.dw.weight"].T[:, None]
        hidden = functional.conv1d(
            _masked(rows, mask).T[None],
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

    def _convolve(self, rows: Tensor, name: str, mask: Tensor | None) -> Tensor:
        taps = self._weights[f"{name}.weight"].permute(2, 1, 0)
        bias = self._weights[f"{name}.bias"]
        rows = _masked(rows, mask)
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
        parts = self._network.decode(self._rows, self._given, until)
        keep = max(0, until - DECODER_REACH)
        self._rows, self._given = self._rows[keep:], until - keep
        return parts


def _masked(rows: Tensor, mask: Tensor | None) -> Tensor:
    """Return ``rows`` with zeros where there are none, as beyond the ends of an utterance."""
    return rows if mask is None else rows * mask
