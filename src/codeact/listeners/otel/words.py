"""What spans say: the names of the conventions, and what people wrote made fit to stand there, without secrets."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from codeact.core.messages import Image, Message, Prompt, Reply, Text, Usage

Attributes = dict[str, str | int | float | bool | Sequence[str]]

_PROVIDERS = {  # by their names in the conventions; others go by their own
    "google": "gcp.gemini",
    "google-cloud": "gcp.vertex_ai",
    "bedrock": "aws.bedrock",
    "azure": "azure.ai.openai",
    "mistral": "mistral_ai",
    "xai": "x_ai",
    "hf": "huggingface",
}
_REQUEST = {
    "temperature": "gen_ai.request.temperature",
    "top_p": "gen_ai.request.top_p",
    "top_k": "gen_ai.request.top_k",
    "max_tokens": "gen_ai.request.max_tokens",
    "max_completion_tokens": "gen_ai.request.max_tokens",
    "presence_penalty": "gen_ai.request.presence_penalty",
    "frequency_penalty": "gen_ai.request.frequency_penalty",
    "seed": "gen_ai.request.seed",
}
_LONGEST = 20_000  # characters of one text
_MOST = 1_000  # things of one list
_DEEPEST = 12


@dataclass(frozen=True, slots=True)
class Named:
    """A model as the conventions name it. `of` stands at every measurement, `more` beside it in spans."""

    model: str
    of: dict[str, str]
    more: Attributes = field(default_factory=dict)


def named(spec: str) -> Named:
    """What the name of a model says, such as `openai:gpt-5?temperature=0` or `http://127.0.0.1:8080/v1#NAME`."""
    more: Attributes = {}
    if spec.startswith(("http://", "https://")):
        url, _, rest = spec.partition("#")
        place = urlsplit(url)
        provider = "openai"  # whose protocol it is
        name, _, query = rest.partition("?")
        if place.hostname:
            more["server.address"] = place.hostname
            more["server.port"] = place.port or (443 if place.scheme == "https" else 80)
    else:
        whole, _, query = spec.removeprefix("pydantic:").partition("?")
        head, colon, tail = whole.partition(":")
        provider, name = (head, tail) if colon and tail else ("custom", whole)
        if provider in ("replay", "transformers"):
            name = (
                name.replace("\\", "/").rstrip("/").rpartition("/")[2]
            )  # a path tells more of this machine than of the model
    for key, value in parse_qsl(query):
        if key in _REQUEST and (number := _number(value)) is not None:
            more[_REQUEST[key]] = number
    of = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": _PROVIDERS.get(provider, provider)}
    return Named(name, {**of, "gen_ai.request.model": name}, more)


def _number(text: str) -> int | float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    if not math.isfinite(value):
        return None
    return int(text) if text.lstrip("+-").isdecimal() else value


def of_usage(usage: Usage) -> Attributes:
    """Tokens, as far as the server told."""
    known = {
        "gen_ai.usage.input_tokens": usage.input_tokens,
        "gen_ai.usage.output_tokens": usage.output_tokens,
        "gen_ai.usage.cache_read.input_tokens": usage.cached_tokens,
        "gen_ai.usage.cache_creation.input_tokens": usage.cache_write_tokens,
    }
    return {name: count for name, count in known.items() if count is not None}


class Written:
    """Writes texts and values down, without the secrets of an agent."""

    def __init__(self, clean: Callable[[str], str]) -> None:
        self._clean = clean

    def text(self, text: str) -> str:
        """A text, which may be cut; lone halves of surrogate pairs cannot be sent."""
        text = self._clean(text).encode("utf-8", "replace").decode("utf-8")
        return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ... ({len(text) - _LONGEST:,} more characters)"

    def json(self, value: Any) -> str:
        """A value as JSON; what JSON has no word for stands there as a text."""
        return json.dumps(self._plain(value, _DEEPEST), ensure_ascii=False)

    def _plain(self, value: Any, deep: int) -> Any:
        match value:
            case None | bool() | int():
                return value
            case float():
                return value if math.isfinite(value) else str(value)
            case str():
                return self.text(value)
            case bytes() | bytearray():
                return f"({len(value):,} bytes)"
            case Mapping() if deep:
                return {self.text(str(key)): self._plain(one, deep - 1) for key, one in list(value.items())[:_MOST]}
            case list() | tuple() | set() | frozenset() if deep:
                return [self._plain(one, deep - 1) for one in list(value)[:_MOST]]
            case _:
                return self.text(repr(value))

    def prompt(self, prompt: Prompt) -> Attributes:
        """All that a model was shown."""
        system = [part for one in prompt.messages if one.role == "system" for part in _parts(one)]
        rest = [{"role": one.role, "parts": _parts(one)} for one in prompt.messages if one.role != "system"]
        return {"gen_ai.system_instructions": self.json(system), "gen_ai.input.messages": self.json(rest)}

    def reply(self, reply: Reply) -> Attributes:
        """What it said."""
        parts: list[dict[str, Any]] = [{"type": "reasoning", "content": reply.reasoning}] if reply.reasoning else []
        parts += _parts(Message("assistant", (Text(reply.text),) if reply.text else (), reply.tool_calls))
        said = [{"role": "assistant", "parts": parts, "finish_reason": reply.finish}]
        return {"gen_ai.output.messages": self.json(said)}

    def said(self, role: str, value: Any) -> str:
        """One message of one text."""
        content = value if isinstance(value, str) else self.json(value)
        return self.json([{"role": role, "parts": [{"type": "text", "content": content}]}])


def _parts(message: Message) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = []
    for part in message.parts:
        match part:
            case Text(text) if message.role == "tool":
                parts.append({"type": "tool_call_response", "id": message.answers, "response": text})
            case Text(text):
                parts.append({"type": "text", "content": text})
            case Image(data, media_type):
                parts.append({"type": "blob", "modality": "image", "mime_type": media_type, "content": data})
    for call in message.tool_calls:
        parts.append({"type": "tool_call", "id": call.id, "name": call.name, "arguments": call.arguments})
    return parts
