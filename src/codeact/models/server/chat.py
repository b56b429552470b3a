"""Chat completions: the dialect that most servers speak, of whatever maker.

https://platform.openai.com/docs/api-reference/chat
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any, assert_never

from codeact.core.errors import ModelProtocolError
from codeact.core.events import ReasoningDelta, TextDelta
from codeact.core.messages import Finish, Image, Message, NativeCall, Prompt, Reply, Text, Usage

from .draft import Draft, mended, read, record, records, words
from .refusal import Refused
from .turns import pictures_apart, sent_arguments_text, sent_name, turns

_FINISH: dict[str, Finish] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}


class Chat:
    """The dialect."""

    path = "/chat/completions"
    names = "/models"
    lines = False

    def headers(self, key: str | None) -> Mapping[str, str]:
        """The key as a bearer's."""
        return {"authorization": f"Bearer {key}"} if key else {}

    def question(self, model: str, prompt: Prompt, *, pictures: bool) -> dict[str, Any]:
        """Model, messages and tools."""
        body: dict[str, Any] = {"model": model, "messages": as_messages(prompt, pictures=pictures), "stream": True}
        if prompt.tools:
            body["tools"] = as_tools(prompt)
        return body

    def options(self, parameters: Mapping[str, Any], stop: tuple[str, ...]) -> dict[str, Any]:
        """The parameters as they are."""
        options = {"stream_options": {"include_usage": True}, **parameters}
        if stop:
            options["stop"] = [mended(text) for text in stop[:4]]  # the protocol's maximum; the rest is cut off here
        return options

    def answer(self, model: str, stop: tuple[str, ...]) -> Completion:
        """One that has heard nothing yet."""
        return Completion(Draft(model, stop))


def as_messages(prompt: Prompt, *, pictures: bool = True) -> list[dict[str, Any]]:
    """The messages of a request; pictures go as data URLs, or are left out, which is said in their place."""
    return [_message(message) for message in pictures_apart(turns(prompt, pictures=pictures))]


def as_tools(prompt: Prompt) -> list[dict[str, Any]]:
    """The tools of a request."""
    return [
        {
            "type": "function",
            "function": {"name": tool.name, "description": mended(tool.description), "parameters": tool.parameters},
        }
        for tool in prompt.tools
    ]


def _message(message: Message) -> dict[str, Any]:
    if message.role == "tool":
        return {"role": "tool", "tool_call_id": mended(message.answers), "content": mended(message.text)}
    content: Any = mended(message.text)  # a string: what every server understands
    if any(isinstance(part, Image) for part in message.parts):
        content = [_part(part) for part in message.parts]
    if message.tool_calls:
        return {"role": message.role, "content": content or None, "tool_calls": list(map(_call, message.tool_calls))}
    return {"role": message.role, "content": content}


def _call(call: NativeCall) -> dict[str, Any]:
    function = {"name": sent_name(call), "arguments": sent_arguments_text(call)}
    return {"id": mended(call.id), "type": "function", "function": function}


def _part(part: Text | Image) -> dict[str, Any]:
    match part:
        case Text(text):
            return {"type": "text", "text": mended(text)}
        case Image():
            return {"type": "image_url", "image_url": {"url": as_url(part)}}
        case _:
            assert_never(part)


def as_url(image: Image) -> str:
    """The picture as a data URL."""
    return f"data:{image.media_type};base64,{base64.b64encode(image.data).decode('ascii')}"


class Completion:
    """The chunks of a streamed completion, put together."""

    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self.done = False
        self._finish: str | None = None
        self._usage = Usage()
        self._choices = False

    @property
    def ended(self) -> bool:
        """Whether a reason to end has come."""
        return self._finish is not None or self.done

    def take(self, payload: str) -> Iterator[TextDelta | ReasoningDelta]:
        """Take one chunk, or a whole completion."""
        if payload.strip() == "[DONE]":
            self.done = True
            return
        chunk = read(payload)
        if chunk.get("error") or chunk.get("object") == "error":
            raise Refused.within(chunk)
        self._take_usage(chunk.get("usage"))
        if not self._choices:
            self.draft.answered_by(chunk.get("model"))
        for choice in records(chunk.get("choices")):
            if choice.get("index") in (0, None):
                self._choices = True
                yield from self._take_choice(choice)

    def reply(self) -> Reply:
        """All that came, as one value."""
        if not self._choices:
            raise ModelProtocolError("the server's answer has no choices in it")
        return self.draft.reply(self._finish, _FINISH, self._usage)

    def _take_choice(self, choice: dict[str, Any]) -> Iterator[TextDelta | ReasoningDelta]:
        delta = record(choice.get("delta") or choice.get("message"))
        yield from self.draft.think(_thought(delta))
        yield from self.draft.say(_words(delta.get("content")))
        self.draft.refuse(_words(delta.get("refusal")))
        for position, call in enumerate(records(delta.get("tool_calls"))):
            index, function = call.get("index"), record(call.get("function"))
            place = index if isinstance(index, int) else position
            self.draft.call(place, call.get("id"), function.get("name"), function.get("arguments"))
        self._finish = words(choice.get("finish_reason")) or self._finish

    def _take_usage(self, usage: object) -> None:
        if not isinstance(usage, dict):
            return
        details, count = usage.get("prompt_tokens_details"), self.draft.count
        cached = details.get("cached_tokens") if isinstance(details, dict) else usage.get("prompt_cache_hit_tokens")
        self._usage = Usage(count(usage.get("prompt_tokens")), count(usage.get("completion_tokens")), count(cached))


def _words(content: object) -> str:
    """Text as a string, or as a list of parts as some servers send it."""
    return words(content) or "".join(_words(part.get("text")) for part in records(content))


def _thought(delta: dict[str, Any]) -> str:
    return (
        _words(delta.get("reasoning_content"))
        or _words(delta.get("reasoning"))
        or "".join(_words(part.get("thinking")) for part in records(delta.get("content")))
    )
