"""Several models, of which the next is asked when one fails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from codeact.core.errors import ModelError, ModelProtocolError, ModelUnavailable, UsageError
from codeact.core.events import Delta, Discarded, ReasoningDelta, TextDelta, Waiting
from codeact.core.messages import Prompt, Reply
from codeact.ports import Emit, Model


class Fallback:
    """Each question goes to the first of `models`; to the next when that one raises an error of the kinds in `on`.

    By itself that is ModelUnavailable and ModelProtocolError: the server fails, also after the retries. What a server
    rejects, a wrong key or name, is yours to mend and is raised; `on=(ModelError,)` goes on after everything. The notes
    of a reply say who failed.
    """

    def __init__(self, *models: Model, on: Sequence[type[ModelError]] = (ModelUnavailable, ModelProtocolError)) -> None:
        if not models:
            raise UsageError("Fallback() of no model: name at least one")
        self._models = models
        self._on = tuple(on)

    @property
    def name(self) -> str:
        """All their names, in order."""
        return " | ".join(model.name for model in self._models)

    async def ask(self, prompt: Prompt, emit: Emit) -> Reply:
        """The first reply that comes; the last error when none does."""
        notes: list[str] = []
        for model, following in zip(self._models, (*self._models[1:], None), strict=True):
            streamed = False

            def watch(delta: Delta) -> None:
                nonlocal streamed
                streamed = streamed or isinstance(delta, TextDelta | ReasoningDelta)
                emit(delta)

            try:
                reply = await model.ask(prompt, watch)
            except self._on as error:
                if following is None:
                    raise
                if streamed:
                    emit(Discarded(f"{error}; asking {following.name}"))
                emit(Waiting(f"{error}; asking {following.name}"))
                notes.append(f"{model.name} failed, {following.name} was asked: {error}")
            else:
                requests = reply.usage.requests + len(notes)
                return replace(reply, notes=(*notes, *reply.notes), usage=replace(reply.usage, requests=requests))
        raise AssertionError("unreachable: the last model returns or raises")
