"""The story of a run as lines of text: whole, in 80 columns, with nothing in it that moves a terminal.

A sign stands before every line that is about a cell: `|` code, `@` a call, `>` output, `2>` standard error, `=` a
value, `!` a failure. What an agent below did is indented under its call.
"""

from __future__ import annotations

import pprint
import textwrap
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import assert_never

from codeact.core import likeness
from codeact.core import story as told
from codeact.core.approvals import CELL, PLAN
from codeact.core.branch import run_of
from codeact.core.events import (
    ApprovalAsked,
    ApprovalGiven,
    BudgetWarned,
    CallsAnswered,
    Charged,
    CodeRan,
    CodeRefused,
    CodeStarted,
    Compacted,
    Connected,
    Event,
    FilesCollected,
    Forked,
    InputsGiven,
    InterpreterLost,
    InterpreterRestored,
    ModelFailed,
    ModelReplied,
    Noted,
    PlanMade,
    Resumed,
    SandboxReady,
    Summarised,
    TaskEnded,
    ToolCalled,
    UserSaid,
)
from codeact.core.execution import Outcome
from codeact.core.files import amount, what
from codeact.core.messages import Usage
from codeact.core.state import CUT_OFF
from codeact.core.untrusted import escaped, inline
from codeact.faces.called import called
from codeact.ports import Store
from codeact.questions import questions

from . import paused

WIDTH = 80
_TEXT = 16_000  # characters of a text
_VALUE = 2_000  # characters of an argument, or of a result
_BAR = 24
_BELOW = " " * 6  # before what an agent below did


def lines(store: Store, run: str, items: Sequence[told.Item]) -> Iterator[str]:
    """A run, and under its calls the runs of agents that they asked."""
    teller = _Teller(store, WIDTH)
    yield from teller.head(run, items)
    yield from teller.items(items)
    yield from _timeline(items)
    yield from teller.stands(run, items)


class _Teller:
    """Tells of runs of this store in lines of this width."""

    def __init__(self, store: Store, width: int) -> None:
        self._store = store
        self._width = width

    def head(self, run: str, items: Sequence[told.Item]) -> Iterator[str]:
        """What the run is made of."""
        opening = next((item for item in items if isinstance(item, told.Opening) and item.made), None)
        yield f"Run {run}"
        if opening is None or opening.made is None:
            return
        made = opening.made
        ready = [event for event in _all(items) if isinstance(event, SandboxReady)]
        wall = f"sandbox {made.sandbox}" + (f", {ready[0].level}, Python {ready[0].python}" if ready else "")
        begun = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(opening.at))
        yield from self._wrapped("  ", f"{made.model} · {wall} · begun {begun}")
        if made.tools:
            names = ", ".join(f"{tool.path}{tool.signature}" for tool in made.tools)
            yield from self._wrapped("  tools ", inline(names, 400))

    def items(self, items: Sequence[told.Item]) -> Iterator[str]:
        """What happened in it."""
        given = 0.0
        for item in items:
            match item:
                case told.Opening(events=events):
                    yield from self._remarks(events)
                case told.Given(_, given, task, events):
                    yield ""
                    yield from self._wrapped("Task: ", task.task)
                    for name, preview in task.variables:
                        yield from self._wrapped("  with ", f"{name} = {preview}")
                    for name, words in task.files:
                        yield from self._wrapped("  with ", f"inputs/{name}: {words}")
                    yield from self._remarks(events)
                case told.Turn():
                    yield ""
                    yield self._rule(item, item.at - given)
                    yield from self._turn(item)
                case told.Ending():
                    yield ""
                    yield from self._ending(item)
                case _:
                    assert_never(item)

    def _rule(self, turn: told.Turn, since: float) -> str:
        name = {"plan": "plan", "answer": "last answer"}.get(turn.purpose) or f"step {turn.number or '-'}"
        parts = [f"+{_seconds(since)}"]
        if turn.thinking is not None:
            parts.append(f"model {_seconds(turn.thinking)}")
        if turn.running is not None:
            parts.append(f"cell {_seconds(turn.running)}")
        tokens = _tokens(turn.usage)
        parts += [tokens] if tokens else []
        said = " · ".join(parts)
        return f"── {name} {'─' * max(2, self._width - len(name) - len(said) - 6)} {said}"

    def _turn(self, turn: told.Turn) -> Iterator[str]:
        """What happened in a step, in its order; the calls of a cell stand where they were made."""
        calls = {one.call.key: one for one in turn.calls}
        for event in turn.events:
            match event:
                case ModelReplied(reply, broken):
                    if reply.reasoning:
                        yield from self._wrapped("  ~ ", reply.reasoning)
                    yield from self._wrapped("", _thought(turn, reply.text))
                    yield from _marked("  ", f"({broken})" if broken else "")
                case ModelFailed(kind, message):
                    yield from self._wrapped("!! ", f"{kind}: {message}")
                case CodeStarted():
                    yield from _marked("  | ", turn.step.source if turn.step and turn.step.source else event.source)
                case CodeRefused(source, complaints):
                    yield from _marked("  | ", source)
                    for one in complaints:
                        yield from self._wrapped("  ! ", f"not run: {one}")
                case ToolCalled(key):
                    yield from self._call(calls[key])
                case CodeRan(cell, outcome):
                    yield from self._outcome(cell, outcome)
                case CallsAnswered(_, answers):
                    for answer in answers:
                        yield from self._wrapped("  @ ", f"{answer.call.name}({answer.call.arguments})")
                        yield from _marked("  ! " if answer.failed else "  = ", answer.text)
                case TaskEnded(reason, error=error):
                    yield from self._wrapped("!! ", f"{reason}{f': {error}' if error else ''}")
                case _:
                    yield from self._remarks((event,))

    def _call(self, one: told.Called) -> Iterator[str]:
        call, returned = one.call, one.returned
        given = ", ".join(f"{name}={_value(value)}" for name, value in call.arguments.items())
        edited = f" changed to ({', '.join(f'{k}={_value(v)}' for k, v in call.edited.items())})" if call.edited else ""
        spent = f"  [{_seconds(one.seconds)}]" if one.seconds is not None else ""
        if returned is None:
            end = "... nobody knows what came of it"
        elif returned.failure is not None:
            end = f"failed: {returned.failure.type}: {returned.failure.message}"
        else:
            end = f"-> {_value(returned.value)}"
        yield from self._wrapped("  @ ", f"{call.tool}({given}){edited} {end}{spent}")
        below = run_of(call.key)
        if self._width > 2 * len(_BELOW) and self._store.has(below):
            teller = _Teller(self._store, self._width - len(_BELOW))
            for line in teller.items(told.story(self._store.entries(below))):
                yield f"{_BELOW}{line}".rstrip()

    def _outcome(self, cell: int, outcome: Outcome) -> Iterator[str]:
        yield from _marked("  > ", outcome.stdout)
        yield from _marked("  2> ", outcome.stderr)
        yield from _marked("  = ", outcome.value or "")
        if outcome.error is not None:
            yield from _marked("  ! ", outcome.error.traceback or f"{outcome.error.type}: {outcome.error.message}")
        for number, image in enumerate(outcome.images, 1):
            size = f"{image.size[0]} x {image.size[1]}, " if image.size else ""
            yield f"  picture {number} ({size}{amount(len(image.data))})"
        if outcome.ended not in ("done", "final_answer"):
            yield f"  cell {cell} ended by {outcome.ended}" + ("" if outcome.kept else "; its variables are gone")

    def _remarks(self, events: Iterable[Event]) -> Iterator[str]:
        for event in events:
            if words := _remark(event):
                yield from self._wrapped("  (", f"{words})")

    def _ending(self, end: told.Ending) -> Iterator[str]:
        ended = end.ended
        answer = ended.output if ended.stop_reason == "final_answer" else ended.last and ended.last.value
        if ended.stop_reason == "final_answer":
            yield "Answer"
        else:
            yield from self._wrapped("No answer: ", f"{ended.stop_reason}{f': {ended.error}' if ended.error else ''}")
        if answer is not None or ended.stop_reason == "final_answer":
            width = self._width - 4
            shown = answer if isinstance(answer, str) else pprint.pformat(answer, width=width, sort_dicts=False)
            yield from _marked("  ", shown)
        cost = f" · {end.cost:.4g} in money" if end.cost else ""
        yield f"  {_seconds(end.seconds)} · {_tokens(end.usage) or 'tokens unknown'}{cost}"

    def stands(self, run: str, items: Sequence[told.Item]) -> Iterator[str]:
        """What can be done with a run that has not come to its end."""
        end = items[-1] if items else None
        if isinstance(end, told.Ending) and end.ended.stop_reason not in CUT_OFF:
            return
        yield ""
        asked = questions(self._store, run)
        for one in asked:
            yield from self._wrapped("It waits for an answer: ", paused.described(one.call))
        if asked:
            yield f"Give it by {called()} approve {run[:12]}, or with --deny --reason TEXT."
        else:
            yield f"It has not ended: {called()} resume {run[:12]} goes on with it."

    def _wrapped(self, sign: str, text: str) -> Iterator[str]:
        """Words, in lines of 80 columns behind a sign, and behind nothing from the second line on."""
        shown = text.strip() if len(text) <= _TEXT else f"{text[:_TEXT]} ... {len(text) - _TEXT:,} more characters"
        if not shown:
            return
        head = sign
        for line in escaped(shown).split("\n"):
            for part in textwrap.wrap(line, max(20, self._width - len(sign)), break_on_hyphens=False) or [""]:
                yield f"{head}{part}".rstrip()
                head = " " * len(sign)


def _all(items: Iterable[told.Item]) -> Iterator[Event]:
    for item in items:
        if not isinstance(item, told.Ending):
            yield from item.events


def _thought(turn: told.Turn, text: str) -> str:
    """What the model said beside its code, which stands below."""
    source = turn.step.source if turn.step is not None else None
    if not source or source.strip() not in text:
        return text
    before, _, behind = text.partition(source.strip())
    head, tail = before.rstrip().rsplit("\n", 1) if "\n" in before.rstrip() else ("", before.rstrip())
    if not tail.lstrip().startswith(("```", "<")):
        return text
    rest = behind.lstrip().split("\n", 1)
    return f"{head}\n{rest[1] if len(rest) > 1 else ''}"


def _remark(event: Event) -> str:
    match event:
        case UserSaid(text):
            return f"you said: {text}"
        case PlanMade(_, plan):
            return f"the plan that counts: {plan}"
        case ApprovalAsked(_, _, tool):
            return f"asked whether {tool} may be" if tool in (CELL, PLAN) else f"asked whether {tool}() may run"
        case ApprovalGiven(_, tool, decision, reason):
            return f"{tool}: {decision}" + (f": {reason}" if reason else "")
        case Forked(run, at, say):
            place = f"step {at} of " if at is not None else ""
            return f"branched off behind {place}run {run[:12]}" + (f", with the words: {say}" if say else "")
        case Resumed(fresh, cells):
            return "went on from its journal" + (", with an empty interpreter" if fresh else likeness.told(cells))
        case InterpreterLost(gone) | InterpreterRestored(gone):
            then = "" if gone.restored is None else f"; a copy from after cell {gone.restored} went on"
            return f"the interpreter was lost: {gone.why}{then}"
        case Connected(_, host, port, _, refused):
            return f"connected to {host}:{port}" if refused is None else f"{host}:{port} was refused: {refused}"
        case FilesCollected(files, left_out):
            named = [f"{file.name} ({what(file)})" for file in files]
            return "files: " + ", ".join([*named, *(f"{one.name} left out: {one.why}" for one in left_out)])
        case InputsGiven(variables, files):
            return "given: " + ", ".join([*variables, *(f"inputs/{file.name}" for file in files)])
        case Charged(_, model, usage):
            return f"{model} was asked by a tool: {_tokens(usage) or 'tokens unknown'}"
        case BudgetWarned(kind, spent, limit):
            return f"the budget of {kind} is nearly spent: {spent:g} of {limit:g}"
        case Compacted():
            return "older output was left out of the prompt, to make room"
        case Summarised(_, text):
            return f"summed up, to make room: {text}" if text else ""
        case Noted(text):
            return text
        case _:
            return ""


def _timeline(items: Sequence[told.Item]) -> Iterator[str]:
    """A row for each step: when it was, and which part of it the model took and which its cell."""
    steps = told.turns(items)
    if len(steps) < 2:
        return
    first = steps[0].at
    ends = [turn.at + (turn.thinking or 0.0) + (turn.running or 0.0) for turn in steps]
    whole = max(max(ends) - first, 1e-9)
    yield ""
    yield f"{'step':>6} {'at':>9} {'model':>9} {'cell':>9} {'calls':>5} {'tokens':>8}"
    for turn, end in zip(steps, ends, strict=True):
        start = int((turn.at - first) / whole * (_BAR - 1))
        length = max(1, round((end - turn.at) / whole * _BAR))
        thought = round(length * (turn.thinking or 0.0) / max(end - turn.at, 1e-9))
        bar = " " * start + "░" * thought + "█" * (length - thought)
        used = turn.usage.output_tokens
        row = (
            f"{turn.number:>6} {'+' + _seconds(turn.at - first):>9} {_seconds(turn.thinking):>9} "
            f"{_seconds(turn.running):>9} {len(turn.calls) or '':>5} {'' if used is None else f'{used:,}':>8}"
        )
        yield f"{row}  {bar[:_BAR]}".rstrip()


def _tokens(usage: Usage) -> str:
    if usage.input_tokens is None or usage.output_tokens is None:
        return ""
    return f"{usage.input_tokens:,} tokens in, {usage.output_tokens:,} out"


def _seconds(seconds: float | None) -> str:
    if seconds is None:
        return ""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds) // 60} min {int(seconds) % 60} s"


def _value(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _VALUE else f"{text[:_VALUE]} ... ({len(text) - _VALUE:,} more characters)"


def _marked(sign: str, text: str) -> Iterator[str]:
    """The lines of a text as they are, each behind a sign."""
    if not text:
        return
    shown = text if len(text) <= _TEXT else f"{text[:_TEXT]}\n... {len(text) - _TEXT:,} more characters"
    for line in escaped(shown.rstrip("\n")).split("\n"):
        yield f"{sign}{line}".rstrip()
