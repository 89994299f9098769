"""The reference pages that are made from the code: commands, exit codes, errors, Python interface.

`tools/write_docs.py` puts these parts into ``docs/reference/``.
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import typer.main

import voicebench
from voicebench import errors, events
from voicebench.cli import app
from voicebench.cli.option_groups import GROUPS, OTHERS, GroupedCommand
from voicebench.errors import ExitCode, VoicebenchError

INTERFACE = (
    *("measure", "read_run", "read_load", "record", "Run", "Judgement", "RecordedTurn"),
    *("MeasuredLoad", "MeasuredLevel", "Target"),
)
"""The order in which the page has the names of the Python interface."""

_GROUP_OF = {option: group for group, options in GROUPS.items() for option in options}


def commands() -> str:
    """Return every command with its usage, its help and its options."""
    root: Any = typer.main.get_command(app)
    return "\n\n".join(_command("voicebench", root, _own_heading=False))


def _command(path: str, command: Any, *, _own_heading: bool = True) -> Iterator[str]:
    context = command.context_class(command, info_name=path)
    if _own_heading:
        yield f"## {path}"
        yield f"```text\n{command.get_usage(context).removeprefix('Usage: ')}\n```"
        yield from _help(command.help or "")
    if hasattr(command, "commands"):
        for name, inner in command.commands.items():
            if not inner.hidden:
                yield from _command(f"{path} {name}", inner)
        return
    grouped: dict[str, list[tuple[str, str]]] = {}
    for parameter in command.params:
        record = parameter.get_help_record(context)
        if record is not None:
            grouped.setdefault(_group_of(command, parameter), []).append(record)
    order = ["Arguments", *GROUPS, OTHERS, "Options"]
    for title in sorted(grouped, key=order.index):
        yield _option_table(title, grouped[title])


def _group_of(command: Any, parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return "Arguments"
    if not isinstance(command, GroupedCommand):
        return "Options"
    return next((_GROUP_OF[name] for name in parameter.opts if name in _GROUP_OF), OTHERS)


def _option_table(title: str, records: Iterable[tuple[str, str]]) -> str:
    rows = [f"| {title} | meaning |", "|---|---|"]
    rows += [f"| `{_cell(words)}` | {_cell(said)} |" for words, said in records]
    return "\n".join(rows)


def _help(text: str) -> Iterator[str]:
    """Yield the paragraphs of a help text; examples become blocks of code."""
    examples: list[str] = []
    listed = False
    for paragraph in inspect.cleandoc(text.replace("\b", "")).split("\n\n"):
        line = " ".join(paragraph.split())
        alone = re.match(r"Examples?: (voicebench .*)", line)
        if line in ("Example:", "Examples:"):
            listed = True
        elif alone or (listed and not line.endswith(".")):
            examples += [alone[1] if alone else line]
        else:
            yield _safe(line)
    if examples:
        yield "\n".join(["```sh", *examples, "```"])


def exit_codes() -> str:
    """Return the exit codes of all commands as a Markdown table."""
    meanings = _texts_below_names(ExitCode)
    rows = ["| code | name | meaning |", "|---:|---|---|"]
    rows += [f"| {code.value} | `{code.name}` | {meanings[code.name]} |" for code in ExitCode]
    return "\n".join(rows)


def error_classes() -> str:
    """Return every error that a user can get, with its exit code, as a Markdown table."""
    rows = ["| error | exit code | meaning |", "|---|---:|---|"]
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, VoicebenchError):
            meaning = _cell(_markdown(" ".join((inspect.getdoc(kind) or "").split())))
            rows.append(f"| `{kind.__name__}` | {kind.exit_code.value} | {meaning} |")
    return "\n".join(rows)


def python_interface() -> str:
    """Return the names of the Python interface with their signatures and docstrings."""
    parts: list[str] = []
    for name in INTERFACE:
        found = getattr(voicebench, name)
        parts.append(f"### {name}")
        if inspect.isclass(found):
            parts += [_markdown(inspect.getdoc(found) or ""), *_members(found)]
        else:
            parts += [_signature(name, found), _markdown(inspect.getdoc(found) or "")]
    return "\n\n".join(parts)


def event_classes() -> str:
    """Return the events that a pipeline emits, with their fields, as a Markdown table."""
    rows = ["| event | fields | meaning |", "|---|---|---|"]
    for kind in _classes_of(events):
        fields = ", ".join(f"`{field}`" for field in inspect.get_annotations(kind)) or "–"
        meaning = " ".join(_markdown(inspect.getdoc(kind) or "").split())
        rows.append(f"| `{kind.__name__}` | {fields} | {_cell(meaning)} |")
    return "\n".join(rows)


def _classes_of(module: ModuleType) -> Iterator[type]:
    for found in vars(module).values():
        if isinstance(found, type) and found.__module__ == module.__name__:
            yield found


def _members(kind: type) -> Iterator[str]:
    texts = _texts_below_names(kind)
    for name, member in {**inspect.get_annotations(kind), **vars(kind)}.items():
        if name.startswith("_"):
            continue
        if inspect.isfunction(member):
            yield _signature(f"{kind.__name__}.{name}", member)
            yield _markdown(inspect.getdoc(member) or "")
        elif isinstance(member, property):
            yield f"`{kind.__name__}.{name}`: {_markdown(inspect.getdoc(member) or '')}"
        elif name in texts:
            yield f"`{kind.__name__}.{name}`: {_markdown(texts[name])}"


def _signature(name: str, function: Any) -> str:
    """Return the signature as a block of code, one parameter a line if it is long."""
    written = str(inspect.signature(function)).replace("(self, ", "(").replace("(self)", "()")
    text = name + re.sub(r"(: |-> )'([^']*)'", r"\1\2", written)
    if len(text) > 80:
        inner, closing, returned = text[text.index("(") + 1 :].rpartition(")")
        lines = re.split(r", (?![^\[]*\])", inner)
        text = "\n".join([name + "(", *(f"    {line}," for line in lines), closing + returned])
    return f"```python\n{text}\n```"


def _texts_below_names(kind: type) -> dict[str, str]:
    """Return the string below each name in the body of a class: its documentation."""
    [definition] = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(definition, ast.ClassDef)
    found: dict[str, str] = {}
    for above, below in zip(definition.body, definition.body[1:], strict=False):
        match above, below:
            case (
                ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                found[name] = " ".join(text.split())
    return found


def _markdown(docstring: str) -> str:
    """Return a docstring as Markdown; pages that it names become links."""
    text = docstring.replace("``", "`").replace("voicebench.errors.", "")
    return re.sub(
        r"docs/([\w/-]+?)\.md", lambda page: f"[{Path(page[1]).name}](../{page[1]}.md)", text
    )


def _safe(text: str) -> str:
    """Return prose in which Markdown and HTML see no mark."""
    return re.sub(r"([<*_])", r"\\\1", text)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
