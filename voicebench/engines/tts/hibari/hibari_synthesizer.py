"""Text-to-speech in this process with a hibari voice, streamed by frames."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from voicebench.engines.native.library import NoLibrary, tried_library
from voicebench.engines.tts.fitting import computed_by, digest_of
from voicebench.engines.tts.hibari.native_network import NativeNetwork
from voicebench.engines.tts.hibari.planned_sentence import plan, windows
from voicebench.engines.tts.hibari.sizes import DECODER_REACH, FRAME_CHANNELS, HOP, SAMPLE_RATE
from voicebench.engines.tts.hibari.trial import hibari_works
from voicebench.engines.tts.local_synthesizer import LocalSynthesizer
from voicebench.engines.tts.native_stream import multiplies_bfloats
from voicebench.engines.tts.opening_silence import OpeningTrimmer
from voicebench.engines.tts.pace import Pace, WindowPlan, measured_pace
from voicebench.engines.tts.speech_noise import seeded_noise
from voicebench.errors import SettingsError
from voicebench.events import AudioChunk, TtsEvent
from voicebench.machine.devices import threads
from voicebench.machine.slower import Slower

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voicebench.engines.tts.hibari.frame_network import FrameNetwork
    from voicebench.engines.tts.hibari.hibari_voice import HibariVoice

FRAME_MS = HOP / SAMPLE_RATE * 1000
_BEFORE_SOUND_MS = 25.0
"""By how much the first window is longer: so far the sound may be from the first frame decoded."""


class HibariSynthesizer(LocalSynthesizer):
    """Speaks with a hibari voice in this process."""

    sample_rate = SAMPLE_RATE

    def __init__(
        self,
        voice: HibariVoice,
        network: FrameNetwork,
        plan: WindowPlan,
        *,
        seed: int,
        speed: float = 1.0,
        trim_silence: bool = True,
        slower: Slower | None = None,
    ) -> None:
        """Join a voice and the code that computes it; ``slower`` says why nothing faster does."""
        super().__init__(plan, seed=seed, trim_silence=trim_silence, slower=slower)
        self.voice = voice
        self.network = network
        self._speed = speed

    def speak_next(self, text: str, before: str) -> Iterator[TtsEvent]:
        """Yield the speech of ``text`` as `speak`; its intonation goes on from ``before``."""
        for pcm in self._spoken(text, before=before):
            yield AudioChunk(pcm, self.sample_rate)

    def speak_whole(self, chunks: Sequence[str]) -> NDArray[np.float32]:
        """Return the speech of a reply's text chunks, each sentence in one window.

        Zeros stand for the silence at its beginning, which is never computed.
        """
        opening = OpeningTrimmer(self.sample_rate)
        before, spoken = "", [np.empty(0, np.float32)]
        for text in chunks:
            is_first = len(spoken) == 1
            for pcm in self._spoken(
                text, before=before, opening=opening if is_first else None, whole=True
            ):
                spoken.append(pcm)
                before = text
        silence = round(opening.trimmed_ms / 1000 * self.sample_rate)
        return np.concatenate([np.zeros(silence, np.float32), *spoken])

    def describe(self) -> dict[str, object]:
        """Return what results record of this synthesizer."""
        facts = {
            "engine": "hibari",
            "family": "hibari",
            "voice": self.voice.name,
            "language": self.voice.language,
            "sample_rate": self.sample_rate,
            "device": self.network.device,
            "kernels": self.network.kernels,
            "dtype": self.network.dtype,
            **self.network.library_facts,
        }
        return self._described(facts, replayed=self.network.replayed)

    def _spoken(
        self,
        text: str,
        *,
        before: str = "",
        opening: OpeningTrimmer | None = None,
        whole: bool = False,
    ) -> Iterator[NDArray[np.float32]]:
        """Yield the samples of ``text``, which follows the chunk ``before``, window by window."""
        noise = seeded_noise(self._seed, text)
        silent_ms = 0.0 if opening is None else _BEFORE_SOUND_MS + opening.longer_ms
        sizes = itertools.repeat(1 << 30) if whole else self._plan.sizes(silent_ms)
        is_first = True
        for part in self.voice.sentences(text, before):
            with self._turn:
                # The pause between two sentences is part of the speech.
                trims = self._trim_silence and is_first
                hurried = opening is not None and is_first
                planned = plan(
                    self.network, part, speed=self._speed, trim_start=trims, hurried=hurried
                )
            if opening is not None and is_first:
                phoneme = max(0, planned.phoneme - planned.first)
                opening.expect(phoneme * FRAME_MS, skipped_ms=planned.first * FRAME_MS)
            is_first = False
            yield from self._steps(windows(self.network, planned, noise, sizes, hurried=hurried))


def fitted_synthesizer(
    voice: HibariVoice,
    *,
    device: str = "cpu",
    dtype: str = "auto",
    kernels: str = "auto",
    speed: float = 1.0,
    seed: int = 0,
    first_window: float | None = None,
    trim_silence: bool = True,
    slower: Slower | None = None,
) -> HibariSynthesizer:
    """Return a synthesizer that speaks with ``voice`` as fast as this machine can.

    ``first_window`` is in milliseconds of audio; None derives it from the speed measured here.
    ``slower`` says why ``device`` is not a faster one.
    Raises `SettingsError` if ``dtype`` or ``kernels`` is not available here.
    """
    if dtype not in ("auto", "float32", "bfloat16"):
        raise SettingsError(
            f"the voice {voice.name} computes float32 and bfloat16, not {dtype}",
            "set tts.dtype to auto",
        )
    network, no_library = _network(voice, device, kernels, dtype)
    planned = WindowPlan.fitted(_pace(voice, network), FRAME_MS, SAMPLE_RATE, first_window)
    return HibariSynthesizer(
        voice,
        network,
        planned,
        seed=seed,
        speed=speed,
        trim_silence=trim_silence,
        slower=slower or no_library,
    )


def _network(
    voice: HibariVoice, device: str, kernels: str, dtype: str
) -> tuple[FrameNetwork, Slower | None]:
    """Return what computes ``voice``, the C library or torch, and why torch.

    ``auto`` takes a decoder of bfloat16 where the processor multiplies its tiles: its audio is 46
    dB or more above the error (measured on 12 sentences).
    """
    refusal = f"they compute on a CPU, and not on {device}"
    slower = None
    if device == "cpu" and kernels != "torch":
        try:
            library = tried_library("hibari", hibari_works)
            bfloats = dtype != "float32" and multiplies_bfloats(library)
            if dtype == "bfloat16" and not bfloats:
                raise NoLibrary("this processor has no tiles to multiply bfloat16 with")
            return NativeNetwork(library, voice.weights, threads=threads(), bfloats=bfloats), None
        except NoLibrary as error:
            refusal, slower = str(error), error.slower
    if kernels == "native":
        raise SettingsError(
            f"the native kernels cannot speak here ({refusal})", "set tts.kernels to auto"
        )
    if dtype == "bfloat16":
        raise SettingsError(
            f"bfloat16 is not to be had for the voice {voice.name} here ({refusal})",
            "set tts.dtype to auto",
        )
    from voicebench.engines.tts.hibari.recorded_network import record_network
    from voicebench.engines.tts.hibari.torch_network import TorchNetwork

    network = TorchNetwork(voice.weights, device)
    record_network(network)
    return network, slower


def _pace(voice: HibariVoice, network: FrameNetwork) -> Pace:
    """Return how fast ``network`` speaks here, and warm it up on the way."""
    rows = np.random.default_rng(0).standard_normal((256, FRAME_CHANNELS), np.float32)

    def speak_frames(count: int) -> None:
        stream = network.stream()
        stream.window(rows[: 2 * DECODER_REACH], last=False)
        waveform = network.waveform(np.full(count, 200, np.float32), seeded_noise(0, "pace"))
        waveform.add(stream.window(rows[:count], last=False))

    network.read(np.arange(40))
    speak_frames(40)
    described = (voice.origin, network.kernels, network.dtype, network.device, network.replayed)
    code = computed_by(network.kernels, network.device)
    return measured_pace(digest_of(*described, *code), speak_frames)
