"""Text chunks: where to cut a reply that is still being written, for the synthesizer.

A synthesizer speaks a piece of text, not a token. The first chunk is short (3 words) so that sound
starts early. Later chunks are longer (about 8 words) so that they sound like speech. Ends of
sentences, clauses and lines close a chunk early. A clause mark does so only after half the words:
otherwise a list would be spoken one word at a time.

The text is read one character at a time, and nothing is read twice. So the chunks do not depend on
how the text is cut into tokens. The chunks joined are the text: nothing is stripped or rewritten.
Spaces between two chunks belong to the first, as far as they are known when it closes.

**How early a chunk closes** is part of the time to first audio, so each rule waits only for the
characters that it needs:

===============================  ==================================================================
what closes the chunk            the last character it has to see
===============================  ==================================================================
a line end                       the line end
``,`` ``;`` after a letter       the mark itself, in a first chunk of only words and spaces: no
                                 number, URL or open quote is possible there
a mark (``.`` ``!`` ``?``        the space after it: "3.14", "10:30", "?!", ``."`` and URLs go on
``,`` ``:`` ``—`` …) elsewhere   there. Short forms that end no sentence ("Dr.", "U.S.") are known.
                                 A mark in the next chunk would be heard: espeak-ng reads a lone "!"
``.`` after "No", "fig", "Jan"   the character after the space: a digit makes it "No. 5"
any mark inside ``« »``          the character after the space, which may be the ``»``
``。`` ``！`` ``、`` …              the next character, which may be a closing bracket
the number of words              the character after the space: a mark there belongs to the last
                                 word ("ça va ?", "so — "). Tokens that begin with their space bring
                                 both at once
===============================  ==================================================================

**Bound words** (`voicebench.text.orthography.is_bound_to`) may lengthen a chunk, to at most twice
its words: "Dr." and "Smith", initials, "100 000".

**Counting words**: a word stands between two spaces or em dashes and has a letter or a digit;
no-break spaces are inside a word. In Chinese and Japanese two characters count as a word. (Thai,
Lao and Khmer, also without spaces between words, are cut at their spaces and by length.) A chunk
without a word (spaces, an emoji, a bullet) waits for the next word; only the end of the reply or
the length limit closes it.

**Length**: a chunk of `MAX_CHARACTERS` is cut: before its last word if it has others, otherwise
inside the word. It is never cut inside what a reader sees as one character (accents, emoji
sequences, flags), unless that is as long again.
"""

from __future__ import annotations

from voicebench.errors import UsageError
from voicebench.text.orthography import (
    CLAUSE_MARKS,
    CLOSERS,
    DASHES,
    LINE_ENDS,
    MARKS,
    OPENERS,
    UNITS_AFTER_A_SPACE,
    WIDE_MARKS,
    is_bound_to,
    is_bound_without_space,
    is_one_character,
    is_regional_indicator,
    is_short_form,
    is_space,
    is_unspaced,
    leads_a_number,
    word_in,
)

MAX_CHARACTERS = 200
"""A chunk of this length is cut."""

_MARKS_THAT_CLOSE_AT_ONCE = frozenset(",;，、；")
_PLAIN_MARKS = _MARKS_THAT_CLOSE_AT_ONCE | frozenset("!?！？。¿¡")


class Chunker:
    """Cuts one reply into text chunks while it is being written.

    ``first_words`` and ``later_words`` are the sizes of the first chunk and of all others.
    Raises `voicebench.errors.UsageError` for a size below 1.
    """

    def __init__(self, first_words: int = 3, later_words: int = 8) -> None:
        for name, words in (("first", first_words), ("later", later_words)):
            if words < 1:
                raise UsageError(f"the {name} text chunk has {words} words", "give at least 1")
        self._words = first_words
        self._later_words = later_words
        self._is_first = True
        self._is_plain = True  # only words, spaces and their marks so far
        self._held: list[str] = []
        self._half_words = 0  # a word counts 2, a Chinese or Japanese character 1
        self._in_word = False
        self._mark = ""  # the last mark after the last word
        self._token_start = 0  # where in _held the last run without a space begins
        self._half_words_before_token = 0
        self._guillemets = 0  # open «; below 0 inside »German« quotes
        self._half_flag = False  # the second half of a flag may follow
        self._on_new_line = True  # the first word of the chunk begins a line

    def feed(self, text: str) -> list[str]:
        """Take the next piece of the reply, of any length, and return the chunks that it closes."""
        closed: list[str] = []
        for char in text:
            if len(self._held) >= MAX_CHARACTERS and self._may_cut_before(char):
                closed.append(self._cut())
            if self._ends_before(char):
                closed.append(self._close())
            self._take(char)
            if self._ends_after(char):
                closed.append(self._close())
        return closed

    def finish(self) -> list[str]:
        """End the reply: return the rest as one chunk, or nothing."""
        return [self._close()] if self._held else []

    def _take(self, char: str) -> None:
        """Add ``char`` to the open chunk, and update the counts."""
        if is_space(char):
            self._in_word = False
        else:
            self._take_visible(char)
        self._is_plain = self._is_plain and (
            char.isalnum()
            or char.isspace()
            or char in _PLAIN_MARKS
            or (char in "'’-" and self._in_word)
        )
        self._half_flag = is_regional_indicator(char) and not self._half_flag
        self._on_new_line = self._on_new_line or char in LINE_ENDS
        self._held.append(char)

    def _take_visible(self, char: str) -> None:
        """Count words, and keep the mark after the last one."""
        begins_token = not self._held or is_space(self._held[-1])
        if begins_token:
            self._token_start = len(self._held)
            self._half_words_before_token = self._half_words
        if begins_token and char in DASHES and self._is_digit_before():
            self._mark = ""  # "5 - 3", "10 – 20"
        elif char == "-":
            # A hyphen is a dash only if it is alone: "well - you know", "well -- you".
            self._mark = "-" if begins_token or self._mark == "-" else ""
        elif char in MARKS:
            self._mark = char
            self._in_word = self._in_word and char != "—"
        elif is_unspaced(char):
            self._half_words += 1
            self._in_word = False
            self._mark = ""
        elif char.isalnum():
            self._half_words += 0 if self._in_word else 2
            self._in_word = True
            self._mark = ""
        elif char == "«":
            self._guillemets += 1
        elif char == "»":
            self._guillemets -= 1

    def _close(self) -> str:
        """Return all that is held, and start the next chunk."""
        text = "".join(self._held)
        if self._half_words:  # a chunk without a word is not the first chunk
            self._words = self._later_words
            self._is_first = False
            self._on_new_line = self._held[-1] in LINE_ENDS
        self._held = []
        self._half_words = 0
        self._in_word = False
        self._mark = ""
        self._token_start = 0
        self._half_words_before_token = 0
        return text

    def _cut(self) -> str:
        """Return a chunk that is too long, without its last word if it has others."""
        words_before = self._half_words_before_token
        if is_space(self._held[-1]) or not words_before:
            return self._close()
        token = self._held[self._token_start :]
        half_words, mark, in_word = self._half_words - words_before, self._mark, self._in_word
        del self._held[self._token_start :]
        text = self._close()
        self._held, self._half_words, self._mark, self._in_word = token, half_words, mark, in_word
        return text

    def _may_cut_before(self, char: str) -> bool:
        """Return whether a chunk that is too long may be cut before ``char``."""
        if len(self._held) >= 2 * MAX_CHARACTERS:
            return True
        if self._half_flag and is_regional_indicator(char):
            return False
        return not is_one_character(self._held[-1], char)

    def _ends_before(self, char: str) -> bool:
        """Return whether ``char`` shows that the open chunk is complete without it."""
        if not self._half_words or is_space(char):
            return False
        last = self._held[-1]
        if is_one_character(last, char):
            return False
        return self._ends_in_space(char) if is_space(last) else self._ends_in_token(last, char)

    def _ends_in_space(self, char: str) -> bool:
        """Decide at ``char``, the first character after a space."""
        if self._half_words >= 4 * self._words:
            return True
        if self._is_finished():  # the character after the space decides
            is_closing = char == "»" and self._guillemets > 0
            return not (is_closing or (char.isdigit() and leads_a_number(word_in(self._token()))))
        if self._half_words < 2 * self._words:
            return False
        return not (self._trails(char) or is_bound_to(self._token(), char))

    def _trails(self, char: str) -> bool:
        """Return whether ``char``, after a space, belongs to the text before the space."""
        if char == "»":
            return self._guillemets > 0
        if char in UNITS_AFTER_A_SPACE:
            return self._token()[-1].isdigit()
        return char != "-" and (char in MARKS or char in CLOSERS)

    def _ends_in_token(self, last: str, char: str) -> bool:
        """Decide between ``last`` and ``char``, which no space divides."""
        if last in OPENERS or not (char.isalnum() or char in OPENERS):
            return False
        is_unspaced_text = is_unspaced(last) or is_unspaced(char)
        if is_unspaced_text and self._half_words >= 4 * self._words:
            return True
        if self._mark:
            if char.isdigit() and self._is_digit_before():
                return False
            divides = last == "—" or self._mark in WIDE_MARKS or is_unspaced(char)
            return divides and self._is_finished()
        if not is_unspaced_text or self._half_words < 2 * self._words:
            return False
        return not is_bound_without_space(last, char)

    def _ends_after(self, char: str) -> bool:
        """Return whether the chunk is complete now that ``char`` is in it."""
        if not self._half_words:
            return False
        if char in LINE_ENDS:
            return True
        if is_space(char):
            return self._is_finished() and not self._may_go_on_after_space()
        return (
            self._is_first
            and self._is_plain
            and char in _MARKS_THAT_CLOSE_AT_ONCE
            and self._held[-2].isalpha()
            and self._is_finished()
        )

    def _is_finished(self) -> bool:
        """Return whether the words so far end with a mark that closes a sentence or a clause."""
        if not self._mark:
            return False
        if self._mark in CLAUSE_MARKS:
            return self._half_words >= 2 * max(1, self._words // 2)
        return self._mark != "." or not self._is_period_of_word()

    def _is_period_of_word(self) -> bool:
        """Return whether the period after the last word is part of it: "Dr.", "U.S.", "1."."""
        word = word_in(self._token())
        is_list_number = (
            self._on_new_line and self._half_words == 2 and word.isdigit() and len(word) <= 2
        )
        return is_list_number or is_short_form(word)

    def _may_go_on_after_space(self) -> bool:
        """Return whether the sentence or clause may go on after the space."""
        return self._guillemets > 0 or (
            self._mark == "." and leads_a_number(word_in(self._token()))
        )

    def _is_digit_before(self) -> bool:
        """Return whether a digit is before the last character."""
        return len(self._held) > 1 and self._held[-2].isdigit()

    def _token(self) -> str:
        """Return the last run of characters without a space."""
        return "".join(self._held[self._token_start :]).rstrip()


def chunk(text: str, first_words: int = 3, later_words: int = 8) -> list[str]:
    """Cut a whole text as `Chunker` would while it is being written."""
    chunker = Chunker(first_words, later_words)
    return chunker.feed(text) + chunker.finish()
