"""Whether a cell that ran again did what it had done. What is chance, and changes nothing, is not compared."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence

from .chance import measures, without_numbers
from .errors import ReplayDivergence
from .execution import Outcome
from .moments import Span, without_moments
from .untrusted import inline

LIMITS = ("timeout", "memory")  # ends that come from outside
_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{6,}")
_POINTER = re.compile(r"\b(?:1[2-4]\d{13}|9[3-5]\d{12})\b")  # as a number, such as that of a thread
_BRACES = re.compile(r"\{[^{}]*\}")
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_REDRAWN = re.compile(r"[^\n]*\r(?!\n)")
_NAMES_SETS = re.compile(r"\b(?:frozen)?set\s*\(|\{[^{}:]*\bfor\b")
_SORTS_BY_IDS = re.compile(r"\bkey\s*=[^\n]{0,40}\bid\b")
_WORD = re.compile(r"\w+|[^\w\s]")
_NAMES_THREADS = re.compile(r"[Tt]hread|Executor|Timer\b")


def told(cells: Sequence[int]) -> str:
    """That these put out the same in another order, behind what people are told of a run that goes on."""
    if not cells:
        return ""
    return f"; cell{'s' if len(cells) > 1 else ''} {', '.join(map(str, cells))} put out the same in another order"


def compare(cell: int, was: Outcome, now: Outcome, sources: Sequence[str] = (), spans: Sequence[Span] = ()) -> bool:
    """Whether what it put out came in its order. Raises ReplayDivergence where it is another.

    `sources` are those of the cells before it, and its own. `spans` are the times in which the run was at work, then
    and now.
    """
    if was.ended in LIMITS:
        if now.error is not None:
            raise ReplayDivergence(cell, "its end", "none in what had run", _end(now))
        return True
    if _end(was) != _end(now):
        raise ReplayDivergence(cell, "its end", _end(was), _end(now))
    in_order, above = True, "\n".join(sources)
    for what in ("stdout", "value", "stderr"):
        before, seen = getattr(was, what) or "", getattr(now, what) or ""
        if before == seen:
            continue
        before, seen = _without_chance((before, seen), sources, above, what, spans)
        if before == seen or (_NAMES_THREADS.search(above) and Counter(before) == Counter(seen)):
            continue
        if not _in_another_order(before, seen, above):
            raise ReplayDivergence(cell, f"its {what}", *_apart(before, seen))
        in_order = False
    return in_order


def _without_chance(
    texts: tuple[str, str], sources: Sequence[str], above: str, what: str, spans: Sequence[Span]
) -> tuple[str, str]:
    steps: list[Callable[[str], str]] = [_settled, lambda text: without_moments(text, spans)]
    if what == "stderr":  # a progress bar is drawn over itself, and tells how fast it is
        steps.append(lambda text: _NUMBER.sub("0", _REDRAWN.sub("", text)))
    if _NAMES_THREADS.search(above):
        steps.append(lambda text: _POINTER.sub("0", text))
    if sources and measures(sources):
        steps.append(without_numbers)
    before, seen = texts
    for step in steps:
        before, seen = step(before), step(seen)
    return before, seen


def _in_another_order(before: str, seen: str, above: str) -> bool:
    """Whether it is the same as objects of a set come, in an order that hangs on where they lie in memory."""
    if not _NAMES_SETS.search(above) and not _SORTS_BY_IDS.search(above):
        return False
    return Counter(_WORD.findall(before)) == Counter(_WORD.findall(seen))


def _settled(text: str) -> str:
    """Without addresses in memory, which are others in every process, and the order of sets, which may hang on them."""
    return _BRACES.sub(_sorted, _ADDRESS.sub("0x", text))


def _sorted(braces: re.Match[str]) -> str:
    return "{" + ", ".join(sorted(braces[0][1:-1].split(", "))) + "}"


def _end(outcome: Outcome) -> str:
    return f"{outcome.ended}, {outcome.error.type}" if outcome.error is not None else outcome.ended


def _apart(one: str, other: str) -> tuple[str, str]:
    """Both from where they part."""
    at = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    start = max(0, at - 20)
    return repr(inline(one[start : at + 60], 100)), repr(inline(other[start : at + 60], 100))
