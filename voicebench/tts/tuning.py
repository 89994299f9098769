"""What is fitted to the machine when a voice is loaded: number format, pace, recorded windows."""

from __future__ import annotations

import hashlib
import platform
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from voicebench.tts.pace import Pace, measured_pace

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from voicebench.tts.vits.replay import Replays
    from voicebench.tts.voice import Voice

LEAST_SNR_DB = 35.0
"""A shorter number format must stay this far above its error, or float32 is taken."""

REPLAYED_FRAMES = (16, 32, 48)
"""Sizes of window that are recorded on a GPU."""

_PROBE_SYMBOLS = 40
_PROBE_FRAMES = 60


def choose_dtype(name: str, voice: Voice, device: torch.device) -> torch.dtype:
    """Return the decoder's number format called ``name``; ``auto`` is what is fast and exact.

    ``auto`` takes bfloat16 on processors that multiply it directly, if it keeps `LEAST_SNR_DB`;
    everywhere else float32 (a GPU computes a window faster than it starts its kernels).
    """
    import torch

    from voicebench.devices import cpu_has_bfloat16, resolve_dtype

    if name != "auto":
        return resolve_dtype(name, device)
    may_shorten = device.type == "cpu" and cpu_has_bfloat16()
    if may_shorten and decoder_snr_db(voice, torch.bfloat16) >= LEAST_SNR_DB:
        return torch.bfloat16
    return torch.float32


def decoder_snr_db(voice: Voice, dtype: torch.dtype) -> float:
    """Return how far, in dB, the audio is above its error with a decoder of ``dtype``.

    The decoder is left in float32.
    """
    import torch

    from voicebench.tts.vits.carry import Carry

    def whole() -> Carry:
        carry = Carry()
        carry.begin(last=True)
        return carry

    decoder = voice.network.decoder
    with torch.inference_mode():
        rows = voice.network.flow(_probe(voice), _speaker(voice), whole())
        exact = decoder(rows, _speaker(voice), whole()).double()
        decoder.to(dtype)
        rough = decoder(rows, _speaker(voice), whole()).double()
        decoder.to(torch.float32)
    return float(10 * torch.log10(exact.square().sum() / (exact - rough).square().sum()))


def voice_pace(voice: Voice) -> Pace:
    """Return how fast ``voice`` speaks here, and warm it up on the way."""
    import torch

    from voicebench.devices import to_host
    from voicebench.tts.vits.carry import Carry

    network = voice.network
    carry = Carry()
    frames = _probe(voice)

    def speak_frames(count: int) -> None:
        with torch.inference_mode():
            to_host(network.samples(frames[:count], _speaker(voice), carry, last=False))

    speak_frames(_PROBE_FRAMES)
    weight = network.decoder.pre.weight
    device = weight.device
    hardware = torch.cuda.get_device_name(device) if device.type == "cuda" else _processor()
    described = (
        f"{network.shape} {weight.dtype} {device} {hardware} {torch.get_num_threads()} "
        f"{torch.__version__}"
    )
    return measured_pace(hashlib.sha256(described.encode()).hexdigest()[:32], speak_frames)


def record_replays(voice: Voice) -> Replays | None:
    """Return recorded windows where the device has them and they give the same samples."""
    import torch

    if voice.network.text.embedding.device.type != "cuda":
        return None
    from voicebench.tts.vits.replay import Replays, record_cuda_graph

    def compute(rows: Tensor, carry: Carry) -> Tensor:
        return voice.network.decode(rows, _speaker(voice), carry)

    from voicebench.tts.vits.carry import Carry

    try:
        replays = Replays(compute, REPLAYED_FRAMES, record_cuda_graph)
        return replays if replays_agree(voice, replays) else None
    except RuntimeError:  # a driver or a torch that cannot record: speak without
        torch.cuda.synchronize()
        return None


def replays_agree(voice: Voice, replays: Replays, tolerance: float = 1e-3) -> bool:
    """Return whether each recorded window gives the samples of an unrecorded one."""
    import torch

    from voicebench.tts.vits.carry import Carry

    network, frames = voice.network, _probe(voice)
    with torch.inference_mode():
        for size in replays.sizes:
            plain, recorded = Carry(), Carry()
            for carry in (plain, recorded):
                network.samples(frames, _speaker(voice), carry, last=False)
            for _ in range(2):
                expected = network.samples(frames[:size], _speaker(voice), plain, last=False)
                found = replays(frames[:size], recorded)
                if found.shape != expected.shape or (found - expected).abs().max() > tolerance:
                    return False
    return True


def _probe(voice: Voice) -> Tensor:
    """Return frames (at least `_PROBE_FRAMES`, channels) of babble: random symbols, encoded."""
    import torch

    from voicebench.tts.noise import SeededNoise

    network, noise = voice.network, SeededNoise(0, "probe")
    generator = torch.Generator().manual_seed(0)
    count = network.shape.text.symbols
    symbols = torch.randint(0, count, (_PROBE_SYMBOLS,), generator=generator)
    manner = replace(voice.manner, length_scale=1.0)  # a user's may be anything
    with torch.inference_mode():
        device = network.text.embedding.device
        utterance = network.encode(symbols.to(device), manner, noise)
        frames = network.frames(utterance, 0, min(utterance.frames, 4 * _PROBE_FRAMES), noise)
    return frames.repeat(-(-_PROBE_FRAMES // frames.shape[0]), 1)


def _speaker(voice: Voice) -> Tensor | None:
    speakers = voice.network.speakers
    return None if speakers is None else speakers[voice.manner.speaker or 0]


def _processor() -> str:
    """Return what the processor is called, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.startswith("model name")), platform.machine())
