"""A tool of the benchmark: a function of ours under the name and the words that the benchmark gives it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from ...core.execution import ToolSpec
from ...tools.function import FunctionTool, Options
from ...tools.names import is_free


class Shown(FunctionTool):
    """What a model is shown of it may be said in other words than the function's own."""

    @classmethod
    def of(cls, function: Callable[..., Any], told: Mapping[str, str], *, as_told: bool) -> Shown:
        """The tool; `as_told` shows the signature word for word as it is told, right or wrong."""
        name = told["name"] if is_free(told["name"]) else function.__name__
        made = cls(_at_once(function), Options(name), told["description"])
        made._shown = told["signature"].removeprefix(told["name"]) if as_told else None
        return made

    _shown: str | None = None

    @property
    def spec(self) -> ToolSpec:
        """Its name, signature and documentation."""
        found = super().spec
        return found if self._shown is None else replace(found, signature=self._shown)


def _at_once(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same, answered in the order of the calls and not in threads: a browser stands at one page."""

    @functools.wraps(function)
    async def call(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return call
