"""A model whose reading and writing is counted, in bytes, for those whose server tells no tokens."""

from __future__ import annotations

import json
from collections.abc import Iterable

from ..core.messages import Message, NativeCall, Prompt, Reply, Text, ToolDeclaration
from ..ports import Emit, Model


class Measured:
    """The model, and what was asked of it so far. One task has one of these."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self.read = 0
        self.written = 0

    @property
    def name(self) -> str:
        """That of the model."""
        return self._model.name

    async def ask(self, prompt: Prompt, emit: Emit) -> Reply:
        """The model's reply."""
        reply = await self._model.ask(prompt, emit)
        self.read += sum(map(_message, prompt.messages)) + sum(map(_declaration, prompt.tools))
        self.written += len((reply.reasoning + reply.text).encode("utf-8", "replace")) + _calls(reply.tool_calls)
        return reply


def _message(message: Message) -> int:
    parts = (
        len(part.text.encode("utf-8", "replace")) if isinstance(part, Text) else len(part.data)
        for part in message.parts
    )
    return sum(parts) + _calls(message.tool_calls)


def _calls(calls: Iterable[NativeCall]) -> int:
    return sum(len((call.name + call.arguments).encode("utf-8", "replace")) for call in calls)


def _declaration(tool: ToolDeclaration) -> int:
    return len((tool.name + tool.description + json.dumps(tool.parameters)).encode("utf-8", "replace"))
