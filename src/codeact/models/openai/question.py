"""A prompt in the protocol's words."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, assert_never

from codeact.core.messages import Image, Message, NativeCall, Prompt, Text, arguments_of

_NOT_OF_A_NAME = re.compile(r"[^a-zA-Z0-9_-]")
_UNSEEN = Text("\n(This server takes no pictures: they are not shown to you. Work with the numbers.)")


def as_messages(prompt: Prompt, *, pictures: bool = True) -> list[dict[str, Any]]:
    """The messages of a request; pictures go as data URLs, or are left out, which is said in their place.

    Neighbours of one role are joined: many chat templates insist that the roles alternate.
    """
    joined: list[Message] = []
    for message in _pictures_apart(prompt.messages if pictures else tuple(map(_without_pictures, prompt.messages))):
        last = joined[-1] if joined else None
        if last and last.role == message.role != "tool" and not last.tool_calls and not message.tool_calls:
            joined[-1] = Message(message.role, (*last.parts, Text("\n\n"), *message.parts))
        else:
            joined.append(message)
    return [_message(message) for message in joined]


def as_tools(prompt: Prompt) -> list[dict[str, Any]]:
    """The tools of a request."""
    return [
        {
            "type": "function",
            "function": {
                "name": tool.name,
                "description": mended(tool.description),
                "parameters": json.loads(mended(json.dumps(tool.parameters, ensure_ascii=False))),
            },
        }
        for tool in prompt.tools
    ]


def has_pictures(prompt: Prompt) -> bool:
    """Whether there is anything to see."""
    return any(isinstance(part, Image) for message in prompt.messages for part in message.parts)


def _without_pictures(message: Message) -> Message:
    parts = [part for part in message.parts if isinstance(part, Text)]
    return message if len(parts) == len(message.parts) else replace(message, parts=(*parts, _UNSEEN))


def _pictures_apart(messages: tuple[Message, ...]) -> Iterator[Message]:
    """In this protocol only users show pictures: those of a tool follow when all calls of the turn are answered."""
    seen: list[Image] = []
    for message in messages:
        if seen and message.role != "tool":
            yield Message("user", tuple(seen))
            seen = []
        if message.role == "tool":
            seen += [part for part in message.parts if isinstance(part, Image)]
            yield replace(message, parts=(Text(message.text),))
        else:
            yield message
    if seen:
        yield Message("user", tuple(seen))


def mended(text: str) -> str:
    """The text without lone surrogates, which no encoding can carry: pairs are joined, single ones become U+FFFD."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


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
    name = _NOT_OF_A_NAME.sub("_", call.name)[:64] or "_"  # a name that was made up may be no name to the server
    return {"id": mended(call.id), "type": "function", "function": {"name": name, "arguments": _sound(call)}}


def _sound(call: NativeCall) -> str:
    """The arguments as the model wrote them, where a server can read them: some do, and fail over what is no object."""
    try:
        arguments_of(call)
    except ValueError:
        return json.dumps({"not_json": mended(call.arguments)})
    return mended(call.arguments) if call.arguments.strip() else "{}"


def _part(part: Text | Image) -> dict[str, Any]:
    match part:
        case Text(text):
            return {"type": "text", "text": mended(text)}
        case Image(data, media_type):
            url = f"data:{media_type};base64,{base64.b64encode(data).decode('ascii')}"
            return {"type": "image_url", "image_url": {"url": url}}
        case _:
            assert_never(part)
