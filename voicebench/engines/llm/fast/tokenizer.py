"""A model folder's tokenizer and chat template, without importing transformers.

The tokenizers library reads ``tokenizer.json``. The template is foreign Jinja code, so it is
rendered in Jinja's sandbox. It gets the variables that templates expect (see "Chat templates" in
the documentation of transformers), except today's date: a reply must not depend on the day.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from voicebench.engines.llm.chat_tokenizer import ChatTokenizer
from voicebench.engines.llm.fast.model_shape import Unsupported
from voicebench.errors import ModelError

_TOKEN_SETTINGS = ("bos_token", "eos_token", "unk_token", "pad_token")


class FolderTokenizer(ChatTokenizer):
    """The tokenizer of a model folder."""

    def __init__(self, folder: Path) -> None:
        """Read the tokenizer of ``folder``.

        Raises `ModelError` for a file that is missing or broken, `Unsupported` for a template that
        plain Jinja cannot read.
        """
        from tokenizers import Tokenizer

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
        added = self._tokenizer.get_added_tokens_decoder()
        super().__init__(
            str(folder),
            {str(token): number for number, token in added.items()},
            self._tokenizer.token_to_id(self._template_variables.get("eos_token", "")),
            _read_json(folder / "config.json").get("eos_token_id"),
            _read_json(folder / "generation_config.json").get("eos_token_id"),
            has_template=source is not None,
        )

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ``ids`` without special tokens, with all spaces."""
        text: str = self._tokenizer.decode(list(ids), skip_special_tokens=True)
        return text

    def _encode(self, text: str, *, special: bool) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=special).ids
        return ids

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


def _template_source(folder: Path, settings: dict[str, Any]) -> str | None:
    """Return the chat template: a file of its own comes before the settings."""
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
    """Return a special token's text; the setting is the text, or an object with options."""
    if isinstance(setting, dict):
        setting = setting.get("content")
    return setting if isinstance(setting, str) else ""


def _read_json(path: Path) -> dict[str, Any]:
    """Return the JSON object in ``path``; empty if there is no such file."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path} is no JSON ({error})", "fetch the model again") from error
    if not isinstance(content, dict):
        raise ModelError(f"{path} holds no JSON object", "fetch the model again")
    return content
