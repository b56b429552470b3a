"""Tool calls in a provider's own form: all of a reply at once, through the one door that code goes through, too."""

from __future__ import annotations

import asyncio
import io
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import anyio

from .answers import Answers
from .core.events import CallAnswered
from .core.execution import Answer, Failure, Limits, ToolSpec
from .core.messages import Image, NativeCall, ToolDeclaration, arguments_of
from .core.untrusted import bounded
from .door import ANSWER, Door, placed
from .guest import display, values
from .interpreter import Asked
from .ports import Tool
from .tools.declarations import declaration

_SHOWN = 6_000  # characters of a value
Refusal = Callable[[Any], Awaitable[Failure | None]]


def declarations(tools: Sequence[Tool], answers: Answers | None) -> tuple[ToolDeclaration, ...]:
    """The tools, and `final_answer`, as a model is told of them that calls them in its provider's own form."""
    answer = (answers or Answers()).declaration
    return (*map(declaration, tools), answer)


class Calling:
    """What a session does with the calls of a reply. `refusal` says why a value is no answer."""

    def __init__(self, door: Door, specs: Sequence[ToolSpec], limits: Limits, refusal: Refusal) -> None:
        self._door = door
        self._specs = {spec.name: spec for spec in specs}
        self._slots = anyio.Semaphore(limits.open_calls, fast_acquire=True)
        self._refusal = refusal

    async def answer(self, cell: int, calls: Sequence[NativeCall]) -> tuple[CallAnswered, ...]:
        """What came of each, in the order of the calls. The first accepted answer counts; cancelling stops them all."""
        return tuple(await asyncio.gather(*(self._one(cell, call) for call in calls)))

    async def _one(self, cell: int, call: NativeCall) -> CallAnswered:
        try:
            arguments = arguments_of(call)
        except ValueError as error:
            return _failed(call, Failure("ValueError", str(error)))
        if call.name == ANSWER:
            return await self._answered(call, arguments)
        async with self._slots:
            spec = self._specs.get(call.name)
            args, kwargs = placed(spec, arguments) if spec is not None else ([], arguments)
            try:
                packed = values.encode([args, kwargs])
            except values.Refused as error:
                return _failed(call, Failure("ValueError", str(error)))
            given = await self._door(Asked(cell, call.name, packed))
        if isinstance(given, Failure):
            return _failed(call, given)
        value = values.decode(given)
        picture = _picture(value)
        return CallAnswered(call, shown(value), () if picture is None else (picture,))

    async def _answered(self, call: NativeCall, arguments: dict[str, Any]) -> CallAnswered:
        if set(arguments) != {"value"}:
            return _failed(call, Failure("TypeError", f"{ANSWER} takes one argument, named value"))
        refused = await self._refusal(arguments["value"])
        if refused is not None:
            return _failed(call, refused)
        return CallAnswered(call, "The answer is given.", answer=Answer(arguments["value"]))


def shown(value: Any) -> str:
    """A value as a model reads it: text as it is, anything else as Python shows it, both bounded."""
    return bounded(value, _SHOWN) if isinstance(value, str) else bounded(display.show(value)[1], _SHOWN)


def _picture(value: Any) -> Image | None:
    """A tool's image, where that is what it gave."""
    pillow = sys.modules.get("PIL.Image")
    if pillow is None or not isinstance(value, pillow.Image):
        return None
    data = io.BytesIO()
    value.save(data, "PNG")
    return Image(data.getvalue(), size=value.size)


def _failed(call: NativeCall, failure: Failure) -> CallAnswered:
    return CallAnswered(call, bounded(f"{failure.type}: {failure.message}", _SHOWN), failed=True)
