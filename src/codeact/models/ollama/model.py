"""A model of Ollama. Its server cuts a prompt that is longer than the context without a word, so it is asked how long
that is, once the model is loaded; one too small for an agent is noted with every reply.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import anyio

from codeact.core.errors import ModelError
from codeact.core.messages import Prompt, Reply
from codeact.models.server.asking import Asking
from codeact.models.server.chat import Chat
from codeact.models.server.line import Deadlines, Line, server_at
from codeact.models.server.refusal import Refused
from codeact.ports import Emit

from .context import Context, context_of
from .native import Native

_LOOK = 5.0  # seconds


class OllamaModel:
    """`model` at `base_url`, the address of its OpenAI protocol, which ends in `/v1`.

    With `num_ctx` among the parameters, tokens of context, it is asked by Ollama's own protocol: the other has no word
    for that. `name` is the specification, for journals; `warning` is what the user should hear before all else.
    """

    def __init__(
        self,
        model: str,
        *,
        base_url: str = "http://127.0.0.1:11434/v1",
        name: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        deadlines: Deadlines | None = None,
    ) -> None:
        server, root = server_at(base_url, model, None, None), base_url.rstrip("/").removesuffix("/v1")
        native = Native()
        self._own = Line(server, root, native, deadlines)
        self._asked_for: int | None = (parameters or {}).get("num_ctx")
        if self._asked_for is None:
            chat = Chat()
            self._asking = Asking(Line(server, f"{root}/v1", chat, deadlines), chat, parameters or {})
        else:
            self._asking = Asking(self._own, native, parameters or {})
        self._name = name or f"ollama:{model}"
        self._model = model
        self._note: str | None = None
        self._length: int | None = None
        self._looked = False
        self.warning = self._own.warning

    @property
    def name(self) -> str:
        """The specification that names it."""
        return self._name

    async def ask(self, prompt: Prompt, emit: Emit) -> Reply:
        """The whole reply; text and reasoning go to `emit` as they come. Raises only ModelError."""
        reply = await self._asking.ask(prompt, emit)
        if not self._looked:
            self._looked = True
            found = await self.context()
            self._note = found.note(self._model, self._asked_for)
            self._length = found.running or self._asked_for or found.written
        notes = (*reply.notes, self._note) if self._note else reply.notes
        return replace(reply, notes=notes, context=self._length)

    async def context(self) -> Context:
        """How much the model can see here, as far as the server tells."""
        shown: Any = None
        running: Any = None
        with anyio.move_on_after(_LOOK), suppress(ModelError, Refused):
            shown = await self._own.json("/api/show", {"model": self._model})
            running = await self._own.json("/api/ps")
        return context_of(self._model, shown, running)
