"""Every provider of pydantic-ai, as a model: its requests and answers are that library's own.

What the library does not tell, a count of 0 or of nothing, is unknown here. Its retries are its own, too; ours come on
top. https://ai.pydantic.dev/models/overview/
"""

from __future__ import annotations

import asyncio
import math
import warnings
import weakref
from collections.abc import Iterator, Mapping
from typing import Any, assert_never, cast

import anyio
from pydantic_ai import exceptions, messages, models
from pydantic_ai.direct import model_request_stream
from pydantic_ai.settings import ModelSettings
from pydantic_ai.tools import ToolDefinition

from codeact.core.errors import (
    ContextOverflow,
    ModelError,
    ModelProtocolError,
    ModelRejected,
    ModelUnavailable,
    UsageError,
)
from codeact.core.messages import Finish, Image, Message, Prompt, Reply, Text, Usage
from codeact.models.server.draft import Draft, mended
from codeact.models.server.line import Deadlines
from codeact.models.server.turns import sent_arguments, sent_name, turns
from codeact.ports import Emit

_FINISH: dict[str, Finish] = {
    "stop": "stop",
    "length": "length",
    "content_filter": "content_filter",
    "tool_call": "tool_calls",
}
_SPOKEN = {"reasoning_effort": "thinking"}
_SETTINGS = {
    "temperature", "top_p", "top_k", "presence_penalty", "frequency_penalty", "max_tokens", "seed", "service_tier",
    "thinking",
}  # fmt: skip


class BridgeModel:
    """`model` is a name as that library has it, such as `groq:NAME`, or a model object of it.

    `parameters` go into every request. `name` is the specification, for journals.
    """

    def __init__(
        self,
        model: str | models.Model,
        *,
        name: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        deadlines: Deadlines | None = None,
    ) -> None:
        self._model = model
        self._parameters = dict(parameters or {})
        self._deadlines = deadlines or Deadlines()
        first = _inferred(model)
        self._name = name or f"pydantic:{model if isinstance(model, str) else f'{first.system}:{first.model_name}'}"
        self._of_loop: weakref.WeakKeyDictionary[Any, models.Model] = weakref.WeakKeyDictionary()

    @property
    def name(self) -> str:
        """The specification that names it."""
        return self._name

    async def ask(self, prompt: Prompt, emit: Emit) -> Reply:
        """The whole reply; text and reasoning go to `emit` as they come. Raises only ModelError."""
        draft, start, wait = Draft("", prompt.stop), anyio.current_time(), self._deadlines
        usage, finish = Usage(), None
        with anyio.CancelScope(deadline=start + min(wait.first_token, wait.total)) as scope:
            try:
                stream: Any
                async with self._stream(prompt) as stream:
                    async for event in stream:
                        size = draft.size
                        for delta in _heard(event, draft):
                            emit(delta)
                        if draft.size > size:
                            scope.deadline = min(anyio.current_time() + wait.between_tokens, start + wait.total)
                        if draft.stopped:
                            break
                    whole = stream.get()
                usage, finish = _usage(whole.usage), whole.finish_reason
                for place, part in enumerate(whole.parts):
                    if isinstance(part, messages.ToolCallPart):
                        draft.call(place, part.tool_call_id, part.tool_name, part.args or {})
            except (exceptions.AgentRunError, exceptions.UserError) as error:
                raise _error(error, self._name) from error
        if scope.cancelled_caught:
            what = "fell silent in the middle of its reply" if draft.size else "sent no token in time"
            raise ModelUnavailable(f"{self._name} {what}, after {anyio.current_time() - start:.0f} s")
        return draft.reply(finish, _FINISH, usage)

    def _stream(self, prompt: Prompt) -> Any:
        # What a provider has no setting for is done here (stop sequences), or not at all: the library warns of each.
        tools = [
            ToolDefinition(name=tool.name, parameters_json_schema=tool.parameters, description=tool.description)
            for tool in prompt.tools
        ]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return model_request_stream(
                self._here(),
                list(_told(prompt)),
                model_settings=self._settings(prompt.stop),
                model_request_parameters=models.ModelRequestParameters(function_tools=tools),
            )

    def _here(self) -> models.Model:
        """The library's object for this event loop, which its connections belong to."""
        if not isinstance(self._model, str):
            return self._model
        loop = asyncio.get_running_loop()
        if loop not in self._of_loop:
            self._of_loop[loop] = _inferred(self._model)
        return self._of_loop[loop]

    def _settings(self, stop: tuple[str, ...]) -> ModelSettings:
        said = {_SPOKEN.get(name, name): value for name, value in self._parameters.items()}
        settings: dict[str, Any] = {name: value for name, value in said.items() if name in _SETTINGS}
        extra = {name: value for name, value in said.items() if name not in _SETTINGS}
        if extra:
            settings["extra_body"] = extra
        if stop:
            settings["stop_sequences"] = [mended(text) for text in stop[:4]]
        if self._deadlines.total < math.inf:
            settings["timeout"] = self._deadlines.total
        return cast(ModelSettings, settings)


def _inferred(model: str | models.Model) -> models.Model:
    try:
        return models.infer_model(model)
    except (exceptions.UserError, ImportError, ValueError) as error:
        words = " ".join(str(error).split())
        raise UsageError(f"pydantic-ai does not make {model!r} a model: {words}") from None


def _told(prompt: Prompt) -> Iterator[messages.ModelMessage]:
    """The conversation in that library's parts: requests and responses in turn."""
    names = {call.id: sent_name(call) for message in prompt.messages for call in message.tool_calls}
    request: list[messages.ModelRequestPart] = []
    for message in turns(prompt, pictures=True):
        if message.role == "assistant":
            if request:
                yield messages.ModelRequest(request)
            request = []
            yield messages.ModelResponse(list(_said(message)))
        else:
            request += _asked(message, names)
    if request:
        yield messages.ModelRequest(request)


def _said(message: Message) -> Iterator[messages.ModelResponsePart]:
    if message.text.strip():
        yield messages.TextPart(mended(message.text))
    for call in message.tool_calls:
        yield messages.ToolCallPart(sent_name(call), sent_arguments(call), mended(call.id))


def _asked(message: Message, names: Mapping[str, str]) -> Iterator[messages.ModelRequestPart]:
    match message.role:
        case "system":
            yield messages.SystemPromptPart(mended(message.text))
        case "tool":
            name, id = names.get(message.answers, "_"), mended(message.answers)
            yield messages.ToolReturnPart(name, mended(message.text), tool_call_id=id)
            pictures = [part for part in message.parts if isinstance(part, Image)]
            if pictures:
                yield messages.UserPromptPart([_part(picture) for picture in pictures])
        case "user":
            yield messages.UserPromptPart([_part(part) for part in message.parts])
        case "assistant":
            pass
        case _:
            assert_never(message.role)


def _part(part: Text | Image) -> str | messages.BinaryContent:
    match part:
        case Text(text):
            return mended(text)
        case Image(data, media_type):
            return messages.BinaryContent(data, media_type=media_type)
        case _:
            assert_never(part)


def _heard(event: Any, draft: Draft) -> Iterator[Any]:
    """What this event adds to the reply. Calls are taken from the whole response, where they are complete."""
    piece = event.part if isinstance(event, messages.PartStartEvent) else getattr(event, "delta", None)
    match piece:
        case messages.TextPart(content=text) | messages.TextPartDelta(content_delta=text):
            yield from draft.say(text)
        case messages.ThinkingPart(content=thought):
            yield from draft.think(thought)
        case messages.ThinkingPartDelta(content_delta=thought):
            yield from draft.think(thought or "")
        case messages.ToolCallPartDelta() | messages.ToolCallPart():
            draft.size += 1  # a sign of life


def _usage(usage: Any) -> Usage:
    if getattr(usage, "unmeasured_requests", 0):
        return Usage()
    cached, written = usage.cache_read_tokens or None, usage.cache_write_tokens or None
    return Usage(usage.input_tokens or None, usage.output_tokens or None, cached, cache_write_tokens=written)


def _error(error: Exception, name: str) -> ModelError:
    words = f"{name}: {' '.join(str(error).split())[:400]}"
    wait = getattr(error, "retry_after", None)
    status = getattr(error, "status_code", None)
    match error:
        case exceptions.ModelContextWindowExceededError():
            return ContextOverflow(words)
        case exceptions.ModelRateLimitError() | exceptions.ModelUnavailableError() | exceptions.ModelServerError():
            return ModelUnavailable(words, wait)
        case exceptions.ModelConnectionError() | exceptions.ModelRequestTimeout():
            return ModelUnavailable(words, wait)
        case exceptions.ModelAPIError() if isinstance(status, int):
            again = status in (408, 409, 425, 429) or status >= 500
            return ModelUnavailable(words, wait) if again else ModelRejected(words)
        case exceptions.ModelRequestRejectedError() | exceptions.ModelQuotaExceededError() | exceptions.UserError():
            return ModelRejected(words)
        case exceptions.ModelAPIError():
            return ModelUnavailable(words, wait)
        case _:
            return ModelProtocolError(words)
