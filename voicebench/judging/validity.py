"""Is the audio speech at all? Asked before any figure of its speed is believed.

A synthesizer that is broken is often fast. A turn with nothing audible, with noise, or with samples
of another encoding has failed already (`voicebench.turn.timeline`, `voicebench.audio.hearing`);
this finds what is speech and still wrong. Such a turn is *flagged*: it stays in every figure, is
named in the results, and keeps its run out of a baseline.

=============  ===================================================================================
clipped        more than 0.1 % of the samples sit at the rails. Speech at full level touches them
               now and then; a voice that is scaled wrongly sits there for whole vowels
too short      more than 40 characters a second. People read aloud at 12 to 20, and understand
               compressed speech up to some 35; above, part of the text was not spoken
too long       under 3 characters a second: a synthesizer that stutters or draws out a vowel.
               Counted from the first audible sample, for texts of at least 10 characters
a click        where two pieces of audio meet, the signal jumps by more than 5 % of full scale and
               by more than three times its steepest step in the 5 ms around: the pieces were not
               made to fit. Looked for when the turn is sealed, since the samples are not kept
doubled        each sample comes twice: two equal channels that were taken for one, and then the
               speech is at half its pace; or a rate that was raised in the cheapest way
=============  ===================================================================================

A character of Chinese or Japanese counts as three, a digit as four ("7" is spoken as a word);
spaces, marks and emoji count as nothing. Whether streamed audio equals what the voice gives in one
piece cannot be told from a turn: `voicebench.judging.streaming_check` asks the voice again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from voicebench.text.orthography import is_unspaced
from voicebench.turn.timeline import Timeline

MOST_CLIPPED = 0.001
FASTEST_CHARACTERS_PER_S = 40.0
SLOWEST_CHARACTERS_PER_S = 3.0
SHORTEST_TEXT = 10
"""Characters, weighted; a shorter text says too little about its length in seconds."""


@dataclass(frozen=True, slots=True)
class Flag:
    """What is wrong with the audio of one turn."""

    turn: int
    finding: str
    run: int
    """Which of the measured turns it is, from 1."""

    def __str__(self) -> str:
        """Return one line."""
        return f"run {self.run}: {self.finding}"

    def as_dict(self) -> dict[str, object]:
        """Return the entry of ``summary.json``."""
        return {"turn": self.turn, "run": self.run, "finding": self.finding}


def flags_of(turns: Iterable[Timeline]) -> list[Flag]:
    """Return what is wrong with the audio of the measured turns."""
    return [
        Flag(turn.turn, finding, run)
        for run, turn in enumerate((turn for turn in turns if turn.phase == "measured"), start=1)
        for finding in audio_faults(turn)
    ]


def audio_faults(turn: Timeline) -> list[str]:
    """Return what is wrong with the audio of one turn; a failed one has failed, and that is all."""
    sound = turn.sound
    samples = sum(arrival.samples for arrival in turn.audio)
    if sound is None or turn.failed or not samples:
        return []
    found = []
    clipped = sound.clipped_samples / samples
    if clipped > MOST_CLIPPED:
        found.append(f"{100 * clipped:.1f} % of its samples are clipped")
    if sound.seam_clicks:
        found.append(f"the signal jumps at {sound.seam_clicks} of its seams")
    if sound.hearing is not None and sound.hearing.doubled:
        found.append("each of its samples comes twice, as of two channels that were taken for one")
    characters = spoken_characters(_spoken_text(turn))
    seconds = (samples - (sound.first_audible_sample or 0)) / sound.sample_rate
    if characters >= SHORTEST_TEXT and seconds > 0:
        rate = characters / seconds
        if rate > FASTEST_CHARACTERS_PER_S:
            found.append(f"too short for its text: {rate:.0f} characters a second")
        elif rate < SLOWEST_CHARACTERS_PER_S:
            found.append(f"too long for its text: {rate:.1f} characters a second")
    return found


def spoken_characters(text: str) -> int:
    """Return how many characters of ``text`` are spoken, weighted by how long they take."""
    return sum(_weight(character) for character in text)


def _weight(character: str) -> int:
    if is_unspaced(character):
        return 3
    if character.isdigit():
        return 4
    return int(character.isalpha())


def _spoken_text(turn: Timeline) -> str:
    """Return what was handed to the synthesizer; the reply where that cannot be seen."""
    return "".join(chunk.text for chunk in turn.chunks) or turn.reply
