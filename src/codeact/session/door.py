"""The one door for tool calls: validate, record, run, record, answer. Whoever asks, asks here."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import anyio

from ..begun import Begun
from ..core.approvals import Deny, Edit
from ..core.errors import BudgetExhausted, nearest
from ..core.events import BudgetEnded, ClockRead, Event, ToolCalled, ToolReturned
from ..core.execution import INTERRUPTED, Failure, Limits, Returned, ToolCall, ToolSpec
from ..crashpoints import crashpoint
from ..guest import values
from ..interpreter import Asked
from ..ports import Commanding, Gate, Tool
from ..secrets import Vault
from ..tools.context import ANSWERING, Call, Caller
from ..tools.deadline import Deadline
from ..tools.failure import failure_of
from .served import Served

Record = Callable[[Event], Awaitable[None]]  # to the end, whatever is cancelled around it

_UNCHANGING = frozenset((str, int, float, bool, type(None), bytes))
_canonical = json.JSONEncoder(sort_keys=True).encode
ANSWER = "final_answer"  # a call of it asks whether the value may be the answer
_STOPPED = Failure(INTERRUPTED, "the call was stopped; whether it took effect is not known")


async def _forget(event: Event) -> None:
    return None


@dataclass(frozen=True, slots=True)
class _Known:
    """What is looked up of a tool once."""

    whole: bool  # an agent keeps secrets as such
    turn: anyio.Semaphore | None  # where so many of its calls may run at once


class Door:
    """Answers the calls of one session. An exception that leaves here is ours, never a tool's."""

    def __init__(
        self,
        tools: Sequence[Tool],
        limits: Limits,
        *,
        run: str = "",
        record: Record = _forget,
        vault: Vault | None = None,
        gate: Gate | None = None,
        answer: Callable[[Any], Awaitable[Failure | None]] | None = None,
        caller: Caller | None = None,
    ) -> None:
        self._tools = {tool.spec.path: tool for tool in tools}
        self._limits = limits
        self._run = run
        self._record = record
        self.vault = vault or Vault()
        self._known: dict[str, _Known] = {}
        self._seen: defaultdict[bytes, int] = defaultdict(int)  # calls of `_cell`, by what they are
        self._cell = 0
        self._gate = gate
        self._answer = answer
        self.caller = caller
        self._made: list[ToolCall] = []  # of this cell
        self._memo: dict[Any, Any] = {}
        self.served: Served | None = None  # what a journal knows, where a run goes on from one

    async def __call__(self, asked: Asked) -> values.Packed | Failure:
        """The packed value of a call, or why there is none."""
        if asked.clock and not (self.served is not None and self.served.known):
            await self._record(ClockRead(asked.cell, asked.clock))
        tool = self._tools.get(asked.tool)
        if asked.tool == ANSWER and self._answer is not None:
            if self.served is not None and self.served.known:
                return values.encode(None)  # it was looked at when it was given
            return await self._look_at(asked, self._answer)
        if tool is None:
            return Failure("NameError", f"there is no tool named {asked.tool!r}{nearest(asked.tool, self._tools)}")
        try:
            args, kwargs = _arguments(asked.arguments)
            if _UNCHANGING.issuperset(map(type, args)) and _UNCHANGING.issuperset(map(type, kwargs.values())):
                shown = named(tool.spec, args, kwargs)
                arguments = tool.bind(args, kwargs)  # there is no secret among them
            else:
                shown = named(tool.spec, *_arguments(asked.arguments))  # its own copy: the tool may change what it gets
                arguments = self._bound(tool, args, kwargs)
        except values.Refused as error:
            return Failure("TypeError", f"{asked.tool}(): {error}")
        except (TypeError, ValueError) as error:
            return failure_of(error, self.vault)
        key = self._key(asked)
        if self.served is not None:
            match self.served(ToolCall(key, asked.cell, asked.tool, shown)):
                case Deny(reason):
                    return failure_of(PermissionError(_denied(asked.tool, reason)), self.vault)
                case Failure() | values.Packed() as known:
                    await self.served.turn(key)
                    return known
            self.served.asked(key)
        ledger = self.caller.ledger if self.caller is not None else None
        try:
            if ledger is not None:
                ledger.take_call()
        except BudgetExhausted as error:
            await self._record(BudgetEnded(error.kind, str(error)))
            return failure_of(error, self.vault)
        edited = None
        if self._gate is not None:
            match await self._gate(self._call(key, asked, shown)):
                case Deny(reason):
                    if ledger is not None:
                        ledger.return_call()
                    return failure_of(PermissionError(_denied(asked.tool, reason)), self.vault)
                case Edit(given):
                    try:
                        arguments = self._bound(tool, *placed(tool.spec, given))
                    except (TypeError, ValueError) as error:
                        return failure_of(error, self.vault)
                    edited = given
        await self._record(ToolCalled(key, asked.cell, asked.tool, shown, edited))
        answer: values.Packed | Failure = _STOPPED
        call = Call(key, self._run, asked.cell, asked.tool, self.caller, self._memo)
        try:
            answer = await self._run_tool(tool, arguments, call)
        finally:
            answer, value = _read(answer, asked.tool)
            failure = answer if isinstance(answer, Failure) else None
            while self.caller is not None and self.caller.bill:
                await self._record(self.caller.bill.pop(0))
            await self._record(ToolReturned(key, Returned(value, failure)))
        return answer

    async def _look_at(
        self, asked: Asked, answer: Callable[[Any], Awaitable[Failure | None]]
    ) -> values.Packed | Failure:
        try:
            args, kwargs = _arguments(asked.arguments)
        except values.Refused as error:
            return Failure("TypeError", f"{ANSWER}(): {error}")
        if len(args) != 1 or kwargs:
            return Failure("TypeError", f"{ANSWER}() takes one value")
        return await answer(args[0]) or values.encode(None)

    def _call(self, key: str, asked: Asked, arguments: dict[str, Any]) -> ToolCall:
        if self._made and self._made[-1].cell != asked.cell:
            self._made.clear()
        call = ToolCall(key, asked.cell, asked.tool, arguments, tuple(self._made))
        self._made.append(replace(call, before=()))
        return call

    def _bound(self, tool: Tool, args: list[Any], kwargs: dict[str, Any]) -> dict[str, Any]:
        """The arguments by parameter name, as the tool gets them: with the values of secrets."""
        whole = self._known_as(tool.spec.path, tool).whole
        return tool.bind(self.vault.revealed(args, whole=whole), self.vault.revealed(kwargs, whole=whole))

    async def _run_tool(self, tool: Tool, arguments: dict[str, Any], call: Call) -> values.Packed | Failure:
        turn = self._known_as(call.tool, tool).turn
        try:
            if turn is not None:
                await turn.acquire()
            try:
                before = ANSWERING.set(call)
                try:
                    value, late = await self._within(tool.seconds or self._limits.tool_seconds, tool, arguments, call)
                finally:
                    ANSWERING.reset(before)
            finally:
                if turn is not None:
                    turn.release()
        except Exception as error:
            return failure_of(error, self.vault)
        if late:
            return Failure("TimeoutError", f"{call.tool}() {late}; it may still have taken effect")
        try:
            return self.vault.packed(values.encode(value))
        except values.Refused as error:
            return Failure("ToolResultError", f"the result of {call.tool}() cannot be given to the code: {error}")

    async def _within(self, seconds: float, tool: Tool, arguments: dict[str, Any], call: Call) -> tuple[Any, str]:
        """The tool's value, or that it took longer than this. One that does not wait needs no clock."""
        crashpoint("tool starts")
        if self.caller is None:
            value, late = await _timely(seconds, tool, arguments)
        else:
            with self.caller.pause.running(call.key), self.caller.followers.answering(call.key):
                value, late = await _timely(seconds, tool, arguments)
        crashpoint("tool returned")
        return value, late

    def _known_as(self, name: str, tool: Tool) -> _Known:
        known = self._known.get(name)
        if known is None:
            turn = anyio.Semaphore(tool.concurrency, fast_acquire=True) if tool.concurrency else None
            known = self._known[name] = _Known(isinstance(tool, Commanding), turn)
        return known

    def _key(self, asked: Asked) -> str:
        """Decision 2: what the call is, and the how-manieth of its kind in its cell; not when, nor in which order."""
        run = self._run if self.served is None else self.served.owner(asked.cell)
        content = _canonical([run, asked.cell, asked.tool, asked.arguments.tree])
        digest = hashlib.sha256(content.encode())
        for blob in asked.arguments.blobs:
            digest.update(hashlib.sha256(blob).digest())
        call = digest.digest()
        if asked.cell != self._cell:  # of an earlier one none comes any more
            self._cell = asked.cell
            self._seen.clear()
        self._seen[call] += 1
        digest.update(self._seen[call].to_bytes(8, "big"))
        return digest.hexdigest()[:32]


async def _timely(seconds: float, tool: Tool, arguments: dict[str, Any]) -> tuple[Any, str]:
    since = asyncio.get_running_loop().time()
    begun = Begun(tool.call(arguments))
    if begun.waits:
        with Deadline(seconds, since) as deadline:
            await begun
        if deadline.passed:
            return None, f"took longer than its {seconds:g} s"
    return begun.value, ""


def _read(answer: values.Packed | Failure, tool: str) -> tuple[values.Packed | Failure, Any]:
    """An answer as the cell will read it, and its value, a copy of the tool's own."""
    if isinstance(answer, Failure):
        return answer, None
    try:
        return answer, values.decode(answer)
    except values.Refused as error:
        return Failure("ToolResultError", f"the result of {tool}() cannot be given to the code: {error}"), None


def _arguments(packed: values.Packed) -> tuple[list[Any], dict[str, Any]]:
    """The list of positionals and the dict of keywords; raises values.Refused for anything else."""
    decoded = values.decode(packed)
    match decoded:
        case [list() as args, dict() as kwargs] if all(type(name) is str for name in kwargs):
            return args, kwargs
        case _:
            raise values.Refused("$: not a list of arguments and a dict of keywords")


def named(spec: ToolSpec, args: Sequence[Any], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The asked arguments by the names of their parameters, for people to read."""
    positional = [p for p in spec.parameters if p.kind in ("POSITIONAL_ONLY", "POSITIONAL_OR_KEYWORD")]
    rest = [p.name for p in spec.parameters if p.kind == "VAR_POSITIONAL"]
    shown = {parameter.name: value for parameter, value in zip(positional, args, strict=False)}
    if rest and len(args) > len(positional):
        shown[rest[0]] = list(args[len(positional) :])
    return {**shown, **kwargs}


def placed(spec: ToolSpec, arguments: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """The other way: positionals and keywords of a call whose arguments stand by name."""
    kwargs = dict(arguments)
    args: list[Any] = []
    rest = next((one.name for one in spec.parameters if one.kind == "VAR_POSITIONAL" and one.name in kwargs), None)
    for one in spec.parameters:
        if one.kind == "POSITIONAL_ONLY" or (rest and one.kind == "POSITIONAL_OR_KEYWORD"):
            if one.name not in kwargs:
                break
            args.append(kwargs.pop(one.name))
    if rest:
        args += kwargs.pop(rest)
    return args, kwargs


def _denied(tool: str, reason: str) -> str:
    return f"{tool}() was not allowed" + (f": {reason}" if reason else "")
