"""Measure both errors of the check for speech: the tables of docs/explanation/statistics.md.

``python -m benchmarks.hearing`` takes some minutes; everything is seeded. The bounds were chosen on
some voices; the tables are of the other ones. ``--all`` takes all voices.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable, Iterator

import numpy as np

from benchmarks.hearing.others import BYTES, SOUNDS, as_16_bit, stored
from benchmarks.hearing.speech import Samples, Spoken, all_speech
from benchmarks.hearing.suffered import BEYOND, HARMS, Harm, scaled
from voicebench.audio.hearing import hear, unlike_speech
from voicebench.audio.pcm import first_audible_sample, peak

UTTERANCES = 150
"""Utterances for each way of harming speech, drawn at random."""
LONG_ENOUGH_S = 0.3
"""What is misread and shorter than this is too little to tell, and not counted."""


def judged(pcm: Samples, rate: int) -> str | None:
    """Return why a turn with this audio fails, "" for silence, None if it passes."""
    heard = pcm.astype(np.float32)
    onset = first_audible_sample(heard, rate)
    if onset is None:
        return ""
    return unlike_speech(hear(heard, rate, onset), peak(heard))


def some(speech: list[Spoken], seed: int) -> tuple[list[Spoken], np.random.Generator]:
    """Return random utterances, and a random generator for damaging them."""
    drawn = np.random.default_rng(seed)
    count = min(UTTERANCES, len(speech))
    return [speech[at] for at in drawn.choice(len(speech), count, replace=False)], drawn


def rows_of_voices(speech: list[Spoken]) -> Iterator[tuple[str, int, int, list[str]]]:
    """Yield each kind of voice: how many utterances were audible, and how many failed."""
    for voice in dict.fromkeys(spoken.voice for spoken in speech):
        found = [
            (spoken.name, judged(as_16_bit(stored(scaled(spoken.pcm), "s16le")), spoken.rate))
            for spoken in speech
            if spoken.voice == voice
        ]
        yield counted(voice, found)


def rows_of_harm(
    speech: list[Spoken], harms: dict[str, Harm]
) -> Iterator[tuple[str, int, int, list[str]]]:
    """Yield each kind of damage: how many utterances were still audible, and how many failed."""
    for seed, (name, harm) in enumerate(harms.items()):
        chosen, drawn = some(speech, seed)
        found = []
        for spoken in chosen:
            pcm, rate = harm(scaled(spoken.pcm), spoken.rate, drawn)
            found.append(
                (spoken.name, judged(as_16_bit(stored(np.clip(pcm, -1, 1), "s16le")), rate))
            )
        yield counted(name, found)


def rows_of_others(speech: list[Spoken]) -> Iterator[tuple[str, int, int, list[str]]]:
    """Yield each kind of other sound: how many there were, and how many passed."""
    for seed, (name, sound) in enumerate(SOUNDS.items()):
        drawn = np.random.default_rng(seed)
        rates = drawn.choice([8000, 16_000, 24_000, 48_000], UTTERANCES)
        passed = [
            judged(sound(int(rate * drawn.uniform(1, 4)), int(rate), drawn), int(rate)) is None
            for rate in rates
        ]
        yield name, len(passed), sum(passed), []
    for seed, (name, misread) in enumerate(BYTES.items()):
        chosen, _ = some(speech, seed)
        heard = [(one, misread(scaled(one.pcm), one.rate)) for one in chosen]
        found = [
            (one.name, judged(pcm, one.rate))
            for one, pcm in heard
            if pcm.size >= LONG_ENOUGH_S * one.rate
        ]
        passed_names = [name for name, reason in found if reason is None]
        yield name, len(found), len(passed_names), passed_names


def counted(name: str, found: Iterable[tuple[str, str | None]]) -> tuple[str, int, int, list[str]]:
    """Return how many of the audible utterances failed, and which."""
    audible = [(which, reason) for which, reason in found if reason != ""]
    failed = [f"{which}: {reason}" for which, reason in audible if reason is not None]
    return name, len(audible), len(failed), failed


def table(
    title: str, verdict: str, rows: Iterable[tuple[str, int, int, list[str]]], *, say: bool
) -> None:
    """Print one table of Markdown; with ``say``, also which ones were wrong."""
    print(f"\n### {title}\n\n| what | n | {verdict} |\n|---|---:|---:|")
    total: Counter[str] = Counter()
    for name, count, wrong, which in rows:
        total.update(n=count, wrong=wrong)
        print(f"| {name} | {count} | {wrong} |", flush=True)
        if say:
            print("\n".join(f"<!-- {one} -->" for one in which))
    share = 100 * total["wrong"] / max(1, total["n"])
    print(f"| **all** | {total['n']:,} | {total['wrong']} ({share:.2f} %) |")


def main() -> None:
    """Print the tables."""
    reader = argparse.ArgumentParser(description=__doc__)
    reader.add_argument("--all", action="store_true", help="also the voices of the choice")
    reader.add_argument("--say", action="store_true", help="name each error")
    asked = reader.parse_args()
    speech = [spoken for spoken in all_speech() if asked.all or spoken.held_out]
    table("Speech that fails", "failed", rows_of_voices(speech), say=asked.say)
    table("Damaged speech", "failed", rows_of_harm(speech, HARMS), say=asked.say)
    table("Speech under loud noise", "failed", rows_of_harm(speech, BEYOND), say=asked.say)
    table("Other sounds that pass", "passed", rows_of_others(speech), say=asked.say)


if __name__ == "__main__":
    main()
