"""A voice computed in torch, on any device. All other code must give the same samples."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from voicebench.engines.tts.vits.carry import Carry
from voicebench.engines.tts.vits.decoder import HifiganDecoder
from voicebench.engines.tts.vits.durations import PlainDurations, StochasticDurations
from voicebench.engines.tts.vits.flow import Flow
from voicebench.engines.tts.vits.layers import Taps
from voicebench.engines.tts.vits.text import TextEncoder
from voicebench.engines.tts.vits.voice_shape import VitsShape
from voicebench.errors import EngineError
from voicebench.machine.devices import compute_float32_exactly, set_torch_threads, to_host

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from voicebench.engines.tts.vits.replay import Replays
    from voicebench.engines.tts.vits.voice_weights import Weights


class Vits(nn.Module):
    """The layers of a voice."""

    def __init__(self, shape: VitsShape) -> None:
        super().__init__()
        self.text = TextEncoder(shape)
        durations = StochasticDurations if shape.durations.stochastic else PlainDurations
        self.durations = durations(shape)
        self.flow = Flow(shape)
        self.decoder = HifiganDecoder(shape)
        self.speakers = (
            nn.Parameter(torch.empty(shape.speakers, shape.speaker_channels))
            if shape.speaker_channels
            else None
        )


class TorchArithmetic:
    """A network in torch; implements `voicebench.engines.tts.vits.arithmetic.Arithmetic`.

    The decoder computes in the number format ``dtype``, the rest in float32 (``device`` and
    ``dtype`` are torch's names). ``speaker`` matters in a voice of several. On a CPU the network
    shares the memory of ``weights``. CUDA computes on a stream of its own. With ``replays``, which
    are set once they have been checked, windows in the middle of an utterance have one of their
    sizes, and only one window may be computed at a time.
    """

    def __init__(
        self,
        shape: VitsShape,
        weights: Weights,
        *,
        speaker: int | None = None,
        device: str = "cpu",
        dtype: str = "float32",
    ) -> None:
        set_torch_threads()
        with torch.device("meta"):
            network = Vits(shape)
        tensors = {name: torch.from_numpy(weight) for name, weight in weights.items()}
        network.load_state_dict(tensors, assign=True)
        self.network = network.eval().requires_grad_(False)
        self.replays: Replays | None = None
        self.shape = shape
        self.device = device
        self.kernels = "torch"
        self.dtype = dtype
        self.library_facts: dict[str, object] = {}
        self._device = torch.device(device)
        self._stream = None
        if self._device.type == "cuda":
            compute_float32_exactly()
            self._stream = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
        with self._own_stream():
            network.to(self._device)
            network.decoder.to(getattr(torch, dtype))
            for module in network.modules():
                if isinstance(module, Taps):
                    module.prepare()
            self._speaker = None if network.speakers is None else network.speakers[speaker or 0]

    @property
    def replayed(self) -> bool:
        """Whether windows in the middle of an utterance are replayed."""
        return self.replays is not None

    def encode(
        self, symbols: NDArray[np.int64], drawn: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Return mean, scale and log durations, as `Arithmetic` says."""
        with self.computing():
            hidden, mean, log_scale = self.network.text(self.on_device(symbols))
            log_durations = self._durations(hidden, drawn)
            # Copied at once, because each copy waits for the device.
            columns = [mean, torch.exp(log_scale), log_durations[:, None]]
            encoded = to_host(torch.cat(columns, dim=1))
        channels = mean.shape[1]
        return encoded[:, :channels], encoded[:, channels:-1], encoded[:, -1]

    def log_durations(
        self, hidden: NDArray[np.float32], drawn: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Return log durations (n,) from ``hidden`` (n, text channels) and ``drawn`` (n, 2)."""
        with self.computing():
            return to_host(self._durations(self.on_device(hidden), drawn))

    def stream(self) -> TorchStream:
        """Begin an utterance."""
        return TorchStream(self, self.replays)

    def decode(self, rows: Tensor, carry: Carry) -> Tensor:
        """Return the samples (count,) that ``rows`` add, in a window that has begun."""
        rows = self.network.flow(rows, self._speaker, carry)
        samples: Tensor = self.network.decoder(rows, self._speaker, carry)
        return samples

    def on_device(self, array: NDArray[np.float32] | NDArray[np.int64]) -> Tensor:
        """Return ``array`` as a tensor on the network's device; a CPU shares the memory."""
        return torch.from_numpy(array).to(self._device)

    @contextlib.contextmanager
    def computing(self) -> Iterator[None]:
        """Compute without gradients, and in CUDA on the network's own stream.

        Raises `EngineError` if the device has no memory left.
        """
        with torch.inference_mode(), self._own_stream():
            try:
                yield
            except torch.OutOfMemoryError as error:
                raise EngineError(
                    f"{self._device} has no memory left for the voice",
                    "choose another device, or let fewer programs use this one",
                ) from error

    def _own_stream(self) -> contextlib.AbstractContextManager[object]:
        return torch.cuda.stream(self._stream) if self._stream else contextlib.nullcontext()

    def _durations(self, hidden: Tensor, drawn: NDArray[np.float32]) -> Tensor:
        log_durations: Tensor = self.network.durations(hidden, self._speaker, self.on_device(drawn))
        return log_durations


class TorchStream:
    """An utterance in torch; implements `voicebench.engines.tts.vits.arithmetic.Stream`."""

    def __init__(self, arithmetic: TorchArithmetic, replays: Replays | None = None) -> None:
        self.carry = Carry()
        self._arithmetic = arithmetic
        self._replays = replays
        self._given = False

    def size_for(self, frames: int) -> int:
        """Return how many frames the next window should have: the size of a recording, if any."""
        return self._replays.size_for(frames) if self._replays and self._given else frames

    def window(self, rows: NDArray[np.float32], *, last: bool) -> NDArray[np.float32]:
        """Return the samples (count,) that the frames ``rows`` (time, channels) add."""
        with self._arithmetic.computing():
            samples = to_host(self._samples(self._arithmetic.on_device(rows), last=last))
        self._given |= samples.size > 0
        return samples

    def _samples(self, rows: Tensor, *, last: bool) -> Tensor:
        if self._replays is not None and self._given and not last:
            return self._replays(rows, self.carry)
        self.carry.begin(last=last)
        samples = self._arithmetic.decode(rows, self.carry)
        self.carry.finish()
        return samples
