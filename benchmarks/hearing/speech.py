"""Speech for testing the check: recorded people, and several kinds of synthesis.

Recorded people come from Debian's packages of telephone prompts (``asterisk-core-sounds-*``,
``asterisk-prompt-fr-armelle``; words, letters, digits and sentences) and from ``codec2-examples``
and ``alsa-utils``. The synthesizers are the embedded voice, ``espeak-ng`` (formants, also
whispered) and ``flite`` (diphones). Sources that are not installed are skipped.
"""

from __future__ import annotations

import random
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import av.error
import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float64]

PROMPTS = Path("/usr/share/asterisk/sounds")
OTHERS = (Path("/usr/share/codec2/raw"), Path("/usr/share/sounds/alsa"))
NO_SPEECH = ("beep", "tone", "silence", "confbridge-join", "confbridge-leave", "ascii", "Noise")
MODEMS = ("datac", "testframes", "sine", "qam", "700d_end_over")
HELD_OUT = ("es", "es_MX_f_Allison", "it_IT_f_Menardi", "digits", "letters", "phonetic", "dictate")
"""Folders of prompts: speakers and languages."""
HELD_OUT_LANGUAGES = ("pl", "pt", "nl", "sw", "sv")
HELD_OUT_SEED = 7
PER_FOLDER = 60
SHORTEST = 40
"""Of each folder so many files at random, and so many of the shortest: letters, digits, "yes"."""
TEXTS = {
    "en": (
        *("Yes.", "No.", "Oh.", "Ah.", "Hmm.", "Six.", "Sure.", "Hello!", "Shh."),
        "One moment, please.",
        "She sells sea shells.",
        "Seven hundred and twenty three.",
        "Okay, I will set a timer for ten minutes.",
        "I am sorry, I did not understand that. Could you say it again?",
        "The weather will stay clear and mild today, with a light wind from the west.",
    ),
    "fr": (
        *("Oui.", "Non.", "Bonjour !", "Merci beaucoup."),
        "Je n'ai pas compris, pouvez-vous répéter ?",
        "Il fera beau aujourd'hui, avec un vent léger de l'ouest.",
    ),
    "de": ("Ja.", "Nein, das geht leider nicht.", "Heute bleibt es heiter und trocken."),
    "es": ("Sí.", "Buenos días, ¿en qué puedo ayudarle?"),
    "ru": ("Да.", "Сегодня будет ясно и тепло."),
    "cmn": ("今天天气很好，有一点风。",),
    "hi": ("नमस्ते आप कैसे हैं",),
    "pl": ("Tak.", "Dzisiaj będzie pogodnie i sucho."),
    "pt": ("Sim.", "Bom dia, em que posso ajudar?"),
    "nl": ("Ja.", "Een ogenblik, alstublieft."),
    "sw": ("Ndiyo.", "Habari za asubuhi, naweza kukusaidia?"),
    "sv": ("Nej.", "Det blir klart och torrt i dag."),
    "ar": ("مرحبا كيف حالك",),
}
EMBEDDED = {"hibari-heart": "the embedded voice", "en_US-joe-medium": "en_US-joe-medium"}
VARIANTS = ("", "+f2", "+m3", "+croak", "+klatt", "+UniRobot", "+whisper", "+whisperf")
WORDS_A_MINUTE = (90, 130, 175, 260, 400)


@dataclass(frozen=True)
class Spoken:
    """One utterance: float mono, full scale ±1."""

    voice: str
    name: str
    rate: int
    pcm: Samples
    held_out: bool
    """Of a speaker or language that nobody looked at when the bounds were chosen."""


def all_speech() -> list[Spoken]:
    """Return every available utterance, always in the same order."""
    return [*_people(), *_espeak(), *_flite(), *_embedded()]


def read(path: Path, container: str | None = None) -> tuple[Samples, int]:
    """Return a sound file as mono, and its rate."""
    with av.open(str(path), format=container) as file:
        frames = list(file.decode(audio=0))
    parts = []
    for frame in frames:
        array = frame.to_ndarray()
        scale = 1 << (8 * array.dtype.itemsize - 1) if array.dtype.kind == "i" else 1
        channels = (
            array if frame.format.is_planar else array.reshape(-1, frame.layout.nb_channels).T
        )
        parts.append(channels.mean(axis=0) / scale)
    return np.concatenate(parts), frames[0].sample_rate


def _people() -> Iterator[Spoken]:
    for folder in sorted(PROMPTS.iterdir()) if PROMPTS.is_dir() else []:
        for suffix in (".wav", ".g722", ".gsm"):
            for path in _chosen(sorted(folder.rglob(f"*{suffix}"))):
                try:
                    pcm, rate = read(path, "g722" if suffix == ".g722" else None)
                except av.error.FFmpegError:
                    continue  # a file that holds next to nothing
                held = folder.name in HELD_OUT
                yield Spoken(f"people, {rate // 1000} kHz", str(path), rate, pcm, held)
    for folder in OTHERS:
        for path in sorted(folder.glob("*")) if folder.is_dir() else []:
            if path.suffix == ".raw" and not any(word in path.name for word in MODEMS):
                pcm = np.fromfile(path, "<i2") / 32768
                yield Spoken("people, 8 kHz", str(path), 8000, pcm, False)
            elif path.suffix == ".wav" and not any(word in path.name for word in NO_SPEECH):
                pcm, rate = read(path)
                yield Spoken(f"people, {rate // 1000} kHz", str(path), rate, pcm, False)


def _chosen(paths: list[Path]) -> list[Path]:
    speech = [path for path in paths if not any(word in str(path) for word in NO_SPEECH)]
    speech = [path for path in speech if path.stat().st_size > 500]
    some = random.Random(1).sample(speech, min(PER_FOLDER, len(speech)))
    short = sorted(speech, key=lambda path: path.stat().st_size)[:SHORTEST]
    return sorted({*some, *short})


def _espeak() -> Iterator[Spoken]:
    if shutil.which("espeak-ng") is None:
        return
    drawn = random.Random(2)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "spoken.wav"
        for language, texts in TEXTS.items():
            for text in texts:
                for variant in VARIANTS:
                    pace = drawn.choice(WORDS_A_MINUTE)
                    command = ["espeak-ng", "-v", language + variant, "-s", str(pace)]
                    subprocess.run([*command, "-w", str(out), text], check=True)
                    pcm, rate = read(out)
                    kind = "espeak-ng, whispered" if "whisper" in variant else "espeak-ng"
                    held = language in HELD_OUT_LANGUAGES
                    yield Spoken(kind, f"{language}{variant} {pace} {text}", rate, pcm, held)


def _flite() -> Iterator[Spoken]:
    if shutil.which("flite") is None:
        return
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "spoken.wav"
        for voice in ("kal", "kal16", "awb", "rms", "slt"):
            for text in TEXTS["en"]:
                subprocess.run(["flite", "-voice", voice, "-t", text, "-o", str(out)], check=True)
                pcm, rate = read(out)
                yield Spoken("flite", f"{voice} {text}", rate, pcm, False)


def _embedded(paces: Iterable[float] = (0.6, 1.0, 1.5)) -> Iterator[Spoken]:
    from voicebench.engines.tts.synthesizer import load_synthesizer

    for name, kind in EMBEDDED.items():
        for pace in paces:
            for seed in (0, HELD_OUT_SEED):
                voice = load_synthesizer(name, device="cpu", length_scale=pace, seed=seed)
                for text in TEXTS["en"]:
                    pcm = voice.speak_whole([text]).astype(np.float64)
                    yield Spoken(kind, f"{pace} {seed} {text}", voice.sample_rate, pcm, seed > 0)
