"""The one door for tool calls: what a call must be, what is recorded, and what the cell is told."""

from __future__ import annotations

import asyncio
import datetime
import gc
import threading
import tracemalloc
from typing import Any

import pytest

from codeact.core.events import Event, ToolCalled, ToolReturned
from codeact.core.execution import Failure, Limits
from codeact.guest import values
from codeact.interpreter.conversation import Asked
from codeact.secrets import Vault
from codeact.session.door import Door
from codeact.tools.function import as_tool


class Office:
    """A door with these functions behind it, and what it recorded."""

    def __init__(self, *functions: Any, limits: Limits | None = None, secrets: tuple[str, ...] = ()) -> None:
        self.events: list[Event] = []

        async def record(event: Event) -> None:
            self.events.append(event)

        tools = [as_tool(function) for function in functions]
        self.door = Door(tools, limits or Limits(), run="r", record=record, vault=Vault(secrets))

    async def ask(self, tool: str, *args: Any, cell: int = 1, **kwargs: Any) -> Any:
        answer = await self.door(Asked(cell, tool, values.encode([list(args), kwargs])))
        return answer if isinstance(answer, Failure) else values.decode(answer)

    @property
    def kinds(self) -> list[str]:
        return [type(event).__name__ for event in self.events]


def weather(city: str, days: int = 1) -> dict[str, Any]:
    """Weather."""
    return {"city": city, "days": days, "at": datetime.date(2026, 11, 22)}


async def test_a_call_is_recorded_before_and_after_and_its_value_is_exact() -> None:
    office = Office(weather)
    assert await office.ask("weather", "Oslo", days=2) == {"city": "Oslo", "days": 2, "at": datetime.date(2026, 11, 22)}
    called, returned = office.events
    assert isinstance(called, ToolCalled) and called.arguments == {"city": "Oslo", "days": 2}
    assert isinstance(returned, ToolReturned) and returned.key == called.key
    assert returned.returned.value["city"] == "Oslo"


@pytest.mark.parametrize(
    ("args", "kwargs", "named"),
    [
        ((), {}, "city"),
        ((1,), {}, "city"),
        (("Oslo", "2"), {}, "days"),
        (("Oslo", True), {}, "days"),
        (("Oslo",), {"dais": 2}, "dais"),
        (("Oslo", 1, 2), {}, "weather"),
    ],
)
async def test_wr_12_arguments_that_do_not_fit_are_refused_by_name_and_nothing_is_called(
    args: tuple[Any, ...], kwargs: dict[str, Any], named: str
) -> None:
    office = Office(weather)
    failure = await office.ask("weather", *args, **kwargs)
    assert isinstance(failure, Failure) and named in failure.message
    assert office.events == []


async def test_what_a_tool_raises_reaches_the_cell_without_the_hosts_secrets() -> None:
    def pay() -> None:
        raise PermissionError("the key sk-123456 is not for this account")

    office = Office(pay, secrets=("sk-123456",))
    failure = await office.ask("pay")
    assert failure == Failure("PermissionError", "the key *** is not for this account")
    assert office.kinds == ["ToolCalled", "ToolReturned"]


async def test_a_result_that_does_not_cross_is_refused_with_its_path() -> None:
    def rows() -> Any:
        return {"rows": [1, 2, threading.Lock()]}

    failure = await Office(rows).ask("rows")
    assert isinstance(failure, Failure) and failure.type == "ToolResultError"
    assert "$.rows[2]" in failure.message and "lock" in failure.message


async def test_a_tool_past_its_deadline_is_left_and_the_cell_is_told() -> None:
    def sleepy() -> None:
        threading.Event().wait(5)

    office = Office(sleepy, limits=Limits(tool_seconds=0.05))
    failure = await office.ask("sleepy")
    assert isinstance(failure, Failure) and failure.type == "TimeoutError" and "0.05 s" in failure.message


async def test_a_tool_that_catches_its_deadline_once_is_stopped_at_its_next_wait() -> None:
    waits = []

    async def stubborn() -> None:
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                waits.append(len(waits))
                if len(waits) > 1:
                    raise

    failure = await Office(stubborn, limits=Limits(tool_seconds=0.05)).ask("stubborn")
    assert isinstance(failure, Failure) and failure.type == "TimeoutError"
    assert waits == [0, 1]
    task = asyncio.current_task()
    assert task is not None and not task.cancelling()


async def test_what_a_tool_says_after_its_deadline_is_what_the_cell_is_told() -> None:
    async def careful() -> str:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            raise LookupError("put away") from None
        return ""

    failure = await Office(careful, limits=Limits(tool_seconds=0.05)).ask("careful")
    assert isinstance(failure, Failure) and (failure.type, failure.message) == ("LookupError", "put away")


async def test_a_call_that_is_cancelled_is_recorded_as_not_known() -> None:
    async def endless() -> None:
        await asyncio.sleep(60)

    office = Office(endless)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await office.ask("endless")
    assert office.kinds == ["ToolCalled", "ToolReturned"]
    returned = office.events[1]
    assert isinstance(returned, ToolReturned) and returned.returned.failure is not None
    assert "not known" in returned.returned.failure.message


async def test_a_tool_that_changes_its_arguments_changes_nobody_elses() -> None:
    def drain(items: list[int]) -> int:
        items.clear()
        return 0

    office = Office(drain)
    await office.ask("drain", [1, 2, 3])
    called = office.events[0]
    assert isinstance(called, ToolCalled) and called.arguments == {"items": [1, 2, 3]}


async def test_a_call_keeps_its_key_whatever_the_order_and_repeats_get_their_own() -> None:
    async def key_of(*calls: tuple[int, str]) -> list[str]:
        office = Office(weather)
        for cell, city in calls:
            await office.ask("weather", city, cell=cell)
        return [event.key for event in office.events if isinstance(event, ToolCalled)]

    one, two = await key_of((1, "Oslo"), (1, "Bergen"))
    assert await key_of((1, "Bergen"), (1, "Oslo")) == [two, one]
    first, second = await key_of((1, "Oslo"), (1, "Oslo"))
    assert first == one and second not in (one, two)
    assert (await key_of((2, "Oslo"))) != [one]


async def test_what_is_held_of_calls_is_that_of_one_cell() -> None:
    door = Door([as_tool(weather)], Limits())

    async def held_after(cells: range) -> int:
        for cell in cells:
            for days in range(40):
                await door(Asked(cell, "weather", values.encode([["Oslo", days], {}])))
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        few = await held_after(range(1, 6))
        assert await held_after(range(6, 60)) - few < 50_000  # 2,160 calls more
    finally:
        tracemalloc.stop()


async def test_a_tool_may_ask_to_be_called_one_at_a_time() -> None:
    from codeact import tool

    inside: list[int] = []
    most: list[int] = []

    @tool(concurrency=1)
    async def press() -> None:
        """Press."""
        inside.append(1)
        most.append(len(inside))
        await asyncio.sleep(0.001)
        inside.pop()

    office = Office(press)
    await asyncio.gather(*(office.ask("press") for _ in range(20)))
    assert max(most) == 1 and len(most) == 20


async def test_an_unknown_tool_is_named_with_the_nearest() -> None:
    failure = await Office(weather).ask("wether")
    assert failure == Failure("NameError", "there is no tool named 'wether'; did you mean 'weather'?")


@pytest.mark.parametrize("tree", [None, 1, [], [[]], [[], {}, 1], [{}, []], [[], {"$dict": [[1, 2]]}]])
async def test_arguments_of_another_shape_are_refused(tree: Any) -> None:
    office = Office(weather)
    answer = await office.door(Asked(1, "weather", values.Packed(tree)))
    assert isinstance(answer, Failure) and office.events == []
