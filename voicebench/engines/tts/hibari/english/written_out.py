"""English text as it is read aloud: numbers, times, dates, money, units and abbreviations in words.

Rules are tried from the most special to the plainest. What a rule writes has no digits, so no later
rule reads it again.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from voicebench.engines.tts.hibari.english import numbers
from voicebench.engines.tts.hibari.english.reading_tables import (
    ABBREVIATIONS,
    FRACTIONS,
    MONEY,
    MONTHS,
    PLURALS,
    ROMAN,
    SYMBOLS,
    TITLES,
    UNITS,
)

_Match = re.Match[str]

_NUMBER = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+"
_MONTH = "|".join([*MONTHS, *(f"{month[:3]}(?=[. ])" for month in MONTHS), "Sept"])
_BIG = "hundred|thousand|million|billion|trillion"
_TYPOGRAPHY = str.maketrans({"’": "'", "‘": "'", "‒": "-", "−": "-", "\u00a0": " ", "―": "—"})


def written_out(text: str) -> str:
    """Return ``text`` on one line, with words for all that a voice would read as words."""
    text = " ".join(text.translate(_TYPOGRAPHY).split())
    for pattern, words in _RULES:
        text = pattern.sub(words, text)
    return " ".join(text.split())


def _clock(match: _Match) -> str:
    hour, minute, second, half = match["h"], match["m"], match["s"], match["half"]
    words = [numbers.cardinal(int(hour))]
    if minute is None or int(minute) == 0:
        words += [] if half else ["o'clock"]
    else:
        words.append(("oh " if int(minute) < 10 else "") + numbers.cardinal(int(minute)))
    if second and int(second):
        words.append(f"and {numbers.cardinal(int(second))} seconds")
    if half:
        words.append(f"{half[0].upper()}.M.")
    return " ".join(words)


def _date(year: str | None, month: int, day: int, otherwise: str) -> str:
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return otherwise
    words = f"{MONTHS[month - 1]} {numbers.ordinal(day)}"
    if year is None:
        return words
    number = int(year)
    if len(year) == 2:
        number += 1900 if number > 50 else 2000
    return f"{words}, {numbers.year(number)}"


def _month(name: str) -> int:
    return next(number for number, month in enumerate(MONTHS, 1) if month.startswith(name[:3]))


def _month_day(match: _Match) -> str:
    if not 1 <= int(match["d"]) <= 31:
        return match[0]
    words = f"{MONTHS[_month(match['month']) - 1]} {numbers.ordinal(int(match['d']))}"
    return words + (f", {numbers.year(int(match['y']))}" if match["y"] else "")


def _day_month(match: _Match) -> str:
    if not 1 <= int(match["d"]) <= 31:
        return match[0]
    month = MONTHS[_month(match["month"]) - 1]
    words = f"the {numbers.ordinal(int(match['d']))} of {month}"
    return words + (f", {numbers.year(int(match['y']))}" if match["y"] else "")


def _money(match: _Match) -> str:
    amount = match["n"].replace(",", "")
    one, many, small, smalls = MONEY[match["sign"]]
    if match["big"]:
        return f"{numbers.decimal(amount)} {match['big']} {many}"
    whole, _, rest = amount.partition(".")
    if len(rest) != 2 or not small:
        return f"{numbers.decimal(amount)} {one if amount == '1' else many}"
    words = []
    if int(whole or 0) or not int(rest):
        words.append(f"{numbers.cardinal(int(whole or 0))} {one if int(whole or 0) == 1 else many}")
    if int(rest):
        words.append(f"{numbers.cardinal(int(rest))} {small if int(rest) == 1 else smalls}")
    return " and ".join(words)


def _unit(match: _Match) -> str:
    first, *rest = UNITS[match["unit"]].split(" ")
    if match["n"] != "1":
        first = PLURALS.get(first, first if first == "kilowatt" else f"{first}s")
        if first == "kilowatt":
            rest = ["hours"] if rest else []
            first = "kilowatt" if rest else "kilowatts"
    minus = "minus " if match["minus"] else ""
    return " ".join([minus + numbers.decimal(match["n"]), first, *rest])


def _fraction(match: _Match) -> str:
    over, under = int(match["over"]), int(match["under"])
    if not 0 < over < under < len(FRACTIONS):
        return f"{numbers.cardinal(over)} slash {numbers.cardinal(under)}"
    name = FRACTIONS[under]
    if over > 1:
        name = "halves" if name == "half" else f"{name}s"
    whole = f"{numbers.cardinal(int(match['whole']))} and " if match["whole"] else ""
    return f"{whole}{numbers.cardinal(over) if over > 1 or not whole else 'a'} {name}"


def _roman(match: _Match) -> str:
    values = [ROMAN[letter] for letter in match["roman"]]
    total = sum(
        -value if any(later > value for later in values[place + 1 : place + 2]) else value
        for place, value in enumerate(values)
    )
    is_ordinal = match["who"] is not None
    words = f"the {numbers.ordinal(total)}" if is_ordinal else numbers.cardinal(total)
    return f"{match['who'] or match['what']} {words}"


def _decade(match: _Match) -> str:
    words = (
        numbers.year(int(match["n"])) if len(match["n"]) == 4 else numbers.cardinal(int(match["n"]))
    )
    return f"{words[:-1]}ies" if words.endswith("y") else f"{words}s"


def _number(match: _Match) -> str:
    text = match["n"]
    minus = "minus " if match["minus"] else ""
    is_year = len(text) == 4 and text.isdigit() and text[0] != "0" and not minus
    if is_year:
        return numbers.year(int(text))
    if text.isdigit() and len(text) > 1 and text[0] == "0":
        return minus + numbers.digits(text)
    return minus + numbers.decimal(text)


def _title(match: _Match) -> str:
    return f"{TITLES[match[1]]} "


def _abbreviation(match: _Match) -> str:
    is_last = match.end() == len(match.string)
    return ABBREVIATIONS[match[1]] + ("." if is_last else "")


def _rules() -> list[tuple[re.Pattern[str], Callable[[_Match], str]]]:
    titles, short = "|".join(TITLES), "|".join(map(re.escape, ABBREVIATIONS))
    units = "|".join(map(re.escape, sorted(UNITS, key=len, reverse=True)))
    signs = "|".join(map(re.escape, MONEY))
    symbols = "|".join(map(re.escape, SYMBOLS))
    kings = "Henry|Louis|George|Charles|Edward|James|William|Elizabeth|Richard|Pius|Napoleon"
    things = "Chapter|Part|Section|Volume|Act|Scene|Book|Phase|Type|Title|War|Level|Article"
    half_day = r"(?P<half>[AaPp]\.?[Mm]\b\.?)"
    rules: list[tuple[str, Callable[[_Match], str]]] = [
        (r"(?<=\w)\.(?=(?:com|org|net|edu|gov|io|dev|ai|uk|de)\b)", lambda _: " dot "),
        (
            rf"\b(?P<h>[01]?\d|2[0-4]):(?P<m>[0-5]\d)(?::(?P<s>[0-5]\d))?(?: ?{half_day})?(?!\d)",
            _clock,
        ),
        (rf"\b(?P<h>1[0-2]|[1-9])(?P<m>)(?P<s>)? ?{half_day}", _hour),
        (
            r"\b(\d{4})-(\d{2})-(\d{2})\b",
            lambda match: _date(match[1], int(match[2]), int(match[3]), match[0]),
        ),
        (
            r"\b(\d{1,2})/(\d{1,2})/(\d{4}|\d{2})\b",
            lambda match: _date(match[3], int(match[1]), int(match[2]), match[0]),
        ),
        (
            rf"\b(?P<month>{_MONTH})\.? (?P<d>\d{{1,2}})(?:st|nd|rd|th)?\b(?![:%\d])"
            r"(?:,? (?P<y>\d{4})\b)?",
            _month_day,
        ),
        (
            rf"\b(?:the )?(?P<d>\d{{1,2}})(?:st|nd|rd|th)?(?: of)? (?P<month>{_MONTH})\b\.?"
            r"(?:,? (?P<y>\d{4})\b)?",
            _day_month,
        ),
        (r"'?\b(?P<n>[1-9]0|[1-9]\d{2}0)'?s\b", _decade),
        (rf"(?P<sign>{signs}) ?(?P<n>{_NUMBER})(?: (?P<big>{_BIG})\b)?", _money),
        (rf"(?P<n>{_NUMBER}) ?¢", lambda match: f"{numbers.decimal(match['n'])} cents"),
        (rf"(?P<n>{_NUMBER}) ?%", lambda match: f"{numbers.decimal(match['n'])} percent"),
        (rf"(?<![\w.])(?P<minus>-)?(?P<n>{_NUMBER}) ?(?P<unit>{units})(?!\w)", _unit),
        (
            r"(?<![\w.-])\(?(\d{3})\)?[ -](\d{3})-(\d{4})(?![\w-])",
            lambda match: ", ".join(numbers.digits(match[part]) for part in (1, 2, 3)),
        ),
        (
            r"(?<![\w.-])(\d{3})-(\d{4})(?![\w-])",
            lambda match: ", ".join(numbers.digits(match[part]) for part in (1, 2)),
        ),
        (rf"\b(?:(?P<who>{kings})|(?P<what>{things})) (?P<roman>[IVXLC]+)\b", _roman),
        (
            r"(?<![\w./])(?:(?P<whole>\d+) )?(?P<over>\d{1,2})/(?P<under>\d{1,2})(?![\w/])",
            _fraction,
        ),
        (
            r"\b(?P<n>\d{1,4})(?:st|nd|rd|th)\b",
            lambda match: numbers.ordinal(int(match["n"])),
        ),
        (r"(?<=\d) ?[-–] ?(?=\d)", lambda _: " to "),
        (r"#(?=\d)|\b[Nn]o\. ?(?=\d)", lambda _: "number "),
        (rf"\b({titles})\.? (?=[A-Z])", _title),
        (rf"(?<![\w.])({short})\.(?!\w)", _abbreviation),
        (r"(?<=[A-Za-z])(?=\d)|(?<=\d)(?=[A-Za-z])", lambda _: " "),
        (rf"(?<!\w)(?P<minus>-)?(?P<n>{_NUMBER})", _number),
        (rf"(?P<minus>)(?P<n>{_NUMBER})", _number),
        (symbols, lambda match: f" {SYMBOLS[match[0]]} "),
    ]
    return [(re.compile(pattern), words) for pattern, words in rules]


def _hour(match: _Match) -> str:
    return f"{numbers.cardinal(int(match['h']))} {match['half'][0].upper()}.M."


_RULES = _rules()
