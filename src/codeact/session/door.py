"""The one door for tool calls: validate, record, run, record, answer. Whoever asks, asks here."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import anyio

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

Record = Callable[[Event], Awaitable[None]]

_UNCHANGING = (str, int, float, bool, type(None), bytes)
_canonical = json.JSONEncoder(sort_keys=True).encode
ANSWER = "final_answer"  # a call of it asks whether the value may be the answer
_STOPPED = Failure(INTERRUPTED, "the call was stopped; whether it took effect is not known")


async def _forget(event: Event) -> None:
    return None


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
        self._turns = {
            name: anyio.Semaphore(tool.concurrency, fast_acquire=True)
            for name, tool in self._tools.items()
            if tool.concurrency
        }
        self._seen: Counter[str] = Counter()
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
            unchanging = all(type(value) in _UNCHANGING for value in (*args, *kwargs.values()))
            # its own copy: the tool may change what it is given
            shown = named(tool.spec, *((args, kwargs) if unchanging else _arguments(asked.arguments)))
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
            with anyio.CancelScope(shield=True):
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
        whole = isinstance(tool, Commanding)  # an agent keeps them as such
        return tool.bind(self.vault.revealed(args, whole=whole), self.vault.revealed(kwargs, whole=whole))

    async def _run_tool(self, tool: Tool, arguments: dict[str, Any], call: Call) -> values.Packed | Failure:
        name = tool.spec.path
        seconds = tool.seconds or self._limits.tool_seconds
        turn = self._turns.get(name)
        try:
            if turn is not None:
                await turn.acquire()
            try:
                before = ANSWERING.set(call)
                try:
                    crashpoint("tool starts")
                    with self._at_work(call.key), self._answering(call.key), Deadline(seconds) as deadline:
                        value = await tool.call(arguments)
                    crashpoint("tool returned")
                finally:
                    ANSWERING.reset(before)
            finally:
                if turn is not None:
                    turn.release()
        except Exception as error:
            return failure_of(error, self.vault)
        if deadline.passed:
            return Failure(
                "TimeoutError", f"{name}() took longer than its {seconds:g} s; it may still have taken effect"
            )
        try:
            return self.vault.packed(values.encode(value))
        except values.Refused as error:
            return Failure("ToolResultError", f"the result of {name}() cannot be given to the code: {error}")

    def _at_work(self, key: str) -> AbstractContextManager[None]:
        return nullcontext() if self.caller is None else self.caller.pause.running(key)

    def _answering(self, key: str) -> AbstractContextManager[object]:
        return nullcontext() if self.caller is None else self.caller.followers.answering(key)

    def _key(self, asked: Asked) -> str:
        """Decision 2: what the call is, and the how-manieth of its kind in its cell; not when, nor in which order."""
        run = self._run if self.served is None else self.served.owner(asked.cell)
        content = _canonical([run, asked.cell, asked.tool, asked.arguments.tree])
        digest = hashlib.sha256(content.encode())
        for blob in asked.arguments.blobs:
            digest.update(hashlib.sha256(blob).digest())
        call = digest.hexdigest()
        self._seen[call] += 1
        digest.update(self._seen[call].to_bytes(8, "big"))
        return digest.hexdigest()[:32]


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
