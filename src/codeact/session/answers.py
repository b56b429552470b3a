"""What an answer must be before it counts: of a type, and right in the eyes of the user's own checks.

It is looked at when `final_answer` is called, so that what is wrong with it is an exception in the cell that gave it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from ..core.events import Event
from ..core.execution import Failure, ToolSpec
from ..core.messages import ToolDeclaration
from ..tools.answer import AnswerType
from ..tools.failure import failure_of
from .callbacks import Callback

Check: TypeAlias = Callable[..., Any]  # of the value; of the events so far, too; of the agent, too


class Answers:
    """The type and the checks of an agent's answers."""

    def __init__(self, output_type: Any = None, checks: Sequence[Check] = ()) -> None:
        self.type = Any if output_type is None else output_type
        self._type = AnswerType(self.type)
        self._checks = [Callback(check, "the check", "the value") for check in checks]

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
        for check in self._checks:
            name = check.name
            try:
                said = await check(read, events, agent)
            except AssertionError as error:
                return failure_of(
                    ValueError(f"the answer did not pass the check {name!r}" + (f": {error}" if str(error) else ""))
                )
            if said is not None and not said:
                return failure_of(ValueError(f"the answer did not pass the check {name!r}{_meaning(check.function)}"))
        return None

    def read(self, value: Any) -> Any:
        """An answer that was accepted, as its type."""
        return self._type.read(value)


def _meaning(check: Check) -> str:
    line = (inspect.getdoc(check) or "").partition("\n")[0] if inspect.isroutine(check) else ""
    return f": {line}" if line else ""
