"""A conversation made fit for a protocol: what is joined, left out or put in another place, whatever its words."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from codeact.core.messages import Image, Message, NativeCall, Prompt, Text, arguments_of

from .draft import mended

_NOT_OF_A_NAME = re.compile(r"[^a-zA-Z0-9_-]")
_UNSEEN = Text("\n(This server takes no pictures: they are not shown to you. Work with the numbers.)")


def turns(prompt: Prompt, *, pictures: bool) -> list[Message]:
    """The messages; without pictures it is said in their place.

    Neighbours of one role are joined: many chat templates insist that the roles alternate.
    """
    joined: list[Message] = []
    for message in prompt.messages if pictures else map(_without_pictures, prompt.messages):
        last = joined[-1] if joined else None
        if last and last.role == message.role != "tool" and not last.tool_calls and not message.tool_calls:
            joined[-1] = Message(message.role, (*last.parts, Text("\n\n"), *message.parts))
        else:
            joined.append(message)
    return joined


def pictures_apart(messages: Iterable[Message]) -> Iterator[Message]:
    """Where only users may show pictures: those of a tool follow when all calls of the turn are answered."""
    seen: list[Image] = []
    for message in messages:
        if seen and message.role != "tool":
            if message.role == "user":
                yield replace(message, parts=(*seen, *message.parts))
                seen = []
                continue
            yield Message("user", tuple(seen))
            seen = []
        if message.role == "tool":
            seen += [part for part in message.parts if isinstance(part, Image)]
            yield replace(message, parts=(Text(message.text),))
        else:
            yield message
    if seen:
        yield Message("user", tuple(seen))


def has_pictures(prompt: Prompt) -> bool:
    """Whether there is anything to see."""
    return any(isinstance(part, Image) for message in prompt.messages for part in message.parts)


def sent_name(call: NativeCall) -> str:
    """The name as servers take it: one that the model made up may be no name to them."""
    return _NOT_OF_A_NAME.sub("_", call.name)[:64] or "_"


def sent_id(id: str) -> str:
    """The id as servers take it, the same for a call and for its answer; another provider's may not be one to them."""
    return _NOT_OF_A_NAME.sub("_", id)[:64] or "_"


def sent_arguments(call: NativeCall) -> dict[str, Any]:
    """The arguments as an object, also where the model wrote none: servers read them, and fail over anything else."""
    try:
        return arguments_of(call)
    except ValueError:
        return {"not_json": mended(call.arguments)}


def sent_arguments_text(call: NativeCall) -> str:
    """The same as text: that of the model, where it can be read."""
    try:
        arguments_of(call)
    except ValueError:
        return json.dumps(sent_arguments(call))
    return mended(call.arguments) if call.arguments.strip() else "{}"


def _without_pictures(message: Message) -> Message:
    parts = [part for part in message.parts if isinstance(part, Text)]
    return message if len(parts) == len(message.parts) else replace(message, parts=(*parts, _UNSEEN))
