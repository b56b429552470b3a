"""Tools as a prompt shows them: declared as Python would, while there is room, and else how to find them.

No tool is shown in part of a group: either all of a group is there, or none of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from .catalogue import Catalogue, Listing, first_line
from .execution import ToolSpec

_NAMED = 30  # groups that an outline names
_AN_OUTLINE = 900  # characters


def listing(
    catalogue: Catalogue, room: int, size: Callable[[ToolSpec], int] | None = None, brief: bool = True
) -> Listing:
    """What of the tools a prompt declares in so many characters; `size` is what one takes, by default in Python.

    All of it in whole, else all in brief. Else each group that still fits, those without one first; what is left of
    the room then goes to whole documentation, in the same order.
    """
    named = catalogue.flat
    whole = size or (lambda spec: _size(spec, named[spec.path], spec.doc))
    if _fits(catalogue.specs, whole, room):
        return Listing(whole=catalogue.specs)
    short = (lambda spec: _size(spec, named[spec.path], first_line(spec))) if brief else whole
    left = room if _fits(catalogue.specs, short, room) else room - _AN_OUTLINE
    fits = []
    for group, members in catalogue.groups.items():
        if _fits(members, short, left):
            left -= sum(map(short, members))
            fits.append(group)
    full = set()
    for group in fits if brief else ():
        more = sum(whole(spec) - short(spec) for spec in catalogue.groups[group])
        if more <= left:
            left -= more
            full.add(group)
    shown = [spec for spec in catalogue.specs if spec.group in fits]
    return Listing(
        tuple(spec for spec in shown if spec.group in full or not brief),
        tuple(spec for spec in shown if spec.group not in full and brief),
        tuple(spec for spec in catalogue.specs if spec.group not in fits),
    )


def _fits(specs: Iterable[ToolSpec], size: Callable[[ToolSpec], int], room: int) -> bool:
    """Whether there is room for all; of thousands few are looked at."""
    for spec in specs:
        room -= size(spec)
        if room < 0:
            return False
    return room >= 0


def _size(spec: ToolSpec, name: str, doc: str) -> int:
    return len(name) + len(spec.signature) + len(doc) + 18 + 4 * doc.count("\n")


def tools_text(catalogue: Catalogue, room: int) -> str:
    """What a prompt says of the tools; the same tools give the same text."""
    shown = listing(catalogue, room)
    named = catalogue.flat
    parts = []
    if declared := [
        *(declaration(spec, named[spec.path]) for spec in shown.whole),
        *(declaration(spec, named[spec.path], first_line(spec)) for spec in shown.brief),
    ]:
        gather = f"`await asyncio.gather({named[(*shown.whole, *shown.brief)[0].path]}.aio(...), ...)`"
        more = " Of some only the first line is shown here: `help(f)` prints all of it." if shown.brief else ""
        parts.append(
            "These functions are there already. Call them like any other, with plain data; they are answered outside "
            f"of the interpreter, and return plain data. Several at once: {gather}.{more}\n\n"
            + fenced("\n\n".join(declared))
        )
    if shown.rest:
        parts.append(_outline(shown.rest, more=bool(declared)))
    return "\n\n".join(parts)


def _outline(rest: Sequence[ToolSpec], more: bool) -> str:
    module = next((f"tools.{spec.group}" for spec in rest if spec.group), "")
    called = f"by `{module}.NAME(...)`, or after `from {module} import NAME`" if module else "by name"
    also = " more" if more else ""
    return (
        f"There are {len(rest):,}{also} functions that are not shown here: {counted(rest)}. Find those you need in "
        'your code: `tools.search("open an issue")` gives the best matches with their signatures, `help(f)` prints all '
        f"about one, `dir({module or 'tools'})` the names. Call them {called}, with plain data; they are answered "
        "outside of the interpreter, and return plain data. Several at once: `await asyncio.gather(f.aio(...), ...)`."
    )


def counted(specs: Iterable[ToolSpec]) -> str:
    """How many tools there are in which groups, in words.

    >>> counted([ToolSpec("a", "()", group="x"), ToolSpec("b", "()", group="x"), ToolSpec("c", "()")])
    '1 without a module, 2 in `tools.x`'
    """
    count: dict[str, int] = {}
    for spec in specs:
        count[spec.group] = count.get(spec.group, 0) + 1
    said = [f"{count.pop(''):,} without a module"] if "" in count else []
    said += [f"{number:,} in `tools.{group}`" for group, number in sorted(count.items())[:_NAMED]]
    if len(count) > _NAMED:
        said.append(f"and more in {len(count) - _NAMED:,} other modules, see `dir(tools)`")
    return ", ".join(said)


def fenced(text: str) -> str:
    """Python in a fence that nothing in it ends."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`{3,}", text)), default=0))
    return f"{fence}python\n{text}\n{fence}"


def declaration(tool: ToolSpec, name: str = "", doc: str | None = None) -> str:
    """A tool as Python would declare it, under this name: its true signature, and its documentation or this one."""
    head = f"def {name or tool.name}{tool.signature}:"
    doc = (tool.doc if doc is None else doc).strip()
    if not doc:
        return f"{head} ..."
    text = '"""' + doc.replace("\\", "\\\\").replace('"""', "'''")
    text += '\n"""' if "\n" in doc or doc.endswith('"') else '"""'
    return "\n".join([head, *("    " + line if line.strip() else "" for line in text.split("\n"))])
