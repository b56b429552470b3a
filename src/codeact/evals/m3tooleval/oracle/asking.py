"""A policy is a function that calls the benchmark's tools by name. Here is what lets it run from a conversation.

The function is run from its start at every turn. Each tool gives what the conversation says that it gave; the first
whose answer is not there yet is what the model asks for now. So a policy that is written once acts by calls, one at a
time, as well as by its own source.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

_given: ContextVar[Iterator[str]] = ContextVar("given")


@dataclass
class Wanted(Exception):
    """The call whose answer is needed next."""

    tool: str
    args: tuple[Any, ...]


def tool(name: str, *, text: bool = False) -> Any:
    """A tool as a policy calls it; `text` where it gives text, which is not to be read as a number."""

    def call(*args: Any) -> Any:
        for answer in _given.get():
            return answer if text else _value(answer)
        raise Wanted(name, args)

    return call


def next_of(policy: Callable[..., Any], arguments: Mapping[str, Any], given: Sequence[str]) -> Wanted | tuple[Any]:
    """The call that the policy makes after these answers, as a model reads them, or in a box what it answers."""
    token = _given.set(iter(given))
    try:
        return (policy(**arguments),)
    except Wanted as wanted:
        return wanted
    finally:
        _given.reset(token)


def _value(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
