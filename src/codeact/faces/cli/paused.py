"""A run that has not ended, or waits for somebody: what for, and the line to type."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from codeact.core.approvals import CELL, PLAN
from codeact.core.events import TaskGiven
from codeact.core.execution import ToolCall
from codeact.core.untrusted import escaped, inline
from codeact.journals.memory import MemoryStore
from codeact.ports import Store
from codeact.questions import Question, questions
from codeact.session.result import RunResult
from codeact.shell import quoted

from ..called import called
from . import lines

_ROOM = 300  # characters of a call


def tell(store: Store, result: RunResult) -> tuple[Question, ...]:
    """Say on stderr what a paused run waits for, and give its questions."""
    if result.stop_reason != "paused":
        return ()
    if result.unknown:
        _unknown(result.run_id, result.unknown)
        return ()
    asked = questions(store, result.run_id)
    _say(f"The run waits for {'an answer' if len(asked) == 1 else f'{len(asked)} answers'}:")
    for one in asked:
        _say(f"  {one.asked.key[:12]}  {described(one.call)}")
    which = "" if len(asked) == 1 else " --key KEY (or --all)"
    _say(f"Give it: {called()} approve {result.run_id[:12]}{which}\nor with --deny --reason TEXT")
    return asked


def going_on(store: Store, result: RunResult, journal: str | None) -> str:
    """Say on stderr how a task that was stopped, or that failed by the world's doing, goes on, and give the words."""
    began = any(isinstance(event, TaskGiven) for event in result.events)
    if result.stop_reason not in ("cancelled", "error") or not began or isinstance(store, MemoryStore):
        return ""
    place = f" --journal {quoted(journal)}" if journal else ""
    words = f"To go on with it: {called()} resume {result.run_id[:12]}{place}"
    _say(words)
    return words


def described(call: ToolCall) -> str:
    """What is asked about, in a line."""
    if call.tool == CELL:
        return f"cell {call.cell}: {inline(str(call.arguments.get('source', '')), _ROOM)}"
    if call.tool == PLAN:
        return f"the plan: {inline(str(call.arguments.get('plan', '')), _ROOM)}"
    given = ", ".join(f"{name}={value!r}" for name, value in call.arguments.items())
    return f"cell {call.cell} calls {inline(f'{call.tool}({given})', _ROOM)}"


def in_json(asked: Sequence[Question]) -> list[dict[str, Any]]:
    """Questions, in the line of `run --json`."""
    return [
        {
            "key": one.asked.key,
            "run": one.run,
            "cell": one.asked.cell,
            "tool": one.asked.tool,
            "arguments": lines.by_the_table(one.asked.arguments),
        }
        for one in asked
    ]


def _unknown(name: str, calls: Sequence[ToolCall]) -> None:
    _say("Nobody knows whether these calls took effect, so nothing was done:")
    for call in calls:
        given = ", ".join(f"{key}={value!r}" for key, value in call.arguments.items())
        _say(f"  {call.key[:12]}  {inline(f'{call.name}({given})', _ROOM)}")
    _say(
        f"Find out, and say it: {called()} resume {name[:12]} with --done KEY=VALUE (as JSON), --failed KEY, or "
        "--retry KEY to have it called again"
    )


def _say(line: str) -> None:
    print(escaped(line), file=sys.stderr)
