"""The system prompt: who the model is, how it acts, what there is. Short, since it is read at every step.

It is made of named parts in one order, each of which the user may replace. Nothing of the user's is ever a template:
texts are joined, never formatted.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from .catalogue import Catalogue
from .declared import declaration, fenced, tools_text
from .deferral import written_tools
from .events import RunStarted
from .execution import Imports, Limits, Mount, ToolSpec
from .lessons import lesson
from .quantities import seconds, size
from .untrusted import inline

PARTS = ("role", "acting", "rules", "sandbox", "tools", "answer", "instructions")

_PORT = re.compile(r":\d+$")
_DRAWING = {"matplotlib", "seaborn", "PIL"}
_BASE = "most of the standard library (math, json, re, datetime, collections, itertools, statistics, csv, ...)"


def parts(started: RunStarted) -> tuple[tuple[str, str], ...]:
    """What a model is told before it begins, by the names of its parts, in order; the user's own stand in their place.

    The same session gives the same texts, byte for byte.
    """
    told = lesson(started.action, started.carrier, started.lesson)
    made = {"role": told.role, "acting": told.acting, "rules": told.rules}
    if started.action == "code":
        made["sandbox"] = _sandbox(started)
    if started.tools and started.action != "json":  # where they are declared beside
        made["tools"] = (
            tools_text(Catalogue(started.tools), started.limits.listing)
            if started.action == "code"
            else written_tools(started.tools, started.limits.listing)
        )
    if started.answer is not None and started.action != "json":
        made["answer"] = _typed(started.answer)
    if started.instructions.strip():
        made["instructions"] = "Instructions of the user:\n" + started.instructions.strip()
    made |= dict(started.parts)
    return tuple((name, made[name]) for name in PARTS if made.get(name, "").strip())


def system_prompt(started: RunStarted) -> str:
    """All of the parts, with an empty line between."""
    return "\n\n".join(text for _, text in parts(started))


def _sandbox(started: RunStarted) -> str:
    may = f"{_may_import(started.imports)} {_may_reach(started.network)} {_bounds(started.limits)}"
    return f"{may}{_may_open(started.mounts)}{_may_draw(started.imports)}"


def _typed(answer: ToolSpec) -> str:
    return f"The answer is of this type, and is checked when you give it:\n\n{fenced(declaration(answer))}"


def _may_import(imports: Imports) -> str:
    if imports.everything:
        return "You may import whatever is installed."
    names = ", ".join(imports.names)
    if imports.base:
        return f"You may import {_BASE}" + (f", and {names}." if names else ".") + " Nothing else is there."
    return f"You may import only {names}." if names else "You may import nothing: the builtins must do."


def _may_draw(imports: Imports) -> str:
    if not imports.everything and not {name.partition(".")[0] for name in imports.names} & _DRAWING:
        return ""
    return " You are shown figures left open at a block's end, and images on its last line or given to `display(...)`."


def _bounds(limits: Limits) -> str:
    return (
        f"A block may run for {seconds(limits.seconds)} and use {size(limits.memory)} of memory. "
        "Files that you save under `outputs/` are given to the user."
    )


def _may_reach(network: Sequence[str]) -> str:
    """The hosts outside. Where one is named without a port, those of the web are meant."""
    if not network:
        return "There is no network and no shell."
    *most, last = network
    hosts = f"{', '.join(most)} and {last}" if most else last
    ports = "" if all(map(_PORT.search, network)) else " (where no port is named, at 80 and 443)"
    return f"Of the network you can reach {hosts}{ports}, and nothing else. There is no shell."


def _may_open(mounts: Sequence[Mount]) -> str:
    told = ""
    for writable, may in ((False, "read"), (True, "read and change")):
        paths = [f"`{inline(mount.path, 300)}`" for mount in mounts if mount.writable is writable]
        told += f" You may {may} files under {', '.join(paths)}." if paths else ""
    return told
