"""A policy is a function that calls the benchmark's tools by name. Here is what lets it run from a conversation.

The function is run from its start at every turn. Each tool gives what the conversation says that it gave; what is not
there yet is what the model asks for now. So a policy that is written once acts by calls as well as by its own source.

By one call a turn it is left at the first that has no answer. By many, a call without an answer gives a `Later`, which
may be handed on but not looked at, and it is left where one is looked at: all calls that do not need each other are
made by then.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, NoReturn


@dataclass(frozen=True, slots=True)
class Wanted:
    """A call whose answer is needed."""

    tool: str
    args: tuple[Any, ...]


class _Left(Exception):
    """The policy cannot go on without an answer."""


class Later:
    """What a call gives that has no answer yet."""

    def _look(self, *_: Any) -> NoReturn:
        raise _Left

    __getattr__ = __iter__ = __len__ = __getitem__ = __contains__ = __bool__ = _look
    __int__ = __float__ = __str__ = __format__ = __add__ = __radd__ = __lt__ = __gt__ = _look


class _Turn:
    """One run of a policy: the answers that are there, and the calls that have none."""

    def __init__(self, answered: Sequence[tuple[Wanted, str]], many: bool) -> None:
        self._answers: defaultdict[Wanted, list[str]] = defaultdict(list)
        for call, answer in answered:
            self._answers[call].append(answer)
        self._many = many
        self.wanted: list[Wanted] = []

    def call(self, call: Wanted, *, text: bool, alone: bool) -> Any:
        if any(isinstance(one, Later) for one in call.args):
            return Later()
        if self._answers[call]:
            answer = self._answers[call].pop(0)
            return answer if text else _value(answer)
        self.wanted.append(call)
        if alone or not self._many:
            raise _Left
        return Later()


_turn: ContextVar[_Turn] = ContextVar("turn")


def tool(name: str, *, text: bool = False, alone: bool = False) -> Any:
    """A tool as a policy calls it.

    `text` where it gives text, which is not to be read as a number; `alone` where the next call depends on it.
    """

    def call(*args: Any) -> Any:
        return _turn.get().call(Wanted(name, args), text=text, alone=alone)

    return call


def next_of(
    policy: Callable[..., Any],
    arguments: Mapping[str, Any],
    answered: Sequence[tuple[Wanted, str]],
    *,
    many: bool = False,
) -> list[Wanted] | tuple[Any]:
    """The calls that the policy makes after these answers, as a model reads them, or in a box what it answers."""
    turn = _Turn(answered, many)
    token = _turn.set(turn)
    try:
        answer = policy(**arguments)
    except _Left:
        answer = None
    finally:
        _turn.reset(token)
    return turn.wanted or (answer,)


def _value(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
