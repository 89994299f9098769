"""Prompts: what the user says in the turns of a run.

A set has the prompts that are *measured*, in their order, and other prompts of the same shape for
the turns before (cold and warm-up). A warm-up prompt is never measured too: it would leave its
words in the model's caches.

Three sets are built in: ``english`` and ``french`` (48 short spoken requests each) and
``reference`` (8 prompts of 65 to 78 characters). Your own set is a UTF-8 file:

- text: one prompt a line; blank lines and lines that begin with ``#`` are skipped;
- JSONL (``.jsonl``, ``.ndjson``): each line a string, or an object with a string as its ``prompt``
  (or ``text``).

A file may hold conversations: what the user says in the turns of each, one after the other. In a
text file a line ``---`` ends a conversation. In JSONL a conversation is a line with a list of
strings; a prompt beside such lists is a conversation of one turn.

A prompt is one line of at most `MAX_CHARACTERS`. Control characters, including tabs and line breaks
inside the prompt, are errors. Spaces around a prompt are removed.
"""

from __future__ import annotations

import difflib
import json
import os
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from voicebench.errors import UsageError

MAX_CHARACTERS = 8_000
"""The longest prompt: about ten minutes of speech."""

MAX_FILE_BYTES = 16 * 2**20
"""The largest file of prompts."""

CONVERSATION_END = "---"
"""The line that ends a conversation in a text file."""

_HERE = Path(__file__).parent
_BUILT_IN = {"english": "en", "french": "fr", "reference": "en"}
_SET_OF_LANGUAGE = {"en": "english", "fr": "french"}
_FRENCH = frozenset({"fr", "fra", "fre", "french"})
_JSON_SUFFIXES = frozenset({".jsonl", ".ndjson", ".json"})
_LINE_BREAKS = frozenset({"Zl", "Zp"})
_INVISIBLE = frozenset({"Zs", "Cf"})


@dataclass(frozen=True, slots=True)
class PromptSet:
    """The prompts of a run. Prompts that are also measured are removed from ``warmup``.

    ``conversations`` has the measured prompts by conversation, if the file groups them. Raises
    `voicebench.errors.UsageError` if ``measured`` or ``warmup`` is then empty.
    """

    measured: tuple[str, ...]
    warmup: tuple[str, ...]
    conversations: tuple[tuple[str, ...], ...] = ()

    def __post_init__(self) -> None:
        if not self.measured:
            raise UsageError("there is no prompt to measure", "give at least one")
        measured = {_spoken(prompt) for prompt in self.measured}
        warmup = tuple(prompt for prompt in self.warmup if _spoken(prompt) not in measured)
        if not warmup:
            raise UsageError(
                "every prompt for warming up is also measured",
                "take one out of the measured prompts",
            )
        object.__setattr__(self, "warmup", warmup)

    def rotate(self, count: int) -> tuple[str, ...]:
        """Return ``count`` measured prompts in order, from the first again after the last."""
        return _rotate(self.measured, count)

    def in_conversations(self, count: int, turns: int) -> tuple[tuple[str, ...], ...]:
        """Return ``count`` measured prompts, grouped into conversations.

        They are those of the file, in order, from the first again after the last. Else each has
        ``turns`` of the prompts of `rotate`. The last conversation may be shorter.
        """
        groups = self.conversations
        if not groups:
            prompts = self.rotate(count)
            return tuple(prompts[first : first + turns] for first in range(0, count, turns))
        taken: list[tuple[str, ...]] = []
        while count > 0:
            group = groups[len(taken) % len(groups)][:count]
            taken.append(group)
            count -= len(group)
        return tuple(taken)

    def rotate_warmup(self, count: int) -> tuple[str, ...]:
        """Return ``count`` warm-up prompts in order, from the first again after the last."""
        return _rotate(self.warmup, count)


def load(source: str | Path | None = None, language: str = "en") -> PromptSet:
    """Return the prompts of a file, of a built-in set by name, or of the set of ``language``.

    ``language`` is any tag that `language_of` takes; it also selects the warm-up prompts for a
    file. For a file that has the name of a built-in set, write ``./english``. Raises
    `voicebench.errors.UsageError` with the file and the line.
    """
    if source is None:
        source = _SET_OF_LANGUAGE[language_of(language)]
    if isinstance(source, str) and source in _BUILT_IN:
        return PromptSet(_built_in(source), _built_in(f"{source}-warmup"))
    name = _SET_OF_LANGUAGE[language_of(language)]
    groups, are_conversations = _read(Path(os.path.expanduser(source)), str(source))
    prompts = _with_warmup_of(name, _flat(groups))
    return replace(prompts, conversations=groups) if are_conversations else prompts


def from_prompts(prompts: Iterable[str], language: str = "en") -> PromptSet:
    """Return a set of checked ``prompts``, with the warm-up prompts of ``language``."""
    return _with_warmup_of(_SET_OF_LANGUAGE[language_of(language)], tuple(prompts))


def check_prompt(text: str, where: str) -> str:
    """Return ``text`` without the spaces around it. Raises `UsageError` if it is not a prompt.

    ``where`` is its place, for the error: "--prompt" or "my.txt, line 3". Anything that a reader
    can see is allowed, also an emoji.
    """
    if len(text) > MAX_CHARACTERS:
        raise UsageError(
            f"{where}: the prompt has {len(text):,} characters",
            f"a prompt may have at most {MAX_CHARACTERS:,}",
        )
    prompt = text.strip(" \t\r\n")
    for position, char in enumerate(prompt, start=1):
        category = unicodedata.category(char)
        if category == "Cs":
            raise UsageError(
                f"{where}: character {position} of the prompt is not text (U+{ord(char):04X})",
                "write the prompt in UTF-8",
            )
        if category == "Cc" or category in _LINE_BREAKS:
            raise UsageError(
                f"{where}: character {position} of the prompt is a control character "
                f"(U+{ord(char):04X})",
                "a prompt is one line of plain text",
            )
    if all(unicodedata.category(char) in _INVISIBLE for char in prompt):
        raise UsageError(f"{where}: the prompt is empty", "write what the user says")
    return prompt


def language_of(tag: str | None) -> str:
    """Return "en" or "fr" for a language tag ("fr-fr", "fr_CA", "fra"); "en" for others."""
    return "fr" if primary_subtag(tag) in _FRENCH else "en"


def primary_subtag(tag: str | None) -> str:
    """Return the language of a tag without region or script: "fr" of "fr_CA"; "" of None."""
    return (tag or "").lower().replace("_", "-").partition("-")[0]


def _spoken(prompt: str) -> str:
    """Return ``prompt`` without case and extra spaces, to find prompts that sound the same."""
    return " ".join(unicodedata.normalize("NFC", prompt).casefold().split())


def _rotate(prompts: tuple[str, ...], count: int) -> tuple[str, ...]:
    return tuple(prompts[index % len(prompts)] for index in range(count))


def _built_in(name: str) -> tuple[str, ...]:
    return _flat(_read(_HERE / f"{name}.txt", f"the built-in set '{name}'")[0])


def _flat(groups: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(prompt for group in groups for prompt in group)


def _with_warmup_of(name: str, measured: tuple[str, ...]) -> PromptSet:
    """Add the warm-up prompts of the set ``name``, or its others if all of them are measured."""
    taken = {_spoken(prompt) for prompt in measured}
    warmup = _built_in(f"{name}-warmup")
    if all(_spoken(prompt) in taken for prompt in warmup):
        warmup = _built_in(name)
    return PromptSet(measured, warmup)


def _read(path: Path, shown: str) -> tuple[tuple[tuple[str, ...], ...], bool]:
    """Return the prompts of one file in groups, and whether these are conversations.

    Errors call the file ``shown``.
    """
    lines = list(_lines(_bytes_of(path, shown), shown))
    if path.suffix.lower() in _JSON_SUFFIXES:
        read = [_json_prompts(line, where) for where, line in lines]
        groups, are_conversations = [group for group, _ in read], any(many for _, many in read)
    else:
        groups = [()]
        for where, line in lines:
            if line == CONVERSATION_END:
                groups.append(())
            elif not line.startswith("#"):
                groups[-1] += (_text_prompt(line, where),)
        are_conversations = len(groups) > 1
    found = tuple(filter(None, groups))
    if not found:
        raise UsageError(f"{shown} has no prompts", "write one a line")
    return found, are_conversations


def _bytes_of(path: Path, shown: str) -> bytes:
    """Return the content of the file, if it is a file and not too large."""
    try:
        if path.is_dir():
            raise UsageError(f"{shown} is a folder", "name a file of prompts in it")
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        close = difflib.get_close_matches(shown, _BUILT_IN, n=1)
        guess = f"did you mean {close[0]}? " if close else ""
        raise UsageError(
            f"there is no file of prompts {shown}",
            f"{guess}give the path of one, or a built-in set: {', '.join(_BUILT_IN)}",
        ) from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"{shown} cannot be read ({reason})", "give a readable file") from None
    if len(data) > MAX_FILE_BYTES:
        raise UsageError(
            f"{shown} is larger than {MAX_FILE_BYTES // 2**20} MiB", "give fewer prompts"
        )
    return data


def _lines(data: bytes, shown: str) -> Iterator[tuple[str, str]]:
    """Yield the place and the text of each line that is not blank.

    Only line feeds end a line: a form feed or another control character inside a prompt is an
    error.
    """
    for number, raw in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        where = f"{shown}, line {number}"
        try:
            line = raw.decode("utf-8").strip(" \t\r")
        except UnicodeDecodeError as error:
            raise UsageError(
                f"{where}: byte {error.start + 1} is not UTF-8", "save the file as UTF-8"
            ) from None
        if line:
            yield where, line


def _text_prompt(line: str, where: str) -> str:
    if line.startswith("{") and isinstance(_parsed(line), dict):
        raise UsageError(f"{where} is a JSON object in a text file", "name the file .jsonl")
    return check_prompt(line, where)


def _json_prompts(line: str, where: str) -> tuple[tuple[str, ...], bool]:
    """Return the prompts of a line, and whether they are a conversation."""
    value = _parsed(line)
    if isinstance(value, list):
        if not value or not all(isinstance(said, str) for said in value):
            raise UsageError(
                f"{where} is not a conversation in JSON",
                "write a list of strings: what the user says, turn by turn",
            )
        places = [f"{where}, turn {number}" for number in range(1, len(value) + 1)]
        return tuple(map(check_prompt, value, places)), True
    if isinstance(value, dict):
        value = value.get("prompt", value.get("text"))
    if not isinstance(value, str):
        raise UsageError(
            f"{where} is not a prompt in JSON",
            'write a string, or an object with a string as its "prompt", on each line; a list of '
            "strings is a conversation",
        )
    return (check_prompt(value, where),), False


def _parsed(line: str) -> object:
    """Return the JSON value of ``line``; None if it is not JSON, or too deeply nested."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None
