"""Pages that are drawn from the code: names with their signatures and docstrings, `--help`, and the examples."""

from __future__ import annotations

import ast
import contextlib
import importlib
import inspect
import io
import os
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import codeact
from codeact.faces.cli import COMMANDS, main

# Modules that a program of the reader's imports from; what is not here may change tomorrow.
MODULES = (
    "codeact.testing",
    "codeact.core.approvals",
    "codeact.core.messages",
    "codeact.core.recovery",
    "codeact.core.execution",
    "codeact.core.events",
    "codeact.core.errors",
    "codeact.ports",
    "codeact.tools.toolbox",
    "codeact.tools.context",
    "codeact.models.fallback",
    "codeact.models.limited",
    "codeact.models.recording",
    "codeact.models.retrying",
    "codeact.models.openai",
    "codeact.models.anthropic",
    "codeact.models.bridge",
    "codeact.sandboxes.command",
    "codeact.sandboxes.container",
    "codeact.sandboxes.wasm",
    "codeact.journals.sqlite",
    "codeact.journals.postgres",
    "codeact.export",
)


def pages(root: Path) -> dict[str, str]:
    """Each drawn page by its name."""
    return {"python.md": front_door(), "modules.md": modules(), "help.md": helps(), "examples.md": examples(root)}


def front_door() -> str:
    """What `from codeact import ...` gives."""
    said = ["# The front door", "All that `from codeact import ...` gives. It is drawn from the code."]
    for name in sorted(codeact.__all__, key=lambda name: (not name[0].isupper(), name.lower())):
        said += entry(name, getattr(codeact, name), "##")
    return "\n\n".join(said) + "\n"


def modules() -> str:
    """What other modules are for a reader's program."""
    said = ["# Modules", "What is imported from a module of its own: `from codeact.testing import ScriptedModel`."]
    for path in MODULES:
        module = importlib.import_module(path)
        said += [f"## {path}", doc_of(module).split("\n\n")[0]]
        for name, value in own(module):
            said += entry(name, value, "###")
    return "\n\n".join(said) + "\n"


def own(module: ModuleType) -> list[tuple[str, Any]]:
    """The public classes and functions that a module has in its `__all__`, or else defines."""
    names = getattr(module, "__all__", None)
    if names is not None:
        return [(name, getattr(module, name)) for name in names]
    return [
        (name, value)
        for name, value in vars(module).items()
        if name[0] != "_"
        and (inspect.isclass(value) or inspect.isfunction(value))
        and value.__module__ == module.__name__
    ]


def entry(name: str, value: object, mark: str) -> list[str]:
    """A name: what is written to call it, what it is for, and what it has."""
    said = [f"{mark} {name}"]
    if not (inspect.isclass(value) or inspect.isroutine(value)):
        return [*said, f"`{name} = {value!r}`" if len(repr(value)) < 100 else ""]
    said += [code(f"{name}{signature(value)}"), doc_of(value)]
    if inspect.isclass(value):
        rows = [row for attribute, member in sorted(vars(value).items()) if (row := member_row(attribute, member))]
        if rows:
            said.append("| has | |\n|---|---|\n" + "\n".join(rows))
    return [piece for piece in said if piece]


def member_row(name: str, member: object) -> str:
    """A method or a property in one row; nothing for what is not told."""
    plain = member.__func__ if isinstance(member, (classmethod, staticmethod)) else member
    told = inspect.getdoc(plain) if inspect.isfunction(plain) or isinstance(plain, property) else None
    if name[0] == "_" or not told:
        return ""
    parts = "" if isinstance(plain, property) else "(" + ", ".join(parameters(plain)) + ")"
    first = " ".join(told.split("\n\n")[0].split()).replace("|", "\\|")
    return f"| `{name}{parts}` | {first} |"


def parameters(function: object) -> list[str]:
    """The names that a call may give."""
    assert callable(function)
    kinds = inspect.signature(function).parameters.values()
    return [
        f"{'*' * (kind.kind in (2, 4)) + '*' * (kind.kind == 4)}{kind.name}" for kind in kinds if kind.name != "self"
    ]


class _Shown:
    """What a signature prints as it stands, without the quotes of a string."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


def signature(value: Any) -> str:
    """As it is written, a parameter a line where it is long."""
    try:
        whole = inspect.signature(value)
    except (TypeError, ValueError):
        return ""
    shown = [as_written(parameter) for parameter in whole.parameters.values()]
    back = whole.return_annotation
    arrow = "" if inspect.isclass(value) or back is whole.empty else f" -> {inspect.formatannotation(plain(back))}"
    short = f"{whole.replace(parameters=shown, return_annotation=whole.empty)}{arrow}"
    if len(short) < 90:
        return short
    rows, star = [], False
    for parameter in shown:
        if parameter.kind is parameter.KEYWORD_ONLY and not star:
            rows.append("*")
            star = True
        rows.append(str(parameter))
    return "(\n" + "".join(f"    {row},\n" for row in rows) + ")" + arrow


def as_written(parameter: inspect.Parameter) -> inspect.Parameter:
    """A parameter without quotes around its type, and with `...` for a default that has no short name."""
    default = parameter.default
    if default is not parameter.empty and re.search(r" at 0x|<", repr(default)):
        default = _Shown("...")
    return parameter.replace(annotation=plain(parameter.annotation), default=default)


def plain(annotation: object) -> object:
    return _Shown(annotation) if isinstance(annotation, str) else annotation


def doc_of(value: object) -> str:
    """A docstring as Markdown: what is indented stays as it stands."""
    told = inspect.getdoc(value) or ""
    if inspect.isclass(value) and told.startswith(f"{value.__name__}("):
        return ""  # written by dataclass, and said by the signature
    told = told.replace("<", "&lt;") if "`" not in told else told
    return re.sub(
        r"((?:^ {2,}.*\n?|^\n(?= {2,}))+)",
        lambda block: f"\n```text\n{block[1].rstrip()}\n```\n",
        told,
        flags=re.MULTILINE,
    )


def code(text: str) -> str:
    return f"```python\n{text}\n```"


def helps() -> str:
    """`--help` of every command."""
    said = ["# Its help, word for word", "What the program says; [the command line](command-line.md) explains it."]
    os.environ["COLUMNS"] = "100"
    for command in ("", *COMMANDS):
        told = io.StringIO()
        with contextlib.redirect_stdout(told), contextlib.suppress(SystemExit):
            main([*([command] if command else []), "--help"])
        said += [f"## codeact {command}".rstrip(), f"```text\n{told.getvalue().rstrip()}\n```"]
    return "\n\n".join(said) + "\n"


def examples(root: Path) -> str:
    """Every program in `examples`, whole: what it says of itself, then its code."""
    said = ["# Examples", "Whole programs. Each runs as it stands, offline: `python examples/NAME.py`."]
    for program in sorted((root / "examples").rglob("*.py")):
        source = program.read_text(encoding="utf-8")
        if (about := ast.get_docstring(ast.parse(source))) is None:
            continue
        first = about.split("\n\n")[0]
        said += [f"## {program.relative_to(root / 'examples')}", first, code(source.rstrip())]
    return "\n\n".join(said) + "\n"
