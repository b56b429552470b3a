"""What a task and all the agents under it have spent, and what they may: reserved before, settled after.

Each agent has a ledger of its own, which stands below that of the agent that called it: what is taken here is taken
there, too, or not at all. They may be used from any thread and from several event loops.

A model's reply is reserved as what it will likely need at least, and held as the most that it will likely be, so that
replies that are waited for side by side do not go over a limit together; who finds it all held waits. What a model's
prompts and replies weigh in tokens is learned from its replies. Before the first there is nothing to go by, so all
that is left is held for it.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from .core.budget import WARNED_AT, Budget, Kind, Price, cost, exhausted, in_words, price_of
from .core.errors import BudgetExhausted
from .core.messages import Usage

_MONEY = 10**12  # parts that a unit of money is counted in: sums of floats would drift
_ROOM = 1000  # tokens that are held for a reply at least


@dataclass(frozen=True, slots=True)
class Near:
    """A limit that is nearly reached."""

    kind: Kind
    spent: float
    limit: float


@dataclass(slots=True)
class Hold:
    """What is reserved for a reply that is being waited for."""

    model: str
    weight: int
    price: Price | None
    held: dict[Kind, int]


@dataclass(slots=True)
class _Measure:
    """What the replies of a model were like so far."""

    rate: float = 0.0  # tokens of the prompt to what it weighed, in the last one
    replies: int = 0
    written: int = 0  # tokens of them all
    longest: int = 0

    @property
    def usual(self) -> int:
        return math.ceil(self.written / self.replies)


@dataclass(slots=True)
class _Tree:
    """What all ledgers of a tree share."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    waiting: list[asyncio.Future[None]] = field(default_factory=list)
    measures: dict[str, _Measure] = field(default_factory=dict)


class Ledger:
    """What may be spent below one budget. `above` is the ledger of who called; `clock` gives seconds."""

    def __init__(
        self,
        budget: Budget | None = None,
        prices: Mapping[str, Price] | None = None,
        above: Ledger | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        limits = (budget or Budget()).limits()
        self._seconds = limits.pop("seconds", None)
        self._limits = {kind: round(limit * _unit(kind)) for kind, limit in limits.items()}
        self._spent = dict.fromkeys(self._limits, 0)
        self._held = dict.fromkeys(self._limits, 0)
        self._prices = prices or {}
        self._chain: list[Ledger] = [self, *(above._chain if above else [])]
        self._tree: _Tree = above._tree if above else _Tree()
        self._clock = clock
        self._began = clock()
        self._guessed = False  # tokens that no server told are among those spent
        self._unpriced = ""  # why it is not known what was spent

    # -- a model's reply ---------------------------------------------------------------------------------------------

    @property
    def weighs(self) -> bool:
        """Whether the weight of a prompt matters to anybody here."""
        return any(kind != "steps" and kind != "tool_calls" for one in self._chain for kind in one._limits)

    def price(self, model: str) -> Price | None:
        """What its tokens cost, as the nearest agent says that says so."""
        found = (price_of(model, one._prices) for one in self._chain)
        return next((price for price in found if price is not None), None)

    async def reserve(self, model: str, weight: int = 0) -> Hold:
        """Room for a reply to a prompt of about `weight` tokens; waits while others hold it. Raises BudgetExhausted."""
        while True:
            with self._tree.lock:
                hold = self._try(model, weight)
                if hold is not None:
                    return hold
                free: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                self._tree.waiting.append(free)
            await free

    def settle(self, hold: Hold, usage: Usage | None, written: int = 0) -> None:
        """What it was in truth. `usage` None is a reply that never began; `written` is about how many tokens were seen
        of it, where the server does not tell.
        """
        with self._tree.lock:
            actual = self._actual(hold, usage, written)
            for one in self._chain:
                for kind, held in hold.held.items():
                    if kind in one._limits:
                        one._held[kind] -= held
                        one._spent[kind] += actual.get(kind, 0)
            waiting, self._tree.waiting = self._tree.waiting, []
        for free in waiting:
            with suppress(RuntimeError):  # its loop is closed: nobody waits there any more
                free.get_loop().call_soon_threadsafe(_wake, free)

    def carry(self, model: str, usage: Usage, calls: int, seconds: float = 0.0) -> None:
        """Spend what was spent before, by the price of this model; each request counts as a step."""
        with self._tree.lock:
            self._began -= seconds
            actual = self._actual(Hold(model, 0, self.price(model), {}), usage, 0)
            actual |= {"steps": usage.requests, "tool_calls": calls}
            for one in self._chain:
                for kind in one._limits:
                    one._spent[kind] += actual.get(kind, 0)

    def _try(self, model: str, weight: int) -> Hold | None:
        price = self.price(model)
        least, most = self._needs(model, weight, price)
        held: dict[Kind, int] = {}
        waits = False
        for one in self._chain:
            one._check_open(model, price)
            for kind, limit in one._limits.items():
                if kind == "tool_calls":
                    continue
                left = limit - one._spent[kind]
                if left < max(least.get(kind, 1), 1):
                    raise one._exhausted(kind, least.get(kind, 1))
                free = left - one._held[kind]
                waits = waits or free < max(least.get(kind, 1), 1)
                held[kind] = min(held.get(kind, free), free, most.get(kind, free))
        if waits:
            return None
        for one in self._chain:
            for kind in one._limits:
                one._held[kind] += held.get(kind, 0)
        return Hold(model, weight, price, held)

    def _needs(self, model: str, weight: int, price: Price | None) -> tuple[dict[Kind, int], dict[Kind, int]]:
        """What a reply will need at least, and at most, as far as one can tell; what is not in it nobody can."""
        measure = self._tree.measures.get(model)
        if measure is None:
            return {"steps": 1}, {"steps": 1}
        read = math.ceil(measure.rate * weight)
        longest = max(2 * measure.longest, _ROOM)
        return _amounts(Usage(read, measure.usual), price), _amounts(Usage(read, longest), price)

    def _actual(self, hold: Hold, usage: Usage | None, written: int) -> dict[Kind, int]:
        if usage is None:
            return {}
        read, wrote = usage.input_tokens, usage.output_tokens
        if read is None or wrote is None:
            for one in self._chain:
                one._guessed = True
                one._unpriced = f"{hold.model} did not tell how many tokens it used"
            read = hold.weight if read is None else read
            wrote = written if wrote is None else wrote
        if hold.weight:
            self._learn(hold, read, wrote)
        known = Usage(read, wrote, usage.cached_tokens, cache_write_tokens=usage.cache_write_tokens)
        return _amounts(known, hold.price)

    def _learn(self, hold: Hold, read: int, wrote: int) -> None:
        measure = self._tree.measures.setdefault(hold.model, _Measure())
        measure.rate = read / hold.weight
        measure.replies += 1
        measure.written += wrote
        measure.longest = max(measure.longest, wrote)

    def _check_open(self, model: str, price: Price | None) -> None:
        left = self._left()
        if left is not None and left <= 0:
            raise exhausted("seconds", self._seconds or 0, self._seconds or 0)
        if "money" not in self._limits:
            return
        spent, limit = self._spent["money"] / _MONEY, self._limits["money"] / _MONEY
        if price is None:
            why = f"the price of {model} is not known: give it in prices={{{model!r}: (input, output)}}"
            raise exhausted("money", spent, limit, why)
        if self._unpriced:
            raise exhausted("money", spent, limit, f"{self._unpriced}, so what is left is not known")

    # -- a tool call -------------------------------------------------------------------------------------------------

    def take_call(self) -> None:
        """One tool call more. Raises BudgetExhausted."""
        with self._tree.lock:
            for one in self._chain:
                if "tool_calls" in one._limits and one._spent["tool_calls"] >= one._limits["tool_calls"]:
                    raise one._exhausted("tool_calls", 1)
            self._count_call(1)

    def return_call(self) -> None:
        """It was not made after all."""
        with self._tree.lock:
            self._count_call(-1)

    def _count_call(self, number: int) -> None:
        for one in self._chain:
            if "tool_calls" in one._limits:
                one._spent["tool_calls"] += number

    # -- where it stands ---------------------------------------------------------------------------------------------

    @property
    def seconds(self) -> float:
        """How long there still is, by all that bound it."""
        return min((left for one in self._chain if (left := one._left()) is not None), default=math.inf)

    def near(self, model: str, weight: int = 0) -> list[Near]:
        """The limits of which most is spent, or which have room for one reply more of this model at most."""
        with self._tree.lock:
            least, _ = self._needs(model, weight, self.price(model))
            found: dict[Kind, Near] = {}
            for one in self._chain:
                for kind, limit in one._limits.items():
                    spent = one._spent[kind]
                    if spent >= WARNED_AT * limit or limit - spent < 2 * least.get(kind, 0):
                        found.setdefault(kind, Near(kind, spent / _unit(kind), limit / _unit(kind)))
                left = one._left()
                if left is not None and one._seconds is not None and left <= (1 - WARNED_AT) * one._seconds:
                    found.setdefault("seconds", Near("seconds", one._seconds - max(left, 0), one._seconds))
            return list(found.values())

    def out_of_time(self) -> BudgetExhausted:
        """What is to be said when the seconds are over."""
        bounds = [one._seconds for one in self._chain if one._seconds is not None and (one._left() or 0) <= 0]
        return exhausted("seconds", bounds[0] if bounds else 0, bounds[0] if bounds else 0)

    def _left(self) -> float | None:
        return None if self._seconds is None else self._began + self._seconds - self._clock()

    def _exhausted(self, kind: Kind, least: int) -> BudgetExhausted:
        spent, limit = self._spent[kind] / _unit(kind), self._limits[kind] / _unit(kind)
        about = "about " if self._guessed and kind not in ("steps", "tool_calls") else ""
        why = f"{about}{in_words(kind, spent)} spent"
        if spent < limit:
            why += f", and the next reply needs about {in_words(kind, least / _unit(kind))}"
        return exhausted(kind, spent, limit, why)


def _unit(kind: Kind) -> int:
    return _MONEY if kind == "money" else 1


def _amounts(usage: Usage, price: Price | None) -> dict[Kind, int]:
    read, written = usage.input_tokens or 0, usage.output_tokens or 0
    money = math.ceil((cost(price, usage) or 0.0) * _MONEY)
    return {
        "steps": 1,
        "tokens": read + written,
        "input_tokens": read,
        "output_tokens": written,
        "money": money,
    }


def _wake(free: asyncio.Future[None]) -> None:
    if not free.done():
        free.set_result(None)
