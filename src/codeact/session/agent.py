"""An Agent is what a session is made of, and never changes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from ..core import profiles
from ..core.actions import Carrier, Form
from ..core.budget import Budget, Price, price_of
from ..core.catalogue import Catalogue
from ..core.errors import UsageError, nearest
from ..core.execution import Policy, ToolSpec
from ..core.system import PARTS
from ..journals.memory import MemoryStore
from ..ports import Commanding, Gate, Listener, Model, Sandbox, Store, Tool
from ..tools.names import check_names
from .answers import Answers
from .approvals import Needs, of_cells, resolved
from .callbacks import Callback


def check_interval(steps: object) -> None:
    """Refuse what is no number of steps from one plan to the next."""
    if steps is not None and (type(steps) is not int or not 1 <= steps <= 1_000_000):
        raise UsageError(f"planning_interval={steps!r}: a whole number of steps from 1, or None for no plans")


def check_parts(parts: tuple[tuple[str, str], ...]) -> None:
    """Refuse a part that the prompt does not have, and one that is no text."""
    for name, text in parts:
        if name == "instructions":
            raise UsageError("prompt: the instructions are not replaced: write instructions='...'")
        if name not in PARTS:
            raise UsageError(f"prompt: no part {name!r}: {', '.join(PARTS[:-1])}{nearest(name, PARTS)}")
        if not isinstance(text, str):
            raise UsageError(f"prompt: the part {name!r} is a text, not of type {type(text).__name__}")


@dataclass(frozen=True)
class Agent:
    """A model, its tools, a sandbox and a policy: it may run many tasks at once."""

    model: Model
    tools: tuple[Tool, ...]
    sandbox: Sandbox
    policy: Policy = field(default_factory=Policy)
    instructions: str = ""
    listeners: tuple[Listener, ...] = ()
    secrets: tuple[str, ...] = field(default=(), repr=False)
    approve: Needs | None = None  # what is asked about before it runs
    gate: Gate | None = None  # who is asked; None waits for `Session.decide`
    answers: Answers | None = None  # what an answer must be; None takes any
    action: Form = "code"
    profile: str | None = None  # how much the model is told, and what carries its code; None goes by its name
    carrier: Carrier | None = None  # of code; None is that of the profile
    parts: tuple[tuple[str, str], ...] = ()  # of the prompt, in place of ours
    store: Store = field(default_factory=MemoryStore)  # where the journal of each of its runs is kept
    origin: tuple[str, ...] = ()  # the folder and the words that it was made by on a command line
    checks: bool = True  # whether a cell is looked at before it runs
    planning_interval: int | None = None  # steps from one plan to the next; None makes none
    callbacks: tuple[Callback, ...] = ()  # called after each step
    eager: bool = False  # whether code runs while the model is still writing; not where somebody looks at cells
    last_answer: bool = False  # whether the model is asked for an answer when its steps are used up
    name: str = ""  # what code calls it, where it is a tool of another agent
    description: str = ""  # what it can do, in words for the model of that one
    budget: Budget | None = None  # of each task
    prices: Mapping[str, Price] = field(default_factory=dict)  # of models, for a million tokens

    def __post_init__(self) -> None:
        check_names(self.tools)
        object.__setattr__(self, "approve", resolved(self.approve, self.catalogue, self._below()))
        check_interval(self.planning_interval)
        if self.eager and self.action != "code":
            raise UsageError("eager=True is for agents that act in code: this one has nothing to run in advance")
        check_parts(self.parts)
        if self.carrier is not None and self.action != "code":
            raise UsageError(f"carrier={self.carrier!r} is for agents that act in code: this one acts by {self.action}")
        profiles.named(self.profile or "standard")
        if self.budget is not None and self.budget.money is not None and self.price is None:
            raise UsageError(
                f"a budget of money needs the price of {self.model.name}: "
                f"prices={{{self.model.name!r}: (input, output)}}, for a million tokens"
            )
        _check_apart(self.store, self.policy)

    def _below(self) -> set[str]:
        return {name for tool in self.tools if isinstance(tool, Commanding) for name in tool.below}

    @property
    def price(self) -> Price | None:
        """What a million tokens of its model cost, where the user gave it."""
        return price_of(self.model.name, self.prices)

    @property
    def hurries(self) -> bool:
        """Whether code does run while the model is still writing."""
        return self.eager and not of_cells(self.approve)

    @cached_property
    def specs(self) -> tuple[ToolSpec, ...]:
        """What code may call, as the interpreter is told of it."""
        answer = [] if self.answers is None else [self.answers.spec]
        return (*(tool.spec for tool in self.tools), *answer)

    @cached_property
    def catalogue(self) -> Catalogue:
        """The same, to be looked up and searched."""
        return Catalogue(self.specs)


def with_parts(agent: Agent, **parts: Any) -> Agent:
    """An agent with these parts in place of its own, whatever kind of agent it was."""
    return Agent(**{**{part.name: getattr(agent, part.name) for part in fields(Agent)}, **parts})


def _check_apart(store: Store, policy: Policy) -> None:
    """Code must not see the journal of its own run, nor those of others."""
    path = getattr(store, "path", None)
    if path is None:
        return
    for mount in policy.mounts:
        if Path(os.path.realpath(path)).is_relative_to(os.path.realpath(mount.path)):
            raise UsageError(f"mounts: the journal {path} lies in {mount.path}, for code to see: keep it elsewhere")
