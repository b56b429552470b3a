"""About how many tokens a text is, without any model's own tokenizer: rather too many than too few.

What a server says of its own count corrects this; see `window`. Where none does, a third more than there are is a
conversation that is shortened a little early, and a third less would be a request that is refused.
"""

from __future__ import annotations

import json

from .messages import Image, Message, Text, ToolDeclaration

_LETTERS = 3  # ASCII characters of a token, at the least: English has more than four, numbers and code fewer
_MESSAGE = 6  # tokens round every message: its role, its beginning and its end
_PIXELS = 750  # of a picture, to a token
_PICTURE = 1600  # tokens, at most: servers make larger ones smaller


def of_text(text: str) -> int:
    """Tokens of a text. Beyond ASCII, each character may be one."""
    if text.isascii():
        return (len(text) + _LETTERS - 1) // _LETTERS
    plain = len(text.encode("ascii", "ignore"))
    return (plain + _LETTERS - 1) // _LETTERS + len(text) - plain


def of_picture(image: Image) -> int:
    """Tokens of a picture, by its size."""
    if image.size is None:
        return _PICTURE
    return max(100, min(_PICTURE, image.size[0] * image.size[1] // _PIXELS))


def of_message(message: Message) -> int:
    """Tokens of a message with all that it carries."""
    parts = sum(of_text(part.text) if isinstance(part, Text) else of_picture(part) for part in message.parts)
    return _MESSAGE + parts + sum(of_text(f"{call.id}{call.name}{call.arguments}") for call in message.tool_calls)


def of_declaration(tool: ToolDeclaration) -> int:
    """Tokens of a tool that is declared beside the messages."""
    return _MESSAGE + of_text(tool.name + tool.description + json.dumps(tool.parameters))
