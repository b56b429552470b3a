"""One ledger for a tree of agents: whatever the interleaving, what is spent never exceeds a limit."""

from __future__ import annotations

import asyncio
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codeact import Budget
from codeact.core.budget import Price
from codeact.core.errors import BudgetExhausted
from codeact.core.messages import Usage
from codeact.ledger import Hold, Ledger

pytestmark = pytest.mark.anyio

PRICES = {"m": Price(2.0, 8.0)}
MANY = 10**9


def bound(hold: Hold) -> Usage:
    """The largest reply that keeps within what is held for it."""
    held = hold.held
    tokens = min(held.get("tokens", MANY), held.get("money", MANY * 10**6) // 10**7)
    read = min(tokens // 2, held.get("input_tokens", MANY))
    return Usage(read, min(tokens - read, held.get("output_tokens", MANY)))


@settings(max_examples=150, deadline=None)
@given(
    limits=st.fixed_dictionaries(
        {},
        optional={
            "steps": st.integers(1, 12),
            "tokens": st.integers(1, 20_000),
            "input_tokens": st.integers(1, 20_000),
            "output_tokens": st.integers(1, 20_000),
            "money": st.floats(1e-6, 0.1),
            "tool_calls": st.integers(0, 12),
        },
    ),
    below=st.sampled_from([{}, {"steps": 2}, {"tokens": 900}]),
    agents=st.lists(
        st.lists(st.tuples(st.integers(1, 4000), st.floats(0, 1), st.integers(0, 3)), max_size=6), max_size=5
    ),
)
def test_whatever_the_interleaving_what_is_spent_never_exceeds_a_limit(
    limits: dict[str, float],
    below: dict[str, int],
    agents: list[list[tuple[int, float, int]]],
) -> None:
    root = Ledger(Budget(**limits), PRICES)  # type: ignore[arg-type]
    spent = {"steps": 0.0, "tokens": 0.0, "input_tokens": 0.0, "output_tokens": 0.0, "money": 0.0, "tool_calls": 0.0}

    async def agent(work: list[tuple[int, float, int]]) -> None:
        ledger = Ledger(Budget(**below), above=root)  # type: ignore[arg-type]
        own = 0
        for weight, share, turns in work:
            try:
                hold = await ledger.reserve("m", weight)
            except BudgetExhausted:
                return
            for _ in range(turns):
                await asyncio.sleep(0)
            most = bound(hold)
            usage = Usage(int((most.input_tokens or 0) * share), int((most.output_tokens or 0) * share))
            ledger.settle(hold, usage)
            read, written = usage.input_tokens or 0, usage.output_tokens or 0
            spent["steps"] += 1
            spent["tokens"] += read + written
            spent["input_tokens"] += read
            spent["output_tokens"] += written
            spent["money"] += (2 * read + 8 * written) / 1e6
            own += read + written
            assert own <= below.get("tokens", MANY)
            try:
                ledger.take_call()
            except BudgetExhausted:
                continue
            spent["tool_calls"] += 1

    async def tree() -> None:
        await asyncio.wait_for(asyncio.gather(*map(agent, agents)), 20)  # nobody waits for ever

    asyncio.run(tree())
    for kind, limit in limits.items():
        assert spent[kind] <= limit * (1 + 1e-9), kind


async def test_a_reply_that_is_waited_for_holds_room_and_the_next_waits_for_what_it_leaves() -> None:
    ledger = Ledger(Budget(tokens=1000))
    first = await ledger.reserve("m", 100)
    waiting = asyncio.ensure_future(ledger.reserve("m", 100))
    await asyncio.sleep(0)
    assert not waiting.done(), "nothing is known of this model yet: all is held"
    ledger.settle(first, Usage(100, 50))
    second = await waiting
    ledger.settle(second, Usage(100, 50))
    with pytest.raises(BudgetExhausted, match="300 tokens spent, and the next reply needs about 850 tokens"):
        await ledger.reserve("m", 800)


async def test_a_question_that_came_to_nothing_costs_nothing() -> None:
    ledger = Ledger(Budget(steps=1))
    ledger.settle(await ledger.reserve("m"), None)
    ledger.settle(await ledger.reserve("m"), Usage(1, 1))
    with pytest.raises(BudgetExhausted, match="the budget of 1 step is used up"):
        await ledger.reserve("m")


async def test_tokens_that_nobody_tells_are_estimated_and_the_estimate_is_called_one() -> None:
    ledger = Ledger(Budget(tokens=1000))
    ledger.settle(await ledger.reserve("m", 900), Usage(), written=90)
    with pytest.raises(BudgetExhausted, match="about 990 tokens spent"):
        await ledger.reserve("m", 900)


async def test_money_is_not_spent_where_it_is_not_known_how_much() -> None:
    ledger = Ledger(Budget(money=1.0), PRICES)
    with pytest.raises(BudgetExhausted, match="the price of other is not known"):
        await ledger.reserve("other")
    ledger.settle(await ledger.reserve("m", 10), Usage())
    with pytest.raises(BudgetExhausted, match="m did not tell how many tokens it used"):
        await ledger.reserve("m", 10)


async def test_a_ledger_may_be_used_from_another_thread_with_a_loop_of_its_own() -> None:
    ledger = Ledger(Budget(tokens=1000))
    hold = await ledger.reserve("m", 10)
    done = threading.Event()

    def elsewhere() -> None:
        async def spend() -> None:
            mine = Ledger(above=ledger)
            mine.settle(await mine.reserve("m", 10), Usage(1, 1))

        asyncio.run(spend())
        done.set()

    threading.Thread(target=elsewhere, daemon=True).start()
    ledger.settle(hold, Usage(1, 1))
    assert await asyncio.to_thread(done.wait, 20)


async def test_what_is_nearly_spent_is_told_also_when_only_one_reply_more_fits() -> None:
    now = 0.0
    ledger = Ledger(Budget(tokens=1000, tool_calls=5, seconds=10), clock=lambda: now)
    ledger.settle(await ledger.reserve("m", 10), Usage(200, 100))
    assert ledger.near("m", 10) == []
    ledger.settle(await ledger.reserve("m", 10), Usage(200, 100))
    assert [(near.kind, near.spent, near.limit) for near in ledger.near("m", 10)] == [("tokens", 600, 1000)]
    for _ in range(4):
        ledger.take_call()
    now = 8.5
    assert {near.kind for near in ledger.near("m", 10)} == {"tokens", "tool_calls", "seconds"}
