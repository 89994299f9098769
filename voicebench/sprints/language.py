"""The languages of a sprint's page, and text that somebody wrote in each of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Lang = Literal["en", "fr"]
LANGUAGES: tuple[Lang, ...] = get_args(Lang)


@dataclass(frozen=True, slots=True)
class Text:
    """What a person wrote, in each language. A text in one language stands for both."""

    en: str
    fr: str

    def in_language(self, lang: Lang) -> str:
        """Return the text in ``lang``."""
        return self.fr if lang == "fr" else self.en
