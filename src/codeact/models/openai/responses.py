"""The protocol of responses: a list of items goes in and comes out. Nothing is kept on the server.

https://platform.openai.com/docs/api-reference/responses-streaming
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, assert_never

from codeact.core.errors import ModelProtocolError
from codeact.core.events import ReasoningDelta, TextDelta
from codeact.core.messages import Finish, Image, Message, Prompt, Reply, Text, Usage
from codeact.models.server.chat import as_url
from codeact.models.server.draft import Draft, mended, read, record, records, words
from codeact.models.server.refusal import Refused
from codeact.models.server.turns import pictures_apart, sent_arguments_text, sent_name, turns

_FINISH: dict[str, Finish] = {
    "completed": "stop",
    "max_output_tokens": "length",
    "max_tokens": "length",
    "content_filter": "content_filter",
}
_SPOKEN = {"max_tokens": "max_output_tokens", "max_completion_tokens": "max_output_tokens"}
_WITHIN = {"reasoning_effort": ("reasoning", "effort"), "verbosity": ("text", "verbosity")}


class Responses:
    """The dialect. It knows no stop sequences: the reply is cut here."""

    path = "/responses"
    names = "/models"
    lines = False

    def headers(self, key: str | None) -> Mapping[str, str]:
        """The key as a bearer's."""
        return {"authorization": f"Bearer {key}"} if key else {}

    def question(self, model: str, prompt: Prompt, *, pictures: bool) -> dict[str, Any]:
        """Model, instructions, items and tools."""
        told = list(pictures_apart(turns(prompt, pictures=pictures)))
        system = "\n\n".join(mended(message.text) for message in told if message.role == "system")
        items = [item for message in told if message.role != "system" for item in _items(message)]
        body: dict[str, Any] = {"model": model, "input": items, "stream": True}
        if system:
            body["instructions"] = system
        if prompt.tools:
            body["tools"] = [
                {
                    "type": "function",
                    "name": tool.name,
                    "description": mended(tool.description),
                    "parameters": tool.parameters,
                    "strict": False,
                }
                for tool in prompt.tools
            ]
        return body

    def options(self, parameters: Mapping[str, Any], stop: tuple[str, ...]) -> dict[str, Any]:
        """The parameters of chat completions under the names that they have here, the others as they are."""
        options: dict[str, Any] = {"store": False}
        for name, value in parameters.items():
            if name in _WITHIN:
                outer, inner = _WITHIN[name]
                options[outer] = {**record(options.get(outer)), inner: value}
            else:
                options[_SPOKEN.get(name, name)] = value
        return options

    def answer(self, model: str, stop: tuple[str, ...]) -> Response:
        """One that has heard nothing yet."""
        return Response(Draft(model, stop))


def _items(message: Message) -> Iterator[dict[str, Any]]:
    if message.role == "tool":
        yield {"type": "function_call_output", "call_id": mended(message.answers), "output": mended(message.text)}
        return
    if message.parts:
        yield {"role": message.role, "content": [_part(part, message.role) for part in message.parts]}
    for call in message.tool_calls:
        yield {
            "type": "function_call",
            "call_id": mended(call.id),
            "name": sent_name(call),
            "arguments": sent_arguments_text(call),
        }


def _part(part: Text | Image, role: str) -> dict[str, Any]:
    match part:
        case Text(text):
            return {"type": "output_text" if role == "assistant" else "input_text", "text": mended(text)}
        case Image():
            return {"type": "input_image", "image_url": as_url(part)}
        case _:
            assert_never(part)


class Response:
    """The events of a streamed response, put together."""

    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self.done = False
        self._finish: str | None = None
        self._usage = Usage()
        self._begun = False
        self._argued: set[int] = set()  # places of calls whose arguments have come

    @property
    def ended(self) -> bool:
        """Whether the last event has come."""
        return self.done

    def take(self, payload: str) -> Iterator[TextDelta | ReasoningDelta]:
        """Take one event, or a whole response."""
        if payload.strip() == "[DONE]":
            self.done = self.done or self._finish is not None
            return
        event = read(payload)
        kind, place = words(event.get("type")), event.get("output_index")
        at = place if isinstance(place, int) else 0
        match kind:
            case "response.output_text.delta":
                yield from self.draft.say(words(event.get("delta")))
            case "response.reasoning_text.delta" | "response.reasoning_summary_text.delta":
                yield from self.draft.think(words(event.get("delta")))
            case "response.reasoning_summary_part.added" if event.get("summary_index"):
                yield from self.draft.think("\n\n")
            case "response.refusal.delta":
                self.draft.refuse(words(event.get("delta")))
            case "response.output_item.added" | "response.output_item.done":
                self._take_call(at, record(event.get("item")), whole=kind.endswith("done"))
            case "response.function_call_arguments.delta":
                self._argued.add(at)
                self.draft.call(at, arguments=words(event.get("delta")))
            case "response.created" | "response.in_progress" | "response.queued":
                self._begin(record(event.get("response")))
            case "response.completed" | "response.incomplete" | "response.failed":
                self._end(record(event.get("response")))
            case "error":
                raise Refused.within({"error": event.get("error") or event})
            case "":
                yield from self._take_whole(event)

    def reply(self) -> Reply:
        """All that came, as one value."""
        if not self._begun:
            raise ModelProtocolError("the server's answer has no response in it")
        return self.draft.reply(self._finish, _FINISH, self._usage)

    def _take_call(self, place: int, item: dict[str, Any], *, whole: bool) -> None:
        """A call is announced when it begins, and told whole when it is over: for those that were not streamed."""
        self._begun = True
        if item.get("type") != "function_call":
            return
        missing = whole and place not in self._argued
        self.draft.call(place, item.get("call_id"), item.get("name"), item.get("arguments") if missing else None)
        if missing:
            self._argued.add(place)

    def _take_whole(self, event: dict[str, Any]) -> Iterator[TextDelta | ReasoningDelta]:
        """A response that was not streamed; an error in its place."""
        if event.get("error"):
            raise Refused.within(event)
        if event.get("object") != "response":
            raise ModelProtocolError("the server sent something that is not a response")
        for place, item in enumerate(records(event.get("output"))):
            self._take_call(place, item, whole=True)
            for part in records(item.get("summary")):
                yield from self.draft.think(words(part.get("text")))
            for part in records(item.get("content")):
                yield from self.draft.say(words(part.get("text")))
                self.draft.refuse(words(part.get("refusal")))
        self._end(event)

    def _begin(self, response: dict[str, Any]) -> None:
        self._begun = True
        self.draft.answered_by(response.get("model"))

    def _end(self, response: dict[str, Any]) -> None:
        if response.get("status") == "failed" or response.get("error"):
            raise Refused.within({"error": response.get("error") or "it failed"})
        self._begin(response)
        self.done = True
        reason = record(response.get("incomplete_details")).get("reason")
        self._finish = words(reason) or words(response.get("status")) or "completed"
        usage, count = record(response.get("usage")), self.draft.count
        cached = record(usage.get("input_tokens_details")).get("cached_tokens")
        self._usage = Usage(count(usage.get("input_tokens")), count(usage.get("output_tokens")), count(cached))
