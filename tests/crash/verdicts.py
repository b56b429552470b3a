"""What a run that was killed owes us, said of histories: pure functions of what the run tells and what the ledger saw.

Of each call a run tells that it was invoked, that it ended (`ok`), that it did not get through (`fail`), or that nobody
knows (`info`); the ledger tells that it took effect. These words are Jepsen's.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

Kind: TypeAlias = Literal["invoke", "ok", "fail", "info", "effect"]


@dataclass(frozen=True, slots=True)
class Op:
    """Something that was told of a call."""

    kind: Kind
    key: str
    tool: str = ""
    value: Any = None


def of_calls(ops: Iterable[Op], idempotent: Collection[str] = ()) -> list[str]:
    """What is wrong with the calls of a history; those of `idempotent` tools may take effect again.

    An effect without an intent; a call that ended and took no effect, or two; a call that nobody knows, and two; two
    ends of one call that are not the same.
    """
    ops = list(ops)
    effects, invoked = Counter(op.key for op in ops if op.kind == "effect"), {o.key for o in ops if o.kind == "invoke"}
    tools = {op.key: op.tool for op in ops if op.tool}
    ended: dict[str, Any] = {}
    wrong = []
    for op in ops:
        if op.kind == "ok" and ended.setdefault(op.key, op.value) != op.value:
            wrong.append(f"{tools.get(op.key, '?')} {op.key[:8]}: it ended twice, and not the same")
    for key in dict.fromkeys((*effects, *ended, *(op.key for op in ops if op.kind == "info"))):
        count, name = effects[key], f"{tools.get(key, '?')} {key[:8]}"
        if key not in invoked:
            wrong.append(f"{name}: an effect, or an end, without an intent")
        if count > 1 and tools.get(key) not in idempotent:
            wrong.append(f"{name}: {count} effects")
        if key in ended and not count:
            wrong.append(f"{name}: told as done, and it took no effect")
    return wrong


def of_ends(ended: Mapping[str, Any], reference: Mapping[str, Any], whole: bool) -> list[str]:
    """What is wrong with what the cells were given, by key, beside a run that nobody killed; all of it if `whole`."""
    wrong = [f"{key[:8]}: another value than in the run that was not killed" for key in ended if key not in reference]
    wrong += [f"{key[:8]}: another value" for key in ended if key in reference and ended[key] != reference[key]]
    if whole and (missing := reference.keys() - ended.keys()):
        wrong.append(f"{len(missing)} calls of the run that was not killed are not there")
    return wrong


def of_cells(happened: Iterable[tuple[Literal["called", "ended"], int]]) -> list[str]:
    """What is wrong with when calls were made: in a cell that had ended none is, also when it runs again."""
    over: set[int] = set()
    wrong = []
    for what, cell in happened:
        if what == "ended":
            over.add(cell)
        elif cell in over:
            wrong.append(f"cell {cell} called something after it had ended")
    return wrong


def of_questions(lives: Sequence[Sequence[int]], replies: Sequence[int]) -> list[str]:
    """What is wrong with what a model was asked: in each life the places in the conversation, in order, and how many
    replies the journal held when that life began. What was replied, and kept, is not asked again.
    """
    wrong = []
    for life, (places, held) in enumerate(zip(lives, replies, strict=True), 1):
        if any(place < held for place in places):
            wrong.append(f"life {life}: asked again what the journal had the reply of")
        if any(later <= place for place, later in itertools.pairwise(places)):
            wrong.append(f"life {life}: one question twice")
    return wrong


def of_news(told: Sequence[str], kept: Sequence[str]) -> list[str]:
    """What is wrong with the events that listeners were told: each is in the journal, in this order."""
    lost, place = 0, 0
    for line in told:
        if line in kept[place:]:
            place = kept.index(line, place) + 1
        else:
            lost += 1
    return [f"{lost} events that were told are not in the journal, or not in this order"] if lost else []


def of_reports(reports: Sequence[Mapping[str, Any]], answer: Any) -> list[str]:
    """What is wrong with how it ended: with the answer, after it had paused at most for calls that it listed."""
    wrong = []
    for report in reports[:-1]:  # whoever is killed on his way out has told the end, and it is told again
        over = report["stop_reason"] == "final_answer" and report["output"] == answer
        if not over and (report["stop_reason"] != "paused" or not report["unknown"]):
            wrong.append(f"it went on after {report['stop_reason']}")
    if not reports or reports[-1]["stop_reason"] != "final_answer" or reports[-1]["output"] != answer:
        wrong.append(f"it ended with {reports[-1] if reports else 'nothing'}")
    return wrong
