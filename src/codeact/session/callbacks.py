"""Functions of the user's that are called with as much as they take: a value, the events so far, the agent."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ..core.events import Event
from ..core.steps import steps_of
from ..tools.threads import in_thread

_ORDER = ("first", "events", "agent")


class Callback:
    """A plain or async function of one, two or three parameters: by place, or by the names `events` and `agent`."""

    def __init__(self, function: Callable[..., Any], what: str, value: str) -> None:
        if not callable(function):
            raise TypeError(f"{what} {function!r:.80} is no function")
        self.function = function
        self.name = getattr(function, "__name__", type(function).__name__)
        self._places, self._named = _taken(function, f"{what} {function!r} takes {value}, or also the events, or also")
        call = getattr(function, "__call__", None)  # noqa: B004
        self._is_async = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(call)

    async def __call__(self, value: Any, events: Sequence[Event], agent: object) -> Any:
        """Call it; a plain function in a thread of its own. What it raises leaves here."""
        takes = {*self._places, *self._named}
        given = {"first": value, "events": tuple(events) if "events" in takes else (), "agent": agent}
        args, kwargs = [given[name] for name in self._places], {name: given[name] for name in self._named}
        if self._is_async:
            return await self.function(*args, **kwargs)
        said = await in_thread(lambda: self.function(*args, **kwargs))
        return await said if inspect.isawaitable(said) else said


def _taken(function: Callable[..., Any], rule: str) -> tuple[list[str], list[str]]:
    """What goes to it by place, and what by name. Raises TypeError for what takes nothing, or more."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return ["first"], []
    if any(one.kind is one.VAR_POSITIONAL for one in parameters):
        return list(_ORDER), []
    placed = [one for one in parameters if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]
    required = [one for one in placed if one.default is one.empty] or placed[:1]
    beside = [one for one in parameters if one not in required and one.name in ("events", "agent")]
    unknown = [
        one for one in parameters if one.kind is one.KEYWORD_ONLY and one.default is one.empty and one not in beside
    ]
    if not 1 <= len(required) <= 3 or unknown:
        raise TypeError(f"{rule} the agent")
    places = ["first", *(one.name if one.name in _ORDER else _ORDER[at] for at, one in enumerate(required[1:], 1))]
    return places, [one.name for one in beside if one.kind is not one.POSITIONAL_ONLY]


class StepCallbacks:
    """What is called after each step of a session's tasks."""

    def __init__(self, callbacks: Iterable[Callback], agent: object) -> None:
        self._callbacks = tuple(callbacks)
        self._agent = agent
        self._seen = 0

    def begin(self, events: Sequence[Event]) -> None:
        """A task begins: what happened before is not of it."""
        self._seen = len(events)

    async def tell(self, events: Sequence[Event]) -> None:
        """Call them with the step that has come to its end since, if one has."""
        if not self._callbacks:
            return
        since, self._seen = events[self._seen :], len(events)
        for step in steps_of(since):
            for callback in self._callbacks:
                await callback(step, events, self._agent)


def step_callbacks(given: Any) -> tuple[Callback, ...]:
    """What users write as `step_callbacks`, looked at. Raises TypeError."""
    if callable(given) or isinstance(given, dict | str):
        raise TypeError("step_callbacks= takes a list of functions: write step_callbacks=[...]")
    return tuple(Callback(one, "the step callback", "the step") for one in given)
