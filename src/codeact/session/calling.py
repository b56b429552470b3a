"""Tool calls in a provider's own form: all of a reply at once, through the one door that code goes through, too."""

from __future__ import annotations

import asyncio
import io
import json
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import anyio

from ..core.catalogue import Catalogue
from ..core.declared import listing
from ..core.deferral import CALL_TOOL, SEARCH_TOOLS, declarations_of_search, searched
from ..core.events import CallAnswered
from ..core.execution import Answer, Failure, Limits, ToolSpec
from ..core.messages import Image, NativeCall, ToolDeclaration, arguments_of
from ..core.untrusted import bounded
from ..guest import display, values
from ..interpreter import Asked
from ..ports import Tool
from ..tools.declarations import declaration
from .answers import Answers
from .door import ANSWER, Door, placed

_SHOWN = 6_000  # characters of a value
_JSON = 1.5  # how much longer than in Python tools may be declared to a provider
_LEAST = 120  # characters that a declaration has at least
Refusal = Callable[[Any], Awaitable[Failure | None]]


def declarations(
    tools: Sequence[Tool], catalogue: Catalogue, limits: Limits, answers: Answers | None
) -> tuple[ToolDeclaration, ...]:
    """The tools, and `final_answer`, as a model is told of them that calls them in its provider's own form.

    Where they are too many, those of some groups, and two tools that find and call the others.
    """
    answer = (answers or Answers()).declaration
    room = int(limits.listing * _JSON)
    given = {tool.spec.path: tool for tool in tools}
    made: dict[str, ToolDeclaration] = {}

    def size(spec: ToolSpec) -> int:
        if len(catalogue.groups[spec.group]) * _LEAST > room:
            return room + 1  # its group cannot fit
        one = made[spec.path] = declaration(given[spec.path], catalogue.flat[spec.path])
        return len(one.name) + len(one.description) + len(json.dumps(one.parameters))

    shown = listing(catalogue, room, size, brief=False)
    return (*(made[spec.path] for spec in shown.whole), *declarations_of_search(shown.rest), answer)


class Calling:
    """What a session does with the calls of a reply. `refusal` says why a value is no answer."""

    def __init__(self, door: Door, catalogue: Catalogue, limits: Limits, refusal: Refusal) -> None:
        self._door = door
        self._catalogue = catalogue
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
        name = call.name
        try:
            if self._catalogue.found(name) is None:
                if name == SEARCH_TOOLS.name:
                    return CallAnswered(call, bounded(searched(self._catalogue, arguments), _SHOWN))
                if name == CALL_TOOL.name:
                    name, arguments = _meant(arguments)
        except (TypeError, ValueError) as error:
            return _failed(call, Failure(type(error).__name__, str(error)))
        async with self._slots:
            spec = self._catalogue.found(name)
            args, kwargs = placed(spec, arguments) if spec is not None else ([], arguments)
            try:
                packed = values.encode(self._door.vault.meant([args, kwargs]))
            except values.Refused as error:
                return _failed(call, Failure("ValueError", str(error)))
            given = await self._door(Asked(cell, name if spec is None else spec.path, packed))
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


def _meant(arguments: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The name and the arguments in a call of `call_tool`; many models write the inner object as text."""
    match arguments:
        case {"name": str(name), **rest} if set(rest) <= {"arguments"}:
            inner = rest.get("arguments", {})
            if isinstance(inner, str):
                inner = arguments_of(NativeCall("", name, inner))
            if inner is None or isinstance(inner, dict):
                return name, inner or {}
    raise TypeError("call_tool takes name, a text, and arguments, an object")


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
