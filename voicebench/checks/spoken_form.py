"""English texts as they are spoken, so that "9:30 AM" and "nine thirty a.m." are the same words.

A recogniser chooses how to write what it hears: figures or words, "Dr." or "doctor". Texts with
figures, abbreviations and initials are brought to one form before their words are compared: what a
voice would read out is written out, and initials become one word.
"""

from __future__ import annotations

import re

from voicebench.engines.tts.hibari.english.written_out import written_out

_INITIALS = re.compile(r"\b\w(?: \w\b)+")
_AND = re.compile(r"\b(hundred|thousand|million|billion) and\b")
_DECIMAL_TIME = re.compile(r"\b(\d{1,2})\.([0-5]\d)(?!\d)")


def spoken_form(text: str) -> str:
    """Return the words of ``text`` in lower case, with figures and abbreviations written out."""
    words = re.sub(r"[^\w]|_", " ", re.sub(r"['’]", "", written_out(text).lower()))
    words = _AND.sub(r"\1", " ".join(words.split()))
    return _INITIALS.sub(lambda found: found[0].replace(" ", ""), words)


def readings(text: str) -> tuple[str, ...]:
    """Return the spoken forms that ``text`` may stand for.

    A recogniser may write a time as a decimal number: "9.30" is nine thirty, or nine point three.
    """
    timed = _DECIMAL_TIME.sub(r"\1:\2", text)
    return tuple(dict.fromkeys((spoken_form(text), spoken_form(timed))))
