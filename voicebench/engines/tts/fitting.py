"""Fit a voice to the machine when it is loaded: arithmetic, pace, recorded windows."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from voicebench.engines.models.cache import recall, remember
from voicebench.engines.native.library import NoLibrary, native_digest, processor, tried_library
from voicebench.engines.tts.native_stream import multiplies_bfloats
from voicebench.engines.tts.pace import Pace, measured_pace
from voicebench.engines.tts.speech_noise import seeded_noise, snr_db
from voicebench.engines.tts.vits.native_voice import NativeArithmetic
from voicebench.engines.tts.vits.utterance import encode, frames
from voicebench.engines.tts.vits.voice_trial import vits_works
from voicebench.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from voicebench.engines.tts.vits.arithmetic import Arithmetic
    from voicebench.engines.tts.vits.torch_voice import TorchArithmetic
    from voicebench.engines.tts.voice import Voice

LEAST_SNR_DB = 35.0
"""The audio of a shorter number format must be this far above its error, or float32 is taken."""

REPLAYED_FRAMES = (16, 32, 48)
"""Sizes of window that are recorded on a GPU."""

_PROBE_SYMBOLS = 40
_PROBE_FRAMES = 60


def choose_arithmetic(
    voice: Voice,
    device: str,
    *,
    dtype: str = "auto",
    kernels: str = "auto",
    refused: list[NoLibrary] | None = None,
) -> Arithmetic:
    """Return the fastest arithmetic for ``voice`` and its speaker on ``device``.

    | device | the fastest first |
    |---|---|
    | CPU | C in bfloat16 (needs AMX), C in float32, torch in bfloat16 (needs AVX-512 or Arm with
    it), torch in float32 |
    | GPU | torch in float32: it computes a window faster than it starts its kernels |

    C needs a compiler, and must compute right (`vits_works`). Bfloat16 must keep `LEAST_SNR_DB`,
    unless the user chose it by ``dtype`` (of the decoder). If C cannot compute, ``refused``
    gets the reason. Torch is imported only if it computes, or if the error of bfloat16 is not known
    yet. Raises `SettingsError` if ``kernels`` that the user chose are not available.
    """
    if kernels != "torch" and device == "cpu" and dtype in ("auto", "float32", "bfloat16"):
        try:
            return _native(voice, dtype)
        except NoLibrary as error:
            refusal = str(error)
            if refused is not None:
                refused.append(error)
    else:
        refusal = f"they compute float32 and bfloat16 on a CPU, and not {dtype} on {device}"
    if kernels == "native":
        raise SettingsError(
            f"the native kernels cannot speak here ({refusal})", "set tts.kernels to auto"
        )
    return _in_torch(voice, device, dtype)


def _native(voice: Voice, dtype: str) -> Arithmetic:
    """Return ``voice`` in C; raises `NoLibrary`."""
    from voicebench.machine.devices import threads

    library = tried_library("vits", vits_works)
    has_tiles = multiplies_bfloats(library)
    if dtype == "bfloat16" and not has_tiles:
        raise NoLibrary("this processor has no tiles to multiply bfloat16 with")

    def build(number_format: str) -> NativeArithmetic:
        return NativeArithmetic(
            library,
            voice.shape,
            voice.weights,
            speaker=voice.manner.speaker,
            bfloats=number_format == "bfloat16",
            threads=threads(),
        )

    return _in_first_format(voice, build, dtype, is_bfloat16_fast=has_tiles)


def _in_torch(voice: Voice, device: str, dtype: str) -> Arithmetic:
    """Return ``voice`` in torch."""
    from voicebench.machine.devices import cpu_has_bfloat16, resolve_dtype

    def build(number_format: str) -> TorchArithmetic:
        return torch_arithmetic(voice, device, resolve_dtype(number_format, device))

    is_fast = device == "cpu" and cpu_has_bfloat16()
    return _in_first_format(voice, build, dtype, is_bfloat16_fast=is_fast)


def _in_first_format(
    voice: Voice, build: Callable[[str], Arithmetic], dtype: str, *, is_bfloat16_fast: bool
) -> Arithmetic:
    """Return what ``build`` makes in ``dtype``; "auto" is bfloat16 if fast and good enough."""
    if dtype != "auto":
        return build(dtype)
    if is_bfloat16_fast:
        short = build("bfloat16")
        if arithmetic_snr_db(voice, short) >= LEAST_SNR_DB:
            return short
    return build("float32")


def torch_arithmetic(voice: Voice, device: str = "cpu", dtype: str = "float32") -> TorchArithmetic:
    """Return ``voice`` in torch on ``device``, its decoder in ``dtype`` (as torch names both)."""
    from voicebench.engines.tts.vits.torch_voice import TorchArithmetic

    speaker = voice.manner.speaker
    return TorchArithmetic(voice.shape, voice.weights, speaker=speaker, device=device, dtype=dtype)


def arithmetic_snr_db(voice: Voice, arithmetic: Arithmetic) -> float:
    """Return the signal-to-noise ratio, in dB, of ``arithmetic`` against torch in float32.

    It is measured on random frames, once for the weights of a voice, and kept in the cache.
    """
    key = digest_of(_weights_digest(voice), arithmetic.kernels, arithmetic.dtype, native_digest())
    known = recall("errors", key)
    if known is not None and "snr_db" in known:
        return known["snr_db"]
    rows = _probe(voice, arithmetic)
    exact, rough = (
        one.stream().window(rows, last=True) for one in (torch_arithmetic(voice), arithmetic)
    )
    measured = snr_db(exact, rough)
    remember("errors", key, {"snr_db": measured})
    return measured


def voice_pace(voice: Voice, arithmetic: Arithmetic) -> Pace:
    """Return the pace of ``arithmetic`` on this machine; this also warms it up."""
    from voicebench.machine.devices import threads

    rows = _probe(voice, arithmetic)
    stream = arithmetic.stream()

    def speak_frames(count: int) -> None:
        stream.window(rows[:count], last=False)

    speak_frames(_PROBE_FRAMES)
    described = (voice.shape, arithmetic.kernels, arithmetic.dtype, arithmetic.device, threads())
    code = computed_by(arithmetic.kernels, arithmetic.device)
    return measured_pace(digest_of(*described, *code), speak_frames)


def computed_by(kernels: str, device: str) -> tuple[str, ...]:
    """Return the hardware and the version of the code that compute."""
    if kernels == "native":
        return processor(), native_digest()
    import torch

    on_cuda = device.startswith("cuda")
    hardware = torch.cuda.get_device_name(device) if on_cuda else processor()
    return hardware, str(torch.__version__)


def record_replays(voice: Voice, arithmetic: Arithmetic) -> None:
    """Record windows on a CUDA device, if replaying them gives the same samples."""
    if not arithmetic.device.startswith("cuda"):
        return
    from voicebench.engines.tts.vits.replay_trial import replay_on_cuda
    from voicebench.engines.tts.vits.torch_voice import TorchArithmetic

    assert isinstance(arithmetic, TorchArithmetic)  # nothing else computes on CUDA
    replay_on_cuda(arithmetic, _probe(voice, arithmetic), REPLAYED_FRAMES)


def _probe(voice: Voice, arithmetic: Arithmetic) -> NDArray[np.float32]:
    """Return frames (at least `_PROBE_FRAMES`, channels) of encoded random symbols."""
    noise = seeded_noise(0, "probe")
    symbols = np.random.default_rng(0).integers(voice.shape.text.symbols, size=_PROBE_SYMBOLS)
    manner = replace(voice.manner, length_scale=1.0)  # whatever the user set
    utterance = encode(arithmetic, symbols.tolist(), manner, noise)
    rows = frames(utterance, 0, min(utterance.frames, 4 * _PROBE_FRAMES), noise)
    return np.tile(rows, (-(-_PROBE_FRAMES // rows.shape[0]), 1))


def _weights_digest(voice: Voice) -> str:
    """Return a digest of the weights: of their file, or of those on which the error depends."""
    if voice.origin is not None:
        return voice.origin
    digest = hashlib.sha256()
    for name, weight in sorted(voice.weights.items()):
        if name.startswith(("flow.", "decoder.")):
            digest.update(np.ascontiguousarray(weight).data)
    return digest.hexdigest()


def digest_of(*parts: object) -> str:
    """Return a key for figures that depend on ``parts``."""
    return hashlib.sha256(" ".join(map(str, parts)).encode()).hexdigest()[:32]
