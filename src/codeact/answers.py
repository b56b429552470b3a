"""What an answer must be before it counts: of a type, and right in the eyes of the user's own checks.

It is looked at when `final_answer` is called, so that what is wrong with it is an exception in the cell that gave it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from .core.events import Event
from .core.execution import Failure, ToolSpec
from .core.messages import ToolDeclaration
from .tools.answer import AnswerType
from .tools.failure import failure_of
from .tools.threads import in_thread

Check: TypeAlias = Callable[..., Any]  # of the value; of the events so far, too; of the agent, too


class Answers:
    """The type and the checks of an agent's answers."""

    def __init__(self, output_type: Any = None, checks: Sequence[Check] = ()) -> None:
        self._type = AnswerType(Any if output_type is None else output_type)
        self._checks = [(check, _parameters(check)) for check in checks]

    @property
    def spec(self) -> ToolSpec:
        """`final_answer` as the model is told of it."""
        return self._type.spec

    @property
    def declaration(self) -> ToolDeclaration:
        """The same for a model that calls tools in its provider's own form."""
        text = "Give the answer to the task, and end it." + (f"\n{self.spec.doc}" if self.spec.doc else "")
        return ToolDeclaration(self.spec.name, text, self._type.schema)

    async def refusal(self, value: Any, events: Sequence[Event], agent: object) -> Failure | None:
        """Why this is no answer, in words for the code that gave it. An exception of a check leaves here."""
        try:
            read = self._type.read(value)
        except (TypeError, ValueError) as error:
            return failure_of(error)
        for check, count in self._checks:
            name = getattr(check, "__name__", type(check).__name__)
            try:
                said = await _called(check, (read, tuple(events), agent)[:count])
            except AssertionError as error:
                return failure_of(
                    ValueError(f"the answer did not pass the check {name!r}" + (f": {error}" if str(error) else ""))
                )
            if said is not None and not said:
                return failure_of(ValueError(f"the answer did not pass the check {name!r}{_meaning(check)}"))
        return None

    def read(self, value: Any) -> Any:
        """An answer that was accepted, as its type."""
        return self._type.read(value)


async def _called(check: Check, arguments: tuple[Any, ...]) -> Any:
    if inspect.iscoroutinefunction(check):
        return await check(*arguments)
    return await in_thread(lambda: check(*arguments))


def _parameters(check: Check) -> int:
    """How many of value, events and agent it takes. Raises TypeError for what takes none of them, or more."""
    try:
        parameters = list(inspect.signature(check).parameters.values())
    except (TypeError, ValueError):
        return 1
    if any(one.kind is one.VAR_POSITIONAL for one in parameters):
        return 3
    required = sum(one.default is one.empty and one.kind is not one.VAR_KEYWORD for one in parameters)
    count = sum(one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD) for one in parameters)
    if not count >= 1 or required > 3:
        raise TypeError(f"the check {check!r} takes the value, or also the events, or also the agent")
    return min(count, 3)


def _meaning(check: Check) -> str:
    line = (inspect.getdoc(check) or "").partition("\n")[0] if inspect.isroutine(check) else ""
    return f": {line}" if line else ""
