"""Finds speech that is wrong, since a broken synthesizer is often fast.

A turn with nothing audible, with noise, or with samples of another encoding has failed already
(`voicebench.turn.timeline`, `voicebench.audio.hearing`). A turn with one of the faults below is
*flagged*: it stays in every figure, the results name it, and its run cannot become a baseline.

=============  ===================================================================================
clipped        more than 0.1 % of the samples are at full scale. Loud speech reaches it now and
               then; a voice that is scaled wrongly stays there for whole vowels
too short      more than 40 characters a second. People read aloud at 12 to 20, and understand
               compressed speech up to some 35; above, part of the text was not spoken
too long       under 3 characters a second: a synthesizer that stutters or draws out a vowel.
               Counted from the first audible sample, for texts of at least 10 characters
a click        where two pieces of audio meet, the signal jumps by more than 5 % of full scale and
               by more than three times its steepest step in the 5 ms around it. Looked for when the
               turn is sealed, since the samples are not kept
doubled        each sample comes twice: two equal channels were read as one, so the speech has half
               its pace; or the sample rate was doubled by repeating samples
=============  ===================================================================================

A character of Chinese or Japanese counts as three, a digit as four ("7" is spoken as a word);
spaces, marks and emoji do not count. `voicebench.judging.streaming_check` compares streamed audio
with the same speech in one piece.
"""

from __future__ import annotations

from dataclasses import dataclass

from voicebench.text.orthography import is_unspaced
from voicebench.turn.timeline import Timeline

MOST_CLIPPED = 0.001
FASTEST_CHARACTERS_PER_S = 40.0
SLOWEST_CHARACTERS_PER_S = 3.0
SHORTEST_TEXT = 10
"""In weighted characters; the duration of a shorter text is too uncertain."""


@dataclass(frozen=True, slots=True)
class Flag:
    """A fault in the audio of one turn."""

    turn: int
    finding: str
    run: int
    """Its number among the measured turns, from 1."""

    def __str__(self) -> str:
        """Return one line."""
        return f"run {self.run}: {self.finding}"

    def as_dict(self) -> dict[str, object]:
        """Return the entry of ``summary.json``."""
        return {"turn": self.turn, "run": self.run, "finding": self.finding}


def audio_faults(turn: Timeline) -> list[str]:
    """Return the faults in the audio of one turn; none of a failed turn."""
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
        found.append("each of its samples comes twice, as if two channels were read as one")
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
    """Return the number of spoken characters in ``text``, weighted by their duration."""
    return sum(_weight(character) for character in text)


def _weight(character: str) -> int:
    if is_unspaced(character):
        return 3
    if character.isdigit():
        return 4
    return int(character.isalpha())


def _spoken_text(turn: Timeline) -> str:
    """Return the text that was handed to the synthesizer; if it cannot be seen, the reply."""
    return "".join(chunk.text for chunk in turn.chunks) or turn.reply
