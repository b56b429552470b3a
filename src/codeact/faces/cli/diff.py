"""`codeact diff`: where two runs part, one under the other or side by side."""

from __future__ import annotations

import difflib
import sys
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from codeact import assemble
from codeact.core.errors import UsageError
from codeact.core.parting import Pair, Parting, Side, parting
from codeact.core.story import story
from codeact.core.untrusted import escaped, inline

from . import exits, lines, which
from .arguments import Parser
from .show import paged

_WIDTH = 80
_ROOM = 2_000  # lines of a text that are compared
_COLOURS = {"-": "\x1b[31m", "+": "\x1b[32m", "─": "\x1b[1m"}


def main(argv: Sequence[str]) -> int:
    """Show what differs; that something does is no failure."""
    options = _parser().read(argv)
    if len(options.words) != 2:
        raise UsageError("which two runs? write codeact diff RUN RUN; `codeact runs` lists them")
    store = assemble.store(options.journal)
    one, other = (which.run_named(store, word) for word in options.words)
    found = parting(story(store.entries(one)), story(store.entries(other)))
    if options.json:
        print(lines.line(_line((one, other), found)))
        return exits.DONE
    told = _told((one, other), found, options.side_by_side)
    paged(map(_coloured, told) if sys.stdout.isatty() else told)
    return exits.DONE


def _told(runs: tuple[str, str], found: Parting, beside: bool) -> Iterator[str]:
    for sign, run, task, end in zip("-+", runs, found.tasks, found.ends, strict=True):
        steps = sum((pair.one if sign == "-" else pair.other) is not None for pair in found.pairs)
        yield f"{sign} run {run[:12]}  {steps} step{'' if steps == 1 else 's'}  {inline(task, 40)}  {inline(end, 24)}"
    if found.same:
        yield "They are the same, but for tokens and seconds."
        return
    yield from _aspect("task", *found.tasks, beside)
    at = found.at
    if at is not None and at > 1:
        yield f"The same up to step {at - 1}." if at > 2 else "The same in step 1."
    for pair in found.pairs:
        if pair.differs:
            yield from _pair(pair, beside)
    if found.ends[0] != found.ends[1]:
        yield ""
        yield "── end"
        yield from _aspect("", *found.ends, beside)


def _pair(pair: Pair, beside: bool) -> Iterator[str]:
    one, other = pair.one or Side(), pair.other or Side()
    yield ""
    if pair.one is None or pair.other is None:
        yield f"── step {pair.step}, of the {'second' if pair.one is None else 'first'} alone"
    else:
        yield f"── step {pair.step}: {', '.join(pair.differs)}{_tokens(one, other)}"
    if "text" in pair.differs:
        yield from _aspect("" if "code" in pair.differs else "text", one.text, other.text, beside)
    if ("code" in pair.differs and one.code.strip() not in one.text) or other.code.strip() not in other.text:
        yield from _aspect("code", one.code, other.code, beside)
    yield from _aspect("calls", "\n".join(one.calls), "\n".join(other.calls), beside)
    yield from _aspect("outcome", one.outcome, other.outcome, beside)
    yield from _aspect("words of the user", one.words, other.words, beside)


def _tokens(one: Side, other: Side) -> str:
    counts = [side.usage.output_tokens if side.usage is not None else None for side in (one, other)]
    return "" if None in counts else f"  ({counts[0]:,} and {counts[1]:,} tokens out)"


def _aspect(name: str, one: str, other: str, beside: bool) -> Iterator[str]:
    if one == other:
        return
    if name:
        yield f"  {name}"
    a, b = (escaped(text).splitlines()[:_ROOM] for text in (one, other))
    if beside:
        yield from _beside(a, b)
        return
    _, _, _, *hunks = difflib.unified_diff(a, b, n=2, lineterm="") if a != b else ("",) * 3
    for line in hunks:
        yield "  ..." if line.startswith("@@") else f"{line[:1]} {line[1:]}".rstrip()
    if a == b:
        yield "  (only what ends its lines differs)"


def _beside(a: Sequence[str], b: Sequence[str]) -> Iterator[str]:
    """Both in columns: `|` between lines that differ, `<` and `>` where one is alone."""
    half = (_WIDTH - 3) // 2
    for tag, i, j, k, m in difflib.SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        left = [part for line in a[i:j] for part in textwrap.wrap(line, half) or [""]]
        right = [part for line in b[k:m] for part in textwrap.wrap(line, half) or [""]]
        sign = {"equal": " ", "replace": "|", "delete": "<", "insert": ">"}[tag]
        for n in range(max(len(left), len(right))):
            one, other = (part[n] if n < len(part) else "" for part in (left, right))
            yield f"{one:<{half}} {sign} {other}".rstrip()


def _coloured(line: str) -> str:
    colour = _COLOURS.get(line[:1])
    return f"{colour}{line}\x1b[0m" if colour else line


def _line(runs: tuple[str, str], found: Parting) -> dict[str, Any]:
    return {
        "runs": list(runs),
        "same": found.same,
        "parts_at": found.at,
        "tasks": list(found.tasks),
        "ends": list(found.ends),
        "steps": [
            {
                "step": pair.step,
                "differs": list(pair.differs),
                "one": pair.one and asdict(pair.one),
                "other": pair.other and asdict(pair.other),
            }
            for pair in found.pairs
        ],
    }


def _parser() -> Parser:
    parser = Parser(
        "diff",
        "Show where two runs part: step by step, what was said, what ran, what it called and what came of it.",
        "codeact diff RUN RUN [--side-by-side] [--json]",
        "RUN",
        which.HELP,
    )
    parser.add_argument("--side-by-side", action="store_true", help="in two columns; else one under the other")
    parser.add_argument("--json", action="store_true", help="one line of JSON, with all steps of both")
    parser.add_argument("--journal", metavar="PATH", help="the file that they are kept in")
    return parser
