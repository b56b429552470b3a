"""Whether a cell that ran again did what it had done. What is chance, and changes nothing, is not compared."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence

from .errors import ReplayDivergence
from .execution import Outcome
from .moments import Span, without_moments
from .untrusted import inline

LIMITS = ("timeout", "memory")  # ends that come from outside
_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{6,}")
_POINTER = re.compile(r"\b(?:1[2-4]\d{13}|9[3-5]\d{12})\b")  # as a number, such as that of a thread
_ID = re.compile(r"\b\d{7,20}\b")
_BRACES = re.compile(r"\{[^{}]*\}")
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_REDRAWN = re.compile(r"[^\n]*\r(?!\n)")
_NAMES_IDS = re.compile(r"\b(?:id|hash)\s*\(|__hash__")
_NAMES_SETS = re.compile(r"\b(?:frozen)?set\s*\(|\{[^{}:]*\bfor\b")
_NAMES_THREADS = re.compile(r"[Tt]hread|Executor|Timer\b")


def compare(cell: int, was: Outcome, now: Outcome, above: str = "", spans: Sequence[Span] = ()) -> None:
    """Raises ReplayDivergence. `above` is the source of the cell and of those before it.

    `spans` are the times in which the run was at work, then and now.
    """
    if was.ended in LIMITS:
        if now.error is not None:
            raise ReplayDivergence(cell, "its end", "none in what had run", _end(now))
        return
    if _end(was) != _end(now):
        raise ReplayDivergence(cell, "its end", _end(was), _end(now))
    for what in ("stdout", "value", "stderr"):
        before, seen = getattr(was, what) or "", getattr(now, what) or ""
        if before != seen and not _alike(before, seen, above, what, spans):
            raise ReplayDivergence(cell, f"its {what}", *_apart(_settled(before), _settled(seen)))


def _alike(before: str, seen: str, above: str, what: str, spans: Sequence[Span]) -> bool:
    steps: list[Callable[[str], str]] = [_settled, lambda text: without_moments(text, spans)]
    if what == "stderr":  # a progress bar is drawn over itself, and tells how fast it is
        steps = [lambda text: _NUMBER.sub("0", _REDRAWN.sub("", text)), *steps]
    if _NAMES_IDS.search(above):
        steps.append(lambda text: _ID.sub("0", text))
    if _NAMES_THREADS.search(above):
        steps.append(lambda text: _POINTER.sub("0", text))
    for step in steps:
        before, seen = step(before), step(seen)
    if before == seen:
        return True
    if _NAMES_SETS.search(above) and Counter(before.splitlines()) == Counter(seen.splitlines()):
        return True  # gone through in an order that hangs on addresses
    return _NAMES_THREADS.search(above) is not None and Counter(before) == Counter(seen)  # in whatever order


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
