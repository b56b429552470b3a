"""`final_answer` as the host sees it: the type of the value that it takes, and how a value meets it."""

from __future__ import annotations

from typing import Any

from ..core.execution import ToolSpec
from .signature import arguments_of
from .spelling import describe, is_named, parts_of

NAME = "final_answer"


class AnswerType:
    """The type of the answers of an agent: any that pydantic knows. Raises ToolDefinitionError for another."""

    def __init__(self, hint: Any) -> None:
        def final_answer(value: Any) -> None:
            return None

        final_answer.__annotations__ = {"value": hint}
        self._arguments = arguments_of(final_answer, NAME, {})
        self._arguments.prepare()
        types = "\n".join(dict.fromkeys(describe(part) for part in parts_of(hint) if is_named(part)))
        self.spec = ToolSpec(NAME, self._arguments.source, types, self._arguments.specs)

    @property
    def schema(self) -> dict[str, Any]:
        """What it takes, the one value, as JSON Schema."""
        return self._arguments.declared

    def read(self, value: Any) -> Any:
        """The value as this type; TypeError or ValueError says what it must be and what it is."""
        return self._arguments.bind([value], {})["value"]
