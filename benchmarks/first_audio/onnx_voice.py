"""onnxruntime as a voice: the graph of a Piper voice, whole or cut for speed, and hibari's own.

`SentenceVoice` is ``piper-tts`` itself: one run of the graph for each sentence, all samples at
once.

`FrameVoice` is the fastest that we could build from the same file. The graph is cut where its flow
begins and where its decoder begins. The part before (text encoder, durations) runs once for each
sentence. The decoder runs over windows of frames, and so does the flow for the first of them. Their
convolutions reach some frames to both sides, so each window is computed with a margin of frames
whose samples are dropped. The samples are then those of one run (a test compares them). The first
window is short, so that sound comes early. Each next one is twice as long.

`PackageVoice` is voicebench's default voice by the package that it comes from, ``hibari-tts``: one
run of its graph for each sentence of a text chunk.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voicebench.events import AudioChunk, TtsEvent

FIRST_FRAMES = 12
"""139 ms of a 22,050 Hz voice: what was found to give the earliest first audio without a stall."""

MOST_FRAMES = 64

MARGIN = 10
FLOW_MARGIN = 16
"""Frames to either side that a sample, and a frame out of the flow, depend on: leaving the others
out gives an error under 2e-5."""

Frames = NDArray[np.float32]


class SentenceVoice:
    """A Piper voice by ``piper-tts``; implements `voicebench.engines.tts.Synthesizer`.

    Its volume is not normalised, as in voicebench: a louder voice is audible earlier, which says
    nothing about speed.
    """

    def __init__(self, path: Path) -> None:
        from piper import PiperVoice
        from piper.config import SynthesisConfig

        self._voice = PiperVoice.load(path)
        self._manner = SynthesisConfig(normalize_audio=False)

    def speak(self, text: str) -> Iterator[TtsEvent]:
        """Yield the speech of ``text`` sentence by sentence."""
        for chunk in self._voice.synthesize(text, self._manner):
            if chunk.audio_float_array.size:
                yield AudioChunk(chunk.audio_float_array, chunk.sample_rate)

    def describe(self) -> dict[str, object]:
        """Return what a reader of the results must know."""
        return {"engine": "onnxruntime", "by": "piper-tts", "device": "cpu", "language": "en-us"}

    def close(self) -> None:
        """Do nothing: the session goes with the object."""


class PackageVoice:
    """The voice hibari-heart by ``hibari-tts``, a sentence of a chunk at a time; a `Synthesizer`.

    ``threads`` are those of onnxruntime.
    """

    INSTALL = "`pip install hibari-tts`"

    def __init__(self, threads: int) -> None:
        from hibari import Hibari

        self._voice: Any = Hibari("heart", threads=threads)

    @staticmethod
    def is_installed() -> bool:
        """Return whether this interpreter has the package."""
        return importlib.util.find_spec("hibari") is not None

    def speak(self, text: str) -> Iterator[TtsEvent]:
        """Yield the speech of ``text`` sentence by sentence."""
        for pcm in self._voice.stream(text, seed=0):
            if pcm.size:
                yield AudioChunk(pcm, self._voice.sample_rate)

    def describe(self) -> dict[str, object]:
        """Return what a reader of the results must know."""
        return {"engine": "onnxruntime", "by": "hibari-tts", "device": "cpu", "language": "en-us"}

    def close(self) -> None:
        """Do nothing: the session goes with the object."""


class FrameVoice:
    """A Piper voice by onnxruntime, one window of frames at a time; also a `Synthesizer`."""

    def __init__(self, path: Path) -> None:
        import onnx
        from piper import PiperVoice

        self._voice = PiperVoice.load(path)
        model = onnx.load(str(path))
        cuts = cuts_of(model.graph)
        inputs = [entry.name for entry in model.graph.input]
        [audio] = [entry.name for entry in model.graph.output]
        for name, channels in ((cuts.prior, cuts.channels), (cuts.frames, cuts.channels)):
            _tell_shape(model, name, channels)
        _tell_shape(model, cuts.mask, 1)
        cutter = onnx.utils.Extractor(model)
        self._cuts = cuts
        self._encoder = _session(cutter.extract_model(inputs, [cuts.prior]))
        self._flow = _session(cutter.extract_model([cuts.prior, cuts.mask], [cuts.frames]))
        self._decoder = _session(cutter.extract_model([cuts.frames], [audio]))
        config = self._voice.config
        self._hop = config.hop_length
        self._scales = np.array(
            [config.noise_scale, config.length_scale, config.noise_w_scale], np.float32
        )

    def speak(self, text: str) -> Iterator[TtsEvent]:
        """Yield the speech of ``text``, each window as soon as its samples are computed."""
        for phonemes in self._voice.phonemize(text):
            if phonemes:
                prior = self.encode(self._voice.phonemes_to_ids(phonemes))
                for pcm in self.windows(prior):
                    yield AudioChunk(pcm, self._voice.config.sample_rate)

    def encode(self, ids: list[int]) -> Frames:
        """Return the prior (1, channels, frames) of one sentence's symbols."""
        given = {
            "input": np.array([ids], np.int64),
            "input_lengths": np.array([len(ids)], np.int64),
            "scales": self._scales,
        }
        prior: Frames = self._encoder.run(None, given)[0]
        return prior

    def windows(self, prior: Frames) -> Iterator[NDArray[np.float32]]:
        """Yield the samples (count,) of ``prior``, window by window.

        For the first window the flow computes only the frames of that window; then all the others.
        """
        count = prior.shape[2]
        frames = self.flow(prior[:, :, : FIRST_FRAMES + MARGIN + FLOW_MARGIN])
        for start, stop in window_bounds(count):
            if start == FIRST_FRAMES:
                frames = self.flow(prior)
            low, high = max(0, start - MARGIN), min(count, stop + MARGIN)
            samples = self.decode(frames[:, :, low:high])
            yield samples[(start - low) * self._hop : (stop - low) * self._hop]

    def flow(self, prior: Frames) -> Frames:
        """Return what the decoder takes, of the same shape as ``prior``."""
        mask = np.ones((1, 1, prior.shape[2]), np.float32)
        given = {self._cuts.prior: np.ascontiguousarray(prior), self._cuts.mask: mask}
        frames: Frames = self._flow.run(None, given)[0]
        return frames

    def decode(self, frames: Frames) -> NDArray[np.float32]:
        """Return the samples (count,) of ``frames`` (1, channels, frames), computed at once."""
        given = {self._cuts.frames: np.ascontiguousarray(frames)}
        samples: NDArray[np.float32] = self._decoder.run(None, given)[0].reshape(-1)
        return np.clip(samples, -1.0, 1.0)

    def describe(self) -> dict[str, object]:
        """Return what a reader of the results must know."""
        return {
            "engine": "onnxruntime",
            "by": "the graph cut before its flow and before its decoder",
            "device": "cpu",
            "language": "en-us",
            "first_frames": FIRST_FRAMES,
        }

    def close(self) -> None:
        """Do nothing: the sessions go with the object."""


@dataclass(frozen=True, slots=True)
class Cuts:
    """The tensors at which a Piper voice's graph is cut."""

    prior: str
    """What the flow begins with: (1, channels, frames)."""
    mask: str
    """Ones for frames that there are: (1, 1, frames)."""
    frames: str
    """What the decoder begins with: (1, channels, frames)."""
    channels: int


def cuts_of(graph: Any) -> Cuts:
    """Return where to cut ``graph``. Raises `ValueError` if it is not a single-speaker VITS."""
    weight = "dec.conv_pre.weight"
    into_decoder = next((node for node in graph.node if weight in node.input), None)
    flow = next((node for node in graph.node if node.name.startswith("/flow/")), None)
    if into_decoder is None or flow is None:
        raise ValueError("this graph has no flow, or no decoder that begins with dec.conv_pre")
    frames = into_decoder.input[0]
    masked = next(node for node in graph.node if frames in node.output)
    mask = next((name for name in masked.input if not name.startswith("/flow/")), None)
    if masked.op_type != "Mul" or mask is None:
        raise ValueError(f"{frames} is not the flow's result times a mask")
    [channels] = [tensor.dims[1] for tensor in graph.initializer if tensor.name == weight]
    return Cuts(flow.input[0], mask, frames, channels)


def window_bounds(frames: int, first: int = FIRST_FRAMES) -> Iterator[tuple[int, int]]:
    """Yield (start, stop) of each window of an utterance: twice as long as the one before."""
    start, length = 0, first
    while start < frames:
        stop = min(start + length, frames)
        yield start, stop
        start, length = stop, min(2 * length, MOST_FRAMES)


def _tell_shape(model: Any, tensor: str, channels: int) -> None:
    """Note that ``tensor`` is a float (1, channels, frames), which cutting needs to know."""
    import onnx

    shape = (1, channels, "frames")
    known = onnx.helper.make_tensor_value_info(tensor, onnx.TensorProto.FLOAT, shape)
    model.graph.value_info.append(known)


def _session(model: Any) -> Any:
    """Open a part of the graph.

    Three sessions share the cores, so a session must not keep its threads spinning after its work:
    this alone doubled first audio. Every window has another length, so a memory plan is useless.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.enable_mem_pattern = False
    options.add_session_config_entry("session.force_spinning_stop", "1")
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
