"""What stands in a conversation for what was left out of it: where it was, how much, and what holds it now."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Protocol

from .messages import Message
from .untrusted import bounded, inline

_NAMED = 8  # variables that a pointer names
_LISTED = 40  # that a summary names
_SUMMARY = 6_000  # characters

ASK_SUMMARY = """\
Before you go on, the conversation so far is put away to save room. Write down for yourself what must not be forgotten,
as plain text, without code or calls, in at most 300 words: what was found out, with exact names and numbers; which
variables hold what; what was tried and failed; what is still to be done. The user's words are kept anyway."""


class Ran(Protocol):
    """A cell as a pointer needs to know it: what it left by its source, and all that it bound."""

    @property
    def cell(self) -> int: ...
    @property
    def made(self) -> tuple[str, ...] | None: ...
    @property
    def bound(self) -> frozenset[str]: ...


def holders(cells: Sequence[Ran], alive: Collection[int], known: Collection[str]) -> dict[int, tuple[str, ...]]:
    """Which variables hold what each cell made, as far as its source shows and no later one bound them again."""
    held: dict[int, tuple[str, ...]] = {}
    again: set[str] = set()
    standing = set(alive)
    for ran in sorted(cells, key=lambda ran: -ran.cell):
        if ran.cell in standing:
            held[ran.cell] = tuple(name for name in ran.made or () if name in known and name not in again)
        again |= ran.bound
    return held


def of_cell(message: Message, held: Iterable[str]) -> str:
    """In place of what a cell put out."""
    first, _, rest = message.text.partition("\n")
    variables = _listed(held, _NAMED)
    where = f" {variables} what it made: print again what you need." if variables else ""
    return f"{inline(first)}\n[{len(rest):,} characters of what it put out are left out here.{where}]"


def of_call(message: Message) -> str:
    """In place of what a tool gave that was called in the provider's own form."""
    return f"[{len(message.text):,} characters of what this call gave are left out here: call again if you need them.]"


def seen_once(count: int) -> str:
    """In place of pictures that the model has seen."""
    which = "This picture was" if count == 1 else f"These {count} pictures were"
    return f"({which} shown once, when new. To look again, show it again.)"


def cut(text: str, room: int) -> str:
    """In place of the newest result, where there is no room for all of it."""
    return f"{bounded(text, room)}\n(It is cut, for there is no more room in this conversation.)"


def summary(text: str, known: Iterable[str], plan: str = "") -> str:
    """In place of the start of a conversation; a plan that counts stays as it is."""
    told = bounded(text.strip(), _SUMMARY) or "(It could not be summed up.)"
    variables = _listed(sorted(known), _LISTED)
    lines = ["[The conversation up to here is left out. What you wrote down of it:]", told]
    lines += [f"[{variables} what the code made.]"] if variables else []
    lines += [f"[The plan that counts is still this:]\n{plan}"] if plan else []
    return "\n".join(lines)


def _listed(given: Iterable[str], most: int) -> str:
    """Some names, and the verb that goes with them."""
    shown = [name for name in given if not name.startswith("_")]
    if not shown:
        return ""
    words = [f"`{name}`" for name in shown[:most]]
    more = len(shown) - most
    if more > 0:
        words.append(f"{more} more")
    if len(words) == 1:
        return f"{words[0]} still holds"
    return f"{', '.join(words[:-1])} and {words[-1]} still hold"
