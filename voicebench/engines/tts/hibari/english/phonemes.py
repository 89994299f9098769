"""From English text to phonemes, sentence by sentence."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from voicebench.engines.tts.hibari.english.lexicon import (
    CONSONANTS,
    PRIMARY,
    VOWELS,
    After,
    Lexicon,
    weaker,
)
from voicebench.engines.tts.hibari.english.tagger import Tagger
from voicebench.engines.tts.hibari.english.unknown_words import UnknownWords
from voicebench.engines.tts.hibari.english.written_out import written_out

MOST_PHONEMES = 400
"""A longer sentence is cut where a clause ends, or a word."""

_LETTERS = r"[^\W\d_]"
_PIECE = re.compile(
    rf"(?P<word>(?:{_LETTERS}\.){{2,}}|{_LETTERS}+(?:'{_LETTERS}+)*'?)"
    r"|(?P<dash> [-–—]+ |—|--+)|(?P<hyphen>[-–])|(?P<dots>\.\.+|…)|(?P<mark>[;:,.!?\"“”()])"
)
_SENTENCE_END = re.compile(r"(?<=[.!?…])[\"”')\]]*\s+(?=[^\sa-z])")
_CLAUSE_END = re.compile(r"(?<=[,;:—]) ")
_CONTRACTION = re.compile(r"(n't|'(?:s|re|ve|ll|d|m))$", re.IGNORECASE)
_ENDS_CLAUSE = frozenset(";:,.!?—…")


@dataclass(slots=True)
class _Piece:
    """A word or a mark of a sentence."""

    text: str
    is_word: bool
    has_space: bool
    """Whether a space follows."""
    is_joined: bool = False
    """Whether a hyphen joins it to the next word."""
    tag: str = ""
    phonemes: str = ""


class English:
    """Turns English text into phonemes."""

    def __init__(self, lexicon: Lexicon, tagger: Tagger, unknown: UnknownWords) -> None:
        self._lexicon = lexicon
        self._tagger = tagger
        self._unknown = unknown

    def sentences(self, text: str) -> Iterator[str]:
        """Yield the phonemes of each sentence of ``text``; nothing where nothing is to be said."""
        for sentence in _SENTENCE_END.split(written_out(text)):
            phonemes = self.phonemes(sentence)
            if has_speech(phonemes):
                yield from _cut(phonemes)

    def phonemes(self, sentence: str) -> str:
        """Return the phonemes of one sentence that has been written out."""
        pieces = _pieces(sentence)
        self._tag(pieces)
        after = After(None)
        at = len(pieces)
        while at:
            start = at - 1
            while start and pieces[start - 1].is_joined:
                start -= 1
            group = pieces[start:at]
            self._sound(group, after)
            after = _after(group, after)
            at = start
        spoken = "".join(piece.phonemes + " " * piece.has_space for piece in pieces)
        return " ".join(spoken.split()).replace("ɾ", "T").replace("ʔ", "t")

    def _tag(self, pieces: Sequence[_Piece]) -> None:
        """Give each piece the tag of its first part: the tagger knows "do" and "n't"."""
        parts: list[str] = []
        owners: list[_Piece | None] = []
        for piece in pieces:
            found = _CONTRACTION.search(piece.text) if piece.is_word else None
            if found and found.start():
                parts += [piece.text[: found.start()], found[0]]
                owners += [piece, None]
            else:
                parts.append(piece.text)
                owners.append(piece)
            if piece.is_joined:
                parts.append("-")
                owners.append(None)
        for owner, tag in zip(owners, self._tagger.tags(parts), strict=True):
            if owner is not None:
                owner.tag = tag

    def _sound(self, group: Sequence[_Piece], after: After) -> None:
        """Give the pieces of a group, words joined by hyphens or one piece, their phonemes."""
        if not group[0].is_word:
            group[0].phonemes = group[0].text
            return
        if len(group) > 1:
            whole = "-".join(piece.text for piece in group)
            found = self._lexicon.phonemes(whole, group[-1].tag, after)
            if found is not None:
                group[0].phonemes = found
                return
        for piece in reversed(group):
            piece.phonemes = self._word(piece.text, piece.tag, after)
            after = _after([piece], after)
        _balance(group)

    def _word(self, word: str, tag: str, after: After) -> str:
        found = self._lexicon.phonemes(word, tag, after)
        if found is None and word.endswith("'"):
            found = self._lexicon.phonemes(word[:-1], tag, after)
        if found is None and (parts := _parts_by_case(word)):
            return "".join(self._word(part, tag, after) for part in parts)
        return self._unknown.phonemes(word) if found is None else found


def has_speech(phonemes: str) -> bool:
    """Return whether there is anything to be heard in ``phonemes``."""
    return any(sound in VOWELS or sound in CONSONANTS for sound in phonemes)


def _pieces(sentence: str) -> list[_Piece]:
    pieces: list[_Piece] = []
    is_open = False
    for match in _PIECE.finditer(sentence):
        kind, text = match.lastgroup, match[0]
        has_space = sentence[match.end() : match.end() + 1] == " "
        if kind == "hyphen":
            before, behind = sentence[: match.start()][-1:], sentence[match.end() :][:1]
            if pieces and pieces[-1].is_word and before.isalpha() and behind.isalpha():
                pieces[-1].is_joined = True
            continue
        if kind == "dash":
            text, has_space = "—", True
            if pieces:
                pieces[-1].has_space = True
        elif kind == "dots":
            text = "…"
        elif text == '"':
            text = "”" if is_open else "“"
            is_open = not is_open
        pieces.append(_Piece(text, kind == "word", has_space))
    return pieces


def _parts_by_case(word: str) -> list[str]:
    """Return the parts of a word such as "YouTube"; nothing for a word of one part."""
    parts = re.findall(rf"[^\W\d_]?(?:(?![A-Z]){_LETTERS}|')+|[A-Z]+(?![a-z])", word)
    is_split = len(parts) > 1 and "".join(parts) == word and word != word.upper()
    return parts if is_split else []


def _after(group: Sequence[_Piece], before: After) -> After:
    """Return what the word before ``group`` is followed by."""
    is_vowel = before.is_vowel
    for sound in "".join(piece.phonemes for piece in group):
        if sound in _ENDS_CLAUSE:
            is_vowel = None
        elif sound in VOWELS or sound in CONSONANTS:
            is_vowel = sound in VOWELS
        else:
            continue
        break
    return After(is_vowel, is_to=group[0].text.lower() == "to")


def _balance(group: Sequence[_Piece]) -> None:
    """Leave no more than half of the words of a compound a primary stress, the heavier ones."""
    if len(group) < 2:
        return
    if len(group) == 2 and len(group[0].text) == 1:
        group[1].phonemes = weaker(group[1].phonemes)
        return
    stressed = sum(PRIMARY in piece.phonemes for piece in group)
    if stressed <= (len(group) + 1) // 2:
        return
    lightest = sorted(group, key=lambda piece: (PRIMARY in piece.phonemes, len(piece.phonemes)))
    for piece in lightest[: len(group) // 2]:
        piece.phonemes = weaker(piece.phonemes)


def _cut(phonemes: str) -> Iterator[str]:
    """Yield ``phonemes`` in parts that the voice can speak, cut where a clause or a word ends."""
    part = ""
    for clause in _CLAUSE_END.split(phonemes):
        words = [clause] if len(clause) <= MOST_PHONEMES else clause.split(" ")
        for word in words:
            if part and len(part) + 1 + len(word) > MOST_PHONEMES:
                yield part
                part = ""
            part = f"{part} {word}" if part else word[:MOST_PHONEMES]
    if part:
        yield part
