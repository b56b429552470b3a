"""One question to a server, in its dialect, until it is answered or refused for good.

What the server does not take is left out and remembered: a parameter, the pictures. What the user asked for and does
not get is said in the notes of every reply.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from codeact.core.errors import ModelError
from codeact.core.messages import Prompt, Reply
from codeact.ports import Emit

from .dialect import Dialect
from .line import Line
from .refusal import Refused, advised_instead, error_for, rejected_parameter, rejected_pictures
from .turns import has_pictures


class Asking:
    """`model` behind a line, in a dialect. It may be used many times at once, and belongs to no event loop."""

    def __init__(self, line: Line, dialect: Dialect, parameters: Mapping[str, Any]) -> None:
        self._line = line
        self._dialect = dialect
        self._parameters = dict(parameters)
        self._instead: dict[str, str | None] = {}  # parameters the server refused, and what it takes in their place
        self._blind = False  # the server refused pictures

    async def ask(self, prompt: Prompt, emit: Emit) -> Reply:
        """The whole reply; text and reasoning go to `emit` as they come. Raises only ModelError."""
        drawn = has_pictures(prompt)
        seen = drawn and not self._blind
        while True:
            options = self._options(prompt.stop)
            answer = self._dialect.answer(self._line.server.model, prompt.stop)
            body = {**self._dialect.question(self._line.server.model, prompt, pictures=seen), **options}
            try:
                await self._line.ask(body, answer, emit)
            except Refused as refused:
                if refused.in_stream:
                    raise await self._error(refused) from None
                if seen and rejected_pictures(refused):
                    seen = False
                elif not self._do_without(refused, options):
                    raise await self._error(refused) from None
            else:
                reply = answer.reply()
                self._blind = self._blind or (drawn and not seen)
                return replace(reply, notes=(*reply.notes, *self._own_notes(drawn)))

    def _options(self, stop: tuple[str, ...]) -> dict[str, Any]:
        taken: dict[str, Any] = {}
        for name, value in self._dialect.options(self._parameters, stop).items():
            place: str | None = name
            while place is not None and place in self._instead:
                place = self._instead[place]
            if place is not None:
                taken[place] = value
        return taken

    def _do_without(self, refused: Refused, options: Mapping[str, Any]) -> bool:
        """Remember what the server does not take; False when the refusal has another reason."""
        name = rejected_parameter(refused, options.keys())
        if name is None:
            return False
        other = advised_instead(refused, name)
        self._instead[name] = None if other in self._instead else other
        return True

    def _own_notes(self, drawn: bool) -> list[str]:
        """What the user has asked for and does not get. Our own options are not missed."""
        host, model = self._line.server.host, self._line.server.model
        asked = self._dialect.options(self._parameters, ()).keys() - self._dialect.options({}, ()).keys()
        lost = [name for name in sorted(asked) if name in self._instead and not self._instead[name]]
        notes = [f"{host} does not take {name} for {model}: asked without it" for name in lost]
        if drawn and self._blind:
            notes.append(f"{host} takes no pictures for {model}: asked without them")
        return notes + ([self._line.warning] if self._line.warning else [])

    async def _error(self, refused: Refused) -> ModelError:
        missing = refused.status == 404 or "model_not_found" in refused.body
        models = await self._line.names() if missing else None
        return error_for(refused, self._line.server, models, time.time())
