"""What is told of an agent that code has called: its task, its code, what came of it, in few lines."""

from __future__ import annotations

from collections.abc import Iterator

from codeact.core.budget import in_words, number_of
from codeact.core.events import (
    BudgetWarned,
    CodeContinued,
    CodeRan,
    CodeRefused,
    CodeStarted,
    Delta,
    Event,
    InterpreterLost,
    Nested,
    TaskEnded,
    TaskGiven,
    ToolCalled,
)
from codeact.core.execution import Outcome

_LINES = 12  # of code or output
_LONGEST = 200


def below(news: Nested) -> Iterator[tuple[str, str]]:
    """Lines, each with whose it is: the agent's name, and the start of its run's id, for several may be at work."""
    names = [news.agent]
    while isinstance(news.item, Nested):
        news = news.item
        names.append(news.agent)
    who = f"{' > '.join(names)} {news.run[:4]}"
    for line in _lines(news.item):
        yield who, line


def _lines(item: Event | Delta) -> Iterator[str]:
    match item:
        case TaskGiven(task):
            yield from _cut("task: ", task)
        case CodeStarted(_, source) | CodeContinued(_, source):
            yield from _cut("| ", source)
        case CodeRefused(source, complaints):
            yield from _cut("| ", source)
            for words in complaints:
                yield f"! {words}"
        case ToolCalled(tool=tool):
            yield f"@ {tool}"
        case CodeRan(_, outcome):
            yield from _outcome(outcome)
        case InterpreterLost(gone):
            yield f"! {gone.why}"
        case BudgetWarned(kind, spent, limit):
            yield f"{number_of(kind, spent)} of {in_words(kind, limit)} are used"
        case TaskEnded("final_answer", output):
            yield from _cut("answer: ", str(output))
        case TaskEnded(reason, error=error):
            yield f"no answer: {reason}" + (f": {error}" if error else "")
        case _:
            pass


def _outcome(outcome: Outcome) -> Iterator[str]:
    if outcome.stdout.strip():
        yield from _cut("> ", outcome.stdout)
    if outcome.preview is not None:
        yield from _cut("= ", outcome.preview)
    if outcome.error is not None:
        yield f"! {outcome.error.type}: {outcome.error.message}"[:_LONGEST]


def _cut(sign: str, text: str) -> Iterator[str]:
    lines = text.strip("\n").split("\n")
    for line in lines[:_LINES]:
        yield sign + (line if len(line) <= _LONGEST else line[:_LONGEST] + " ...")
    if len(lines) > _LINES:
        yield f"{sign}... {len(lines) - _LINES:,} more lines"
