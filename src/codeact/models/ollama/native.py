"""Ollama's own protocol: one JSON object a line, and options that the OpenAI protocol has no word for.

https://docs.ollama.com/api/chat
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any

from codeact.core.errors import ModelProtocolError
from codeact.core.events import ReasoningDelta, TextDelta
from codeact.core.messages import Finish, Image, Message, Prompt, Reply, Usage
from codeact.models.server.chat import as_tools
from codeact.models.server.draft import Draft, mended, read, record, records, words
from codeact.models.server.refusal import Refused
from codeact.models.server.turns import pictures_apart, sent_arguments, sent_name, turns

_FINISH: dict[str, Finish] = {"stop": "stop", "length": "length"}
_OPTIONS = ("num_ctx", "temperature", "top_p", "top_k", "min_p", "seed", "presence_penalty", "frequency_penalty")
_SPOKEN = {"max_tokens": "num_predict", "max_completion_tokens": "num_predict", "repetition_penalty": "repeat_penalty"}


class Native:
    """The dialect."""

    path = "/api/chat"
    names = "/v1/models"
    lines = True

    def headers(self, key: str | None) -> Mapping[str, str]:
        """It wants none."""
        return {}

    def question(self, model: str, prompt: Prompt, *, pictures: bool) -> dict[str, Any]:
        """Model, messages and tools. A prompt that is too long is to be refused, by servers that know how."""
        names = {call.id: sent_name(call) for message in prompt.messages for call in message.tool_calls}
        told = pictures_apart(turns(prompt, pictures=pictures))
        messages = [_message(message, names) for message in told]
        body: dict[str, Any] = {"model": model, "messages": messages, "stream": True, "truncate": False, "shift": False}
        if prompt.tools:
            body["tools"] = as_tools(prompt)
        return body

    def options(self, parameters: Mapping[str, Any], stop: tuple[str, ...]) -> dict[str, Any]:
        """The parameters of chat completions in the words of this protocol, the others as they are."""
        sampling: dict[str, Any] = {}
        options: dict[str, Any] = {}
        for name, value in parameters.items():
            spoken = _SPOKEN.get(name, name)
            if name in _OPTIONS or name in _SPOKEN:
                sampling[spoken] = value
            else:
                options["think" if name == "reasoning_effort" else name] = value
        if stop:
            sampling["stop"] = list(map(mended, stop))
        return {**options, "options": {**sampling, **record(options.get("options"))}}

    def answer(self, model: str, stop: tuple[str, ...]) -> Told:
        """One that has heard nothing yet."""
        return Told(Draft(model, stop))


def _message(message: Message, names: Mapping[str, str]) -> dict[str, Any]:
    told: dict[str, Any] = {"role": message.role, "content": mended(message.text)}
    images = [part for part in message.parts if isinstance(part, Image)]
    if images:
        told["images"] = [base64.b64encode(image.data).decode("ascii") for image in images]
    if message.role == "tool":
        told |= {"tool_name": names.get(message.answers, "_"), "tool_call_id": mended(message.answers)}
    if message.tool_calls:
        told["tool_calls"] = [
            {"id": mended(call.id), "function": {"name": sent_name(call), "arguments": sent_arguments(call)}}
            for call in message.tool_calls
        ]
    return told


class Told:
    """The lines of an answer, put together."""

    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self.done = False
        self._begun = False
        self._calls = 0
        self._finish: str | None = None
        self._usage = Usage()

    @property
    def ended(self) -> bool:
        """Whether the last line has come."""
        return self.done

    def take(self, payload: str) -> Iterator[TextDelta | ReasoningDelta]:
        """Take one line."""
        line = read(payload)
        if line.get("error"):
            raise Refused.within(line)
        self._begun = self._begun or isinstance(line.get("message"), dict)
        message = record(line.get("message"))
        yield from self.draft.think(words(message.get("thinking")))
        yield from self.draft.say(words(message.get("content")))
        for call in records(message.get("tool_calls")):
            function = record(call.get("function"))
            self.draft.call(self._calls, call.get("id"), function.get("name"), function.get("arguments"))
            self._calls += 1
        if line.get("done") is True:
            self.done = True
            self._finish = words(line.get("done_reason")) or None
            count = self.draft.count
            self._usage = Usage(count(line.get("prompt_eval_count")), count(line.get("eval_count")))

    def reply(self) -> Reply:
        """All that came, as one value."""
        if not self._begun:
            raise ModelProtocolError("the server's answer has no message in it")
        return self.draft.reply(self._finish, _FINISH, self._usage)
