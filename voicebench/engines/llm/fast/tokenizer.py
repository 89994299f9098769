"""A model folder's tokenizer and chat template, without importing transformers.

``tokenizer.json`` is read by the tokenizers library. The template is Jinja from a stranger's
file, so it is rendered in Jinja's sandbox; it gets the variables that templates expect (see
"Chat templates" in the documentation of transformers), except today's date: a reply must not
depend on the day it was measured on.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from voicebench.engines.llm.fast.model_shape import Unsupported
from voicebench.errors import ModelError
from voicebench.text.chat_template import (
    REASONING_MARKS,
    TURN_END_TOKENS,
    PastMessage,
    eos_ids,
    messages,
    messages_without_system,
    plain_turn,
)

_TOKEN_SETTINGS = ("bos_token", "eos_token", "unk_token", "pad_token")


class FolderTokenizer:
    """The tokenizer of a model folder; implements
    `voicebench.engines.llm.generation.ChatTokenizing`.
    """

    def __init__(self, folder: Path) -> None:
        """Read the tokenizer of ``folder``.

        Raises `ModelError` for a file that is missing or broken, `Unsupported` for a template that
        plain Jinja does not read.
        """
        from tokenizers import Tokenizer

        self._folder = folder
        path = folder / "tokenizer.json"
        if not path.is_file():
            raise ModelError(f"folder {folder} holds no tokenizer.json", "fetch the model again")
        try:
            self._tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises nothing more exact
            raise ModelError(f"{path} is no tokenizer ({error})", "fetch it again") from error
        settings = _read_json(folder / "tokenizer_config.json")
        self._template_variables = {
            name: text for name in _TOKEN_SETTINGS if (text := _token_text(settings.get(name)))
        }
        source = _template_source(folder, settings)
        self._template = None if source is None else _compile(source)
        self._turn_ends = self._find_turn_ends(folder)
        opens, closes = (self._tokenizer.token_to_id(mark) for mark in REASONING_MARKS)
        self._reasoning_marks = None if opens is None or closes is None else (opens, closes)

    @property
    def turn_ends(self) -> frozenset[int]:
        """The ids that end the model's turn."""
        return self._turn_ends

    @property
    def reasoning_marks(self) -> tuple[int, int] | None:
        """The ids that open and close a model's reasoning, where it has such ids."""
        return self._reasoning_marks

    @property
    def ends_at_line(self) -> bool:
        """Whether a reply is one line, because the model has no chat template."""
        return self._template is None

    def encode_turn(
        self, system_prompt: str, prompt: str, earlier: Sequence[PastMessage] = ()
    ) -> list[int]:
        """Return the ids after which the model's answer to ``prompt`` begins."""
        if self._template is None:
            ids: list[int] = self._tokenizer.encode(plain_turn(system_prompt, prompt, earlier)).ids
            return ids
        ids = self._tokenizer.encode(
            self._lay_out(system_prompt, prompt, earlier), add_special_tokens=False
        ).ids
        return ids

    def encode_text(self, text: str) -> list[int]:
        """Return the ids of plain text, nothing added."""
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ``ids`` without special tokens, spaces untouched."""
        text: str = self._tokenizer.decode(list(ids), skip_special_tokens=True)
        return text

    def _lay_out(self, system_prompt: str, prompt: str, earlier: Sequence[PastMessage]) -> str:
        import jinja2

        try:
            return self._render(messages(system_prompt, prompt, earlier))
        except jinja2.TemplateError:  # as templates say that they know no system role
            pass
        try:
            return self._render(messages_without_system(system_prompt, prompt, earlier))
        except jinja2.TemplateError as error:
            raise ModelError(
                f"the chat template of {self._folder} cannot be rendered ({error})",
                "fetch the model again, or write engine transformers",
            ) from error

    def _render(self, conversation: list[dict[str, str]]) -> str:
        assert self._template is not None
        text: str = self._template.render(
            messages=conversation,
            add_generation_prompt=True,
            enable_thinking=False,
            tools=None,
            documents=None,
            **self._template_variables,
        )
        return text

    def _find_turn_ends(self, folder: Path) -> frozenset[int]:
        added = {
            str(token): number
            for number, token in self._tokenizer.get_added_tokens_decoder().items()
        }
        named = {added[name] for name in TURN_END_TOKENS if name in added}
        eos = self._tokenizer.token_to_id(self._template_variables.get("eos_token", ""))
        return frozenset(
            named
            | eos_ids(
                eos,
                _read_json(folder / "config.json").get("eos_token_id"),
                _read_json(folder / "generation_config.json").get("eos_token_id"),
            )
        )


def _template_source(folder: Path, settings: dict[str, Any]) -> str | None:
    """Return the text of the chat template: a file of its own goes before the settings."""
    file = folder / "chat_template.jinja"
    if file.is_file():
        return file.read_text(encoding="utf-8")
    template = settings.get("chat_template")
    if template is None:
        template = _read_json(folder / "chat_template.json").get("chat_template")
    if isinstance(template, list):
        named = {entry.get("name"): entry.get("template") for entry in template}
        template = named.get("default")
    return template if isinstance(template, str) else None


def _compile(source: str) -> Any:
    import jinja2
    from jinja2.ext import loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    def raise_exception(message: str) -> None:
        raise jinja2.TemplateError(message)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols]
    )
    environment.globals["raise_exception"] = raise_exception
    environment.filters["tojson"] = lambda value, **_: json.dumps(value, ensure_ascii=False)
    try:
        return environment.from_string(source)
    except jinja2.TemplateError as error:
        raise Unsupported(f"its chat template is of an unknown kind ({error})") from error


def _token_text(setting: object) -> str:
    """Return a special token's text; settings give it plainly, or as an object with options."""
    if isinstance(setting, dict):
        setting = setting.get("content")
    return setting if isinstance(setting, str) else ""


def _read_json(path: Path) -> dict[str, Any]:
    """Return the object in ``path``, empty where there is no such file."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path} is no JSON ({error})", "fetch the model again") from error
    if not isinstance(content, dict):
        raise ModelError(f"{path} holds no JSON object", "fetch the model again")
    return content
