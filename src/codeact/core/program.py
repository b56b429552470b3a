"""The code of a task as one program: what ran, cell by cell; what did not come to its end stands in comments."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterable
from dataclasses import dataclass

from .events import CodeContinued, CodeRan, CodeStarted, Event, InterpreterLost, InterpreterRestored
from .execution import Gone, Outcome
from .source import LOOK
from .untrusted import inline


@dataclass
class _Cell:
    number: int
    source: str
    outcome: Outcome | None = None
    undone: bool = False


def program(events: Iterable[Event]) -> str:
    """All code that ran, in order, as a script that needs what the cells had: the tools, and `final_answer`.

    Of a cell that failed the statements before the failure are code and the rest is comments; so is all of a cell whose
    effects were lost with the interpreter that it ran in.
    """
    parts: list[_Cell | str] = []
    for event in events:
        match event:
            case CodeStarted(cell, source):
                parts.append(_Cell(cell, source))
            case CodeContinued(_, source) if parts and isinstance(last := parts[-1], _Cell):
                last.source += source
            case CodeRan(_, outcome) if parts and isinstance(last := parts[-1], _Cell):
                last.outcome = outcome
                if outcome.gone is not None:
                    _part(parts, outcome.gone)
            case InterpreterLost(gone) | InterpreterRestored(gone):
                if not (parts and isinstance(parts[-1], str)):  # else it was told with the cell
                    _part(parts, gone)
            case _:
                pass
    return "\n\n".join(part if isinstance(part, str) else _written(part) for part in parts) + ("\n" if parts else "")


def _part(parts: list[_Cell | str], gone: Gone) -> None:
    why = inline(gone.why).rstrip(".") or "the reason is not known"
    if gone.restored is None:
        parts.append(f"# The interpreter was lost here ({why}): the variables of all cells above were gone.")
        return
    for part in parts:
        if isinstance(part, _Cell) and part.number > gone.restored:
            part.undone = True
    parts.append(f"# The interpreter was lost here ({why}), and stood again as after cell {gone.restored}.")


def _written(cell: _Cell) -> str:
    outcome, source = cell.outcome, cell.source.rstrip("\n")
    if outcome is None:
        return _joined(f"# Cell {cell.number} was cut off.", "", source)
    if cell.undone:
        return _joined(f"# Cell {cell.number}: what it did was lost.", "", source)
    if outcome.ended == "final_answer":
        ran, rest = cut(source, outcome.complete + 1)
        return _joined(f"# Cell {cell.number} gave the final answer.", ran, rest)
    if outcome.error is None and outcome.ended == "done":
        return f"# Cell {cell.number}\n{source}"
    ran, rest = cut(source, outcome.complete)
    return _joined(f"# Cell {cell.number} {_end(outcome)}", ran, rest)


def _end(outcome: Outcome) -> str:
    if outcome.error is not None and outcome.ended == "done":
        return f"raised {inline(outcome.error.type, 60)}: {inline(outcome.error.message, 300)}".rstrip(": ")
    return {"timeout": "was stopped at its limit of time.", "memory": "was stopped at its limit of memory."}.get(
        outcome.ended, "ended the interpreter."
    )


def _joined(head: str, ran: str, rest: str) -> str:
    comments = [f"# {line}".rstrip() for line in rest.split("\n")] if rest.strip() else []
    told = ["# It did not come to the end of:"] if comments and ran.strip() else []
    return "\n".join([head, *([ran] if ran.strip() else []), *told, *comments])


def cut(source: str, count: int) -> tuple[str, str]:
    r"""The first `count` statements of a source, and the rest of it; all is rest where nobody can say.

    >>> cut("a = 1; b = 2\nc = 3", 1)
    ('a = 1', 'b = 2\nc = 3')
    """
    body = _statements(source)
    if not body or count <= 0:
        return "", source
    if count >= len(body):
        return source, ""
    first = body[count]
    lines = source.split("\n")
    line = min([first.lineno, *(one.lineno for one in getattr(first, "decorator_list", []))]) - 1
    text = lines[line].encode("utf-8", "surrogatepass")
    before, after = (
        part.decode("utf-8", "surrogatepass") for part in (text[: first.col_offset], text[first.col_offset :])
    )
    if line != first.lineno - 1:  # decorators stand at the margin
        before, after = "", lines[line]
    ran = "\n".join([*lines[:line], before.rstrip().rstrip(";")]).rstrip("\n")
    return ran, "\n".join([after, *lines[line + 1 :]])


def _statements(source: str) -> list[ast.stmt]:
    if len(source) > LOOK:
        return []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(source).body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return []
