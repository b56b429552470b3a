"""What users write, turned into parts: the words that code-agent users know, and what those of elsewhere mean."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ParamSpec, TypeVar

from .. import assemble
from ..core.budget import Budget
from ..core.catalogue import Catalogue
from ..core.errors import UsageError, nearest
from ..core.execution import Imports, Limits, Mount, Policy
from ..ports import Tool
from ..session.agent import Agent
from ..session.managed import AgentTool

P = ParamSpec("P")
T = TypeVar("T")

# What users of other libraries write, and the line that does it here.
ELSEWHERE = {
    "reset": "every run starts afresh; to go on, write agent.run(..., after=result), or use agent.session()",
    "share": "nothing is served to the network",
    "stream": "use `async for event in session.stream(task):`",
    "executor_type": "write sandbox='linux'",
    "executor": "write sandbox='linux'",
    "variables": "write additional_args={...}",
    "images": "write additional_args={'photo': image}; code looks at it by display(photo)",
    "return_full_result": "run() always returns the full result; str(result) is the answer",
    "verbosity_level": "write run(..., show=True) to see the console",
    "add_base_tools": "name the tools you want: tools=[...]",
    "timeout": "write seconds=30",
    "prompt_templates": "write prompt={'rules': '...'} to replace a part, or instructions='...' to add to it",
    "system_prompt": "write instructions='...' to add to it, or prompt={'rules': '...'} to replace a part",
    "code_block_tags": "write carrier='execute' or carrier='code'; every known mark is read in any case",
}


def refusing_unknown(function: Callable[P, T]) -> Callable[P, T]:
    """The same function, whose TypeError for an unknown keyword says what was meant."""
    known = [p.name for p in inspect.signature(function).parameters.values() if p.kind is p.KEYWORD_ONLY]

    @functools.wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> T:
        for name in kwargs:
            if name not in known and name not in inspect.signature(function).parameters:
                hint = f": {ELSEWHERE[name]}" if name in ELSEWHERE else nearest(name, known)
                raise TypeError(f"{function.__qualname__}() has no argument {name!r}{hint}")
        return function(*args, **kwargs)

    return checked


def parts_of(prompt: Mapping[str, str] | None) -> tuple[tuple[str, str], ...]:
    """The parts of the system prompt that are given in place of ours; which there are, the agent knows."""
    if prompt is not None and not isinstance(prompt, Mapping):
        raise TypeError("prompt= takes parts by name: write prompt={'rules': '...'}, or instructions='...'")
    return tuple((prompt or {}).items())


class Tools(tuple[Tool, ...]):
    """An agent's tools, in order, also by name."""

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            catalogue = Catalogue(tool.spec for tool in self)
            spec = catalogue.found(key)
            if spec is None:
                raise KeyError(f"no tool {key!r}{nearest(key, [*catalogue.by_path, *catalogue.by_flat])}")
            return next(tool for tool in self if tool.spec.path == spec.path)
        return super().__getitem__(key)

    def __setitem__(self, key: Any, value: Any) -> None:
        raise TypeError("an agent does not change: write agent = agent.replace(tools=[*agent.tools, new])")


def tools_of(given: Iterable[Any]) -> Tools:
    """The tools that a list of anything that can be one names."""
    if isinstance(given, str | Agent) or callable(given):
        raise TypeError("tools= takes a list: write tools=[...]")
    found: list[Tool] = []
    for one in given:
        if isinstance(one, Agent):
            found.append(AgentTool(one))
        elif isinstance(one, list | tuple):  # of tools that come together
            found += tools_of(one)
        else:
            found += assemble.tools([one]) if isinstance(one, str) else [assemble.tool(one)]
    return Tools(found)


def budget_of(given: Any) -> Budget | None:
    """A budget, or none. Raises TypeError for anything else."""
    if given is not None and not isinstance(given, Budget):
        raise TypeError(f"budget={given!r}: write budget=Budget(tokens=100_000), with `from codeact import Budget`")
    return given


def policy_of(
    imports: Imports | Sequence[str],
    python: str | None,
    packages: Sequence[str],
    network: Sequence[str],
    mounts: Sequence[str | os.PathLike[str] | Mount],
    limits: Limits | None,
    **bounds: float | int | str | None,
) -> Policy:
    """The policy of these arguments."""
    given = {name: value for name, value in bounds.items() if value is not None}
    if "memory" in given:
        given["memory"] = assemble.size(given["memory"])  # type: ignore[arg-type]
    bounded = replace(limits or Limits(), **given)  # type: ignore[arg-type]
    if isinstance(mounts, str | os.PathLike | Mount):
        raise TypeError(f"mounts={mounts!r}: write a list, mounts=[...]")
    shown = tuple(map(assemble.mount, mounts))
    policy = Policy(bounded, python, imports_of(imports), shown, network)  # type: ignore[arg-type]  # it makes a tuple
    return assemble.with_packages(policy, packages)


def imports_of(given: Imports | Sequence[str]) -> Imports:
    """The imports that a list of names stands for."""
    if isinstance(given, Imports):
        return given
    if isinstance(given, str):
        raise TypeError(f"imports={given!r}: write a list, imports=[{given!r}]")
    names = tuple(given)
    for name in names:
        if not isinstance(name, str) or not all(part.isidentifier() for part in name.split(".")):
            mend = "write imports=ALL to allow everything" if name == "*" else "a bare name includes its submodules"
            raise UsageError(f"imports: {name!r} is not a module's name; {mend}")
    return Imports(names)
