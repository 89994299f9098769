"""Options in groups: the help of a command with many options lists them by purpose."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from typer.core import TyperCommand

GROUPS: dict[str, tuple[str, ...]] = {
    "Target and server": (
        *("--target", "--server", "--llm-url", "--tts-url", "--key-env", "--agent"),
        *("--llm", "--voice", "--device", "--cold-connection"),
        *("--host", "--port", "--token-env", "--ears"),
    ),
    "Turns and calls": (
        *("--runs", "--warmup", "--prompt", "--prompts", "--turns-per-conversation", "--pause"),
        *("--idle-gap", "--callers", "--calls", "--turns", "--trace", "--queue", "--ask"),
        *("--check", "--save-audio", "--script"),
    ),
    "Load": (
        *("--max", "--from", "--precision", "--for", "--ramp", "--seed", "--interrupt", "--faults"),
        *("--ray", "--soak", "--permitted", "--same-machine", "--dry-run"),
    ),
    "Sweep": ("--vary", "--replay"),
    "Pipeline": ("--sequential", "--first-words", "--later-words"),
    "Loudspeaker": ("--speaker", "--speaker-buffer", "--list-speakers"),
    "Judging": (
        *("--gate", "--no-gate", "--quick", "--at-least", "--decide", "--until-decided"),
        *("--max-runs", "--max-calls", "--baseline", "--max-regression", "--allow-noise"),
        "--against",
    ),
    "Results and output": (
        *("--name", "--results", "--json", "--csv", "--force", "--junit", "--result-file"),
        *("--prom", "--otlp", "--html", "--quiet", "--output"),
    ),
}
"""Group to its options; what is in none is listed under *Other options*."""

OTHERS = "Other options"

_GROUP_OF = {option: group for group, options in GROUPS.items() for option in options}


class GroupedCommand(TyperCommand):
    """A command whose help lists its options in groups."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments, then each group of options."""
        sections: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is None:
                continue
            is_argument = param.param_type_name == "argument"
            known = [_GROUP_OF[name] for name in param.opts if name in _GROUP_OF]
            sections["Arguments" if is_argument else (known or [OTHERS])[0]].append(record)
        for title in ("Arguments", *GROUPS, OTHERS):
            if sections[title]:
                with formatter.section(title):
                    formatter.write_dl(sections[title])
