"""What is killed: two agents whose every effect stands in the ledger, and a model that answers by what it reads.

The model knows no more than the conversation. A cell that it is told was lost it writes again, from the last one whose
variables are still there; so a run whose sandbox alone is killed comes to the same answer.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import witness

from codeact import CodeAgent, tool
from codeact.core.approvals import Allow, Decision
from codeact.core.execution import Limits, ToolCall
from codeact.core.messages import Prompt, Reply
from codeact.core.recovery import Failed, Happened, Recovery, Retry
from codeact.ports import Emit, Store
from codeact.stores import store
from codeact.tools.context import current_call

RUN = "0123456789abcdef0123456789abcdef"  # one name in every journal: so a call has one key in all of them
TASK = "Do it."
MIB = 1 << 20

ONE = (
    "noted = [note('first')]\nnoted.append(note('second'))",
    "import asyncio\nnoted += await asyncio.gather(*(note.aio(f'beside {n}') for n in range(4)))",
    "for n in range(2):\n    try:\n        noted.append(note('again'))\n    except OSError:\n        noted.append('?')",
    "try:\n    fail('badly')\nexcept (ValueError, RuntimeError) as error:\n    noted.append(str(error))\n"
    "noted.append(slow('slow'))",
    f"size = len(large({MIB}))\npaid = pay(5)",
    "final_answer({'noted': noted, 'size': size, 'paid': paid})",
)
ONE_ANSWER = {
    "noted": ["first", "second", *(f"beside {n}" for n in range(4)), "again", "again", "bad: badly", "slow"],
    "size": MIB,
    "paid": 5,
}
TWO = (
    "got = [note('before')]",
    "got.append(helper('count', n=3))",
    "got.append(note('after'))\nfinal_answer(got)",
)
TWO_ANSWER = ["before", 6, "after"]
BELOW = ("a = note('below')\nm = n * 2", "b = note('deeper')\nfinal_answer(m)")
DRIFT = (  # what no resume can do again
    "by = int.from_bytes(open('/dev/urandom', 'rb').read(6), 'big')\nnote(f'drift {by}')",
    "note('after')\nfinal_answer('done')",
)
IDEMPOTENT = ("slow",)

_CELL = re.compile(r"^Cell (\d+) ")
_RESTORED = re.compile(r"A copy that was kept (?:before the first cell|after cell (\d+)) goes on")


class Model:
    """Says the first of its cells that the conversation does not show done."""

    def __init__(self, name: str, cells: tuple[str, ...], place: Path) -> None:
        self.name = name
        self._cells = cells
        self._place = place

    async def ask(self, prompt: Prompt, emit: Emit) -> Reply:
        """The next cell. What was asked is written down: its place in the conversation."""
        append(self._place / "asked", f"{self.name} {prompt.answered}")
        await asyncio.sleep(0)
        done = self._done([message.text for message in prompt.messages if message.role == "user"])
        return Reply(f"Now this.\n```python\n{self._cells[done]}\nprint('done {done + 1}')\n```")

    def _done(self, told: list[str]) -> int:
        done = {0: 0}  # after which cell of the session which of ours
        for text in told:
            number = _CELL.match(text)
            if number is not None and "done " in text and not re.search(r"crashed|did not outlive", text[:200]):
                done[int(number[1])] = int(text.partition("done ")[2].split()[0])
            if "All variables, functions, imports and files are gone" in text:
                done = {0: 0}
            elif restored := _RESTORED.search(text):
                done = {cell: ours for cell, ours in done.items() if cell <= int(restored[1] or 0)}
        return max(done.values())


def append(path: Path, line: str) -> None:
    """Write a line that is there whatever is killed next."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    os.write(file, line.encode() + b"\n")
    os.close(file)


def tools(place: Path, ledger: str) -> dict[str, Any]:
    """By name. Each does the one thing that cannot be taken back, under the key of its call."""

    async def effect(**arguments: Any) -> None:
        call = current_call()
        await witness.note(ledger, place, call.key, call.tool, arguments)

    @tool
    async def note(what: str) -> str:
        """Note something."""
        await effect(what=what)
        return what

    @tool
    async def fail(what: str) -> str:
        """Note something, and fail."""
        await effect(what=what)
        raise ValueError(f"bad: {what}")

    @tool(idempotent=True)
    async def slow(what: str) -> str:
        """Note something slowly; a second time does no harm."""
        await asyncio.sleep(0.01)
        await effect(what=what)
        await asyncio.sleep(0.01)
        return what

    def was_made(call: ToolCall) -> Recovery:
        return Happened("x" * MIB) if call.key in dict(witness.effects(place)) else Retry()

    @tool(probe=was_made)
    async def large(size: int) -> str:
        """A large text."""
        await effect(size=size)
        return "x" * size

    @tool
    async def pay(amount: int) -> int:
        """Pay."""
        await effect(amount=amount)
        return amount

    return {one.__name__: one for one in (note, fail, slow, large, pay)}


async def allow(call: ToolCall) -> Decision:
    """Whoever is asked says yes."""
    return Allow()


def one(place: Path, ledger: str, store: Store, **more: Any) -> CodeAgent:
    """Six cells, twelve calls: in sequence, four at once, in a loop, failing, slow, large, approved."""
    return CodeAgent(
        model=Model("one", ONE, place),
        tools=list(tools(place, ledger).values()),
        journal=store,
        approve=["pay"],
        gate=allow,
        max_steps=15,
        limits=Limits(grace=0.2),
        **more,
    )


def two(place: Path, ledger: str, store: Store, **more: Any) -> CodeAgent:
    """An agent that calls another."""
    note = tools(place, ledger)["note"]
    helper = CodeAgent(
        model=Model("helper", BELOW, place), tools=[note], name="helper", description="Counts.", max_steps=15
    )
    return CodeAgent(
        model=Model("two", TWO, place), tools=[note], managed_agents=[helper], journal=store, max_steps=15, **more
    )


def drift(place: Path, ledger: str, store: Store, **more: Any) -> CodeAgent:
    """A cell that calls something else each time it runs."""
    return CodeAgent(
        model=Model("drift", DRIFT, place), tools=[tools(place, ledger)["note"]], journal=store, max_steps=5, **more
    )


WORK: dict[str, tuple[Callable[..., CodeAgent], Any]] = {
    "one": (one, ONE_ANSWER),
    "two": (two, TWO_ANSWER),
    "drift": (drift, "done"),
}


def store_of(place: Path) -> Any:
    """Where the run of a trial is kept: in a file, or in the database whose address stands in one."""
    named = place / "database"
    return store(named.read_text() if named.exists() else place / "journal.db")


def operator(place: Path, store: Store) -> Callable[[ToolCall], Any]:
    """Who looks into the ledger, and says what he sees."""

    async def knows(call: ToolCall) -> Recovery | None:
        if call.tool == "helper":
            return None  # what it called itself is asked about by itself
        if (call.key, call.tool) not in witness.effects(place):
            return Retry()
        match call.tool:
            case "large":
                return Happened("x" * MIB)
            case "pay":
                return Happened(call.arguments["amount"])
            case "fail":
                return Failed("bad: badly")
            case _:
                return Happened(call.arguments["what"])

    return knows
