"""One question to a server of ours, and all that came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from codeact.core.errors import ModelError
from codeact.core.events import Delta, ReasoningDelta, TextDelta
from codeact.core.messages import Prompt, Reply, say
from codeact.models.anthropic import AnthropicModel
from codeact.models.openai import OpenAIModel
from codeact.ports import Model

from .server import Server

PROMPT = Prompt((say("system", "Be brief."), say("user", "Which city is colder?")), ("Observation:",))
KEY = "sk-a-secret-key"


@dataclass
class Came:
    """What came: a reply or an error, and what streamed."""

    reply: Reply | None
    error: ModelError | None
    deltas: list[Delta]

    @property
    def text(self) -> str:
        return "".join(delta.text for delta in self.deltas if isinstance(delta, TextDelta))

    @property
    def reasoning(self) -> str:
        return "".join(delta.text for delta in self.deltas if isinstance(delta, ReasoningDelta))


def model_at(server: Server, name: str = "m", **settings: Any) -> OpenAIModel:
    settings.setdefault("key", KEY)
    settings.setdefault("key_variable", "CITY_KEY")
    return OpenAIModel(name, base_url=server.url, **settings)


def claude_at(server: Server, name: str = "m", **settings: Any) -> AnthropicModel:
    settings = {"key": KEY, "key_variable": "CITY_KEY", **settings}
    return AnthropicModel(name, base_url=server.url, **settings)


async def ask(model: Model, prompt: Prompt = PROMPT) -> Came:
    """Whatever comes that is not a ModelError goes through: a server must not be able to make that happen."""
    deltas: list[Delta] = []
    try:
        reply = await model.ask(prompt, deltas.append)
    except ModelError as error:
        assert KEY not in str(error), "a key in a message"
        return Came(None, error, deltas)
    return Came(reply, None, deltas)
