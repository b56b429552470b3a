"""A model behind Anthropic's Messages API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from codeact.core.messages import Prompt, Reply
from codeact.models.server.asking import Asking
from codeact.models.server.line import Deadlines, Line, server_at
from codeact.ports import Emit

from .question import Messages


class AnthropicModel:
    """`model` at `base_url`, which is written with or without `/v1` at its end.

    `key_variable` names where the key came from, `parameters` go into every request, `headers` beside ours. `client` is
    an `AsyncAnthropic` (or `AsyncAnthropicBedrock`, ...) of your own that all requests go through: it has its own
    address, key and proxies. `name` is the specification, for journals; `warning` what the user should hear first.
    """

    def __init__(
        self,
        model: str,
        *,
        base_url: str | None = None,
        key: str | None = None,
        key_variable: str | None = None,
        name: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        deadlines: Deadlines | None = None,
        headers: Mapping[str, str] | None = None,
        client: Any = None,
    ) -> None:
        url = str(client.base_url) if client is not None else base_url or "https://api.anthropic.com"
        server, dialect = server_at(url, model, key, key_variable), Messages()
        line = Line(server, url.rstrip("/").removesuffix("/v1"), dialect, deadlines, headers, client)
        self._name = name or f"anthropic:{model}"
        self._asking = Asking(line, dialect, parameters or {})
        self.warning = line.warning

    @property
    def name(self) -> str:
        """The specification that names it."""
        return self._name

    async def ask(self, prompt: Prompt, emit: Emit) -> Reply:
        """The whole reply; text and reasoning go to `emit` as they come. Raises only ModelError."""
        return await self._asking.ask(prompt, emit)
