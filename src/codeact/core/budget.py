"""What a task may cost, with all the agents that it calls, and what the tokens of a model cost."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeAlias

from .errors import BudgetExhausted, UsageError, nearest
from .messages import Usage

Kind: TypeAlias = Literal["steps", "tokens", "input_tokens", "output_tokens", "money", "seconds", "tool_calls"]

_MILLION = 1_000_000
WARNED_AT = 0.8  # of a limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What one task may use in all, its sub-agents included; None is no bound.

    `steps` are replies of models; `tokens` those read and written together; `money` is in the currency of the prices;
    `seconds` are of the clock on the wall.
    """

    steps: int | None = None
    tokens: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    money: float | None = None
    seconds: float | None = None
    tool_calls: int | None = None

    def __post_init__(self) -> None:
        for name, value in self.limits().items():
            whole = name not in ("money", "seconds")
            if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
                kind = "a whole number" if whole else "a number"
                raise TypeError(f"Budget({name}={value!r}): {kind} is wanted")
            low = 0 if name == "tool_calls" else 1 if whole else math.ulp(0.0)
            if not (math.isfinite(value) and value >= low):
                raise UsageError(f"Budget({name}={value!r}): it must be {'at least 1' if low == 1 else 'above 0'}")
            if not whole:
                object.__setattr__(self, name, float(value))

    def limits(self) -> dict[Kind, float]:
        """What is bounded, and by how much."""
        given = {one.name: getattr(self, one.name) for one in fields(self)}
        return {name: value for name, value in given.items() if value is not None}  # type: ignore[misc]


@dataclass(frozen=True, slots=True)
class Price:
    """What a million tokens of a model cost; those that its cache read or wrote cost as input where nothing is said."""

    input: float
    output: float
    cached: float | None = None
    cache_write: float | None = None

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            if value is None and one.default is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise TypeError(f"Price({one.name}={value!r}): a number for a million tokens is wanted")
            if not (math.isfinite(value) and value >= 0):
                raise UsageError(f"Price({one.name}={value!r}): it must be at least 0")
            object.__setattr__(self, one.name, float(value))


def prices(given: Mapping[str, Any] | None) -> dict[str, Price]:
    """Prices as users write them: for each model a `Price`, or `(input, output)` with or without `cached` behind."""
    found: dict[str, Price] = {}
    for name, one in (given or {}).items():
        if isinstance(one, Price):
            found[name] = one
        elif isinstance(one, tuple | list) and 2 <= len(one) <= 4:
            found[name] = Price(*one)
        else:
            raise TypeError(f"prices: {name!r} is (input, output) for a million tokens, or a Price, not {one!r}")
    return found


def price_of(name: str, known: Mapping[str, Price]) -> Price | None:
    """The price of a model, under its whole specification or under that without parameters; None where none is known.

    >>> price_of("openai:gpt-5?temperature=0", {"openai:gpt-5": Price(1.25, 10.0)}).output
    10.0
    """
    return known.get(name) or known.get(name.partition("?")[0])


def cost(price: Price | None, usage: Usage) -> float | None:
    """What this usage costs; None where the price or the tokens are not known.

    >>> cost(Price(2.0, 8.0, cached=0.5), Usage(1_000_000, 500_000, cached_tokens=400_000))
    5.4
    """
    read, written = usage.input_tokens, usage.output_tokens
    if price is None or read is None or written is None:
        return None
    cached = min(usage.cached_tokens or 0, read)
    stored = min(usage.cache_write_tokens or 0, read - cached)
    parts = (
        (read - cached - stored, price.input),
        (cached, price.input if price.cached is None else price.cached),
        (stored, price.input if price.cache_write is None else price.cache_write),
        (written, price.output),
    )
    return sum(tokens * each for tokens, each in parts) / _MILLION


def in_words(kind: Kind, amount: float) -> str:
    """An amount of something for people and models to read.

    >>> in_words("tool_calls", 1), in_words("money", 0.5), in_words("input_tokens", 12000)
    ('1 tool call', '0.50 of money', '12,000 input tokens')
    """
    number = number_of(kind, amount)
    match kind:
        case "money":
            return f"{number} of money"
        case "seconds":
            return f"{number} s"
        case _:
            noun = kind.replace("_", " ")
            return f"{number} {noun[:-1] if amount == 1 else noun}"


def number_of(kind: Kind, amount: float) -> str:
    """The same without what it is an amount of."""
    match kind:
        case "money":
            return f"{amount:.2f}" if amount >= 1 or abs(amount - round(amount, 2)) < 1e-9 else f"{amount:.2g}"
        case "seconds":
            return f"{amount:,.0f}" if amount >= 10 else f"{amount:.2g}"
        case _:
            return f"{amount:,.0f}"


def exhausted(kind: Kind, spent: float, limit: float, why: str = "") -> BudgetExhausted:
    """The error of a limit that is reached."""
    words = f"the budget of {in_words(kind, limit)} is used up" + (f": {why}" if why else "")
    return BudgetExhausted(words, kind, spent, limit)


def budget_of(text: str) -> Budget:
    """The budget of `tokens=100000,money=0.50`. Raises UsageError.

    >>> budget_of("steps=5, seconds=1.5")
    Budget(steps=5, tokens=None, input_tokens=None, output_tokens=None, money=None, seconds=1.5, tool_calls=None)
    """
    given: dict[str, Any] = {}
    known = [one.name for one in fields(Budget)]
    for part in text.split(","):
        name, _, number = (piece.strip() for piece in part.partition("="))
        if name not in known:
            raise UsageError(f"not a budget: {part.strip()!r}; write tokens=100000,money=0.50{nearest(name, known)}")
        try:
            given[name] = float(number) if name in ("money", "seconds") else int(number)
        except ValueError:
            raise UsageError(f"not a budget: {part.strip()!r}; {name} takes a number") from None
    return Budget(**given)


def price_of_text(text: str) -> Price:
    """The price of `1.25/10`, or `1.25/10/0.125` with what cached tokens cost. Raises UsageError."""
    try:
        numbers = [float(part) for part in text.split("/")]
    except ValueError:
        numbers = []
    if not 2 <= len(numbers) <= 3:
        raise UsageError(
            f"not a price: {text!r}; write IN/OUT or IN/OUT/CACHED, for a million tokens, as 1.25/10/0.125"
        )
    return Price(*numbers)
