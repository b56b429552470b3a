"""A prompt in the protocol's words."""

from __future__ import annotations

import base64
from typing import Any, assert_never

from codeact.core.messages import Image, Message, Prompt, Text

_UNSEEN = Text("\n(This server takes no pictures: they are not shown to you. Work with the numbers.)")


def as_messages(prompt: Prompt, *, pictures: bool = True) -> list[dict[str, Any]]:
    """The messages of a request; pictures go as data URLs, or are left out, which is said in their place.

    Neighbours of one role are joined: many chat templates insist that the roles alternate.
    """
    joined: list[Message] = []
    for message in prompt.messages if pictures else map(_without_pictures, prompt.messages):
        if joined and joined[-1].role == message.role:
            parts = (*joined[-1].parts, Text("\n\n"), *message.parts)
            joined[-1] = Message(message.role, parts)
        else:
            joined.append(message)
    return [_message(message) for message in joined]


def has_pictures(prompt: Prompt) -> bool:
    """Whether there is anything to see."""
    return any(isinstance(part, Image) for message in prompt.messages for part in message.parts)


def _without_pictures(message: Message) -> Message:
    parts = [part for part in message.parts if isinstance(part, Text)]
    return message if len(parts) == len(message.parts) else Message(message.role, (*parts, _UNSEEN))


def mended(text: str) -> str:
    """The text without lone surrogates, which no encoding can carry: pairs are joined, single ones become U+FFFD."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _message(message: Message) -> dict[str, Any]:
    if not any(isinstance(part, Image) for part in message.parts):
        return {"role": message.role, "content": mended(message.text)}  # a string: what every server understands
    return {"role": message.role, "content": [_part(part) for part in message.parts]}


def _part(part: Text | Image) -> dict[str, Any]:
    match part:
        case Text(text):
            return {"type": "text", "text": mended(text)}
        case Image(data, media_type):
            url = f"data:{media_type};base64,{base64.b64encode(data).decode('ascii')}"
            return {"type": "image_url", "image_url": {"url": url}}
        case _:
            assert_never(part)
