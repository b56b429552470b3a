"""What came of a call, as a client is told: words for its model, the same as data, pictures, and links to files."""

from __future__ import annotations

import base64
import secrets
from typing import Any
from urllib.parse import quote

from mcp_types import (
    BlobResourceContents,
    CallToolResult,
    ContentBlock,
    EmbeddedResource,
    ImageContent,
    ResourceLink,
    TextContent,
    TextResourceContents,
)

from codeact.core import observations
from codeact.core.catalogue import call_of
from codeact.core.files import File, what
from codeact.core.untrusted import inline

from ..cli.lines import by_the_table
from .workspace import Offer, Ran

_LONGEST = 32_000  # characters of each text in structured content: many clients show it to their model whole
_SCHEME = "codeact://outputs/"

RAN = {
    "type": "object",
    "properties": {
        "ok": {"type": "boolean", "description": "whether no exception and no limit ended the cell"},
        "value": {"type": ["string", "null"], "description": "repr of the last expression"},
        "stdout": {"type": "string"},
        "stderr": {"type": "string"},
        "error": {
            "type": ["object", "null"],
            "properties": {
                "type": {"type": "string"},
                "message": {"type": "string"},
                "traceback": {"type": "string"},
            },
            "required": ["type", "message", "traceback"],
        },
        "ended": {"type": "string", "description": "done, final_answer, timeout, memory, exit or signal"},
        "kept": {"type": "boolean", "description": "whether the variables of before are still there"},
        "final_answer": {"description": "the value given to final_answer, or null"},
        "seconds": {"type": "number"},
        "images": {"type": "integer", "description": "pictures, which are in the content"},
        "files": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "name": {"type": "string"},
                    "uri": {"type": "string"},
                    "type": {"type": "string"},
                    "size": {"type": "integer"},
                    "path": {"type": ["string", "null"]},
                },
                "required": ["name", "uri", "type", "size", "path"],
            },
        },
    },
    "required": [
        "ok", "value", "stdout", "stderr", "error", "ended", "kept", "final_answer", "seconds", "images", "files",
    ],
}  # fmt: skip


def text(words: str, structured: dict[str, Any] | None = None) -> CallToolResult:
    """Words, and what they say as data."""
    return CallToolResult(content=[TextContent(text=words)], structured_content=structured)


def failed(words: str) -> CallToolResult:
    """Why there is nothing, for the model to read."""
    return CallToolResult(content=[TextContent(text=words)], is_error=True)


def of_cell(ran: Ran, source: str, offer: Offer) -> CallToolResult:
    """What came of a cell: what a model of ours would be told, its pictures, and links to the files that it made."""
    outcome = ran.outcome
    words = observations.after_cell(
        ran.cell,
        outcome,
        limits=offer.policy.limits,
        delimiter=secrets.token_hex(4),
        known=map(call_of, offer.catalogue.specs),
        source=source,
    )
    if outcome.answer is not None:
        words += f"\n{_cut(str(outcome.answer.value))}"
    words += "".join(f"\nNot taken from outputs/: {inline(one.name)}: {inline(one.why)}" for one in ran.made.left_out)
    content: list[ContentBlock] = [TextContent(text=words)]
    content += [ImageContent(data=base64.b64encode(one.data).decode(), mime_type="image/png") for one in outcome.images]
    content += [link(file) for file in ran.made]
    return CallToolResult(content=content, structured_content=_as_data(ran), is_error=not outcome.ok)


def _as_data(ran: Ran) -> dict[str, Any]:
    outcome = ran.outcome
    error = outcome.error
    return {
        "ok": outcome.ok,
        "value": None if outcome.value is None else _cut(outcome.value),
        "stdout": _cut(outcome.stdout),
        "stderr": _cut(outcome.stderr),
        "error": error and {"type": error.type, "message": _cut(error.message), "traceback": _cut(error.traceback)},
        "ended": outcome.ended,
        "kept": outcome.kept,
        "final_answer": None if outcome.answer is None else by_the_table(outcome.answer.value),
        "seconds": round(outcome.seconds, 6),
        "images": len(outcome.images),
        "files": [described(file) | {"path": ran.places.get(file.name)} for file in ran.made],
    }


def described(file: File) -> dict[str, Any]:
    """A file of `outputs/`, as data."""
    return {"name": file.name, "uri": uri(file.name), "type": file.media_type, "size": len(file.data)}


def link(file: File) -> ResourceLink:
    """Where a client finds a file of `outputs/`."""
    return ResourceLink(
        name=file.name, uri=uri(file.name), mime_type=file.media_type, size=len(file.data), description=what(file)
    )


def uri(name: str) -> str:
    """The address of a file of `outputs/`."""
    return _SCHEME + quote(name)


def contents(file: File) -> TextResourceContents | BlobResourceContents:
    """A file as a resource: text where it is UTF-8 that somebody can read."""
    text = _text(file.data)
    if text is not None:
        return TextResourceContents(uri=uri(file.name), mime_type=file.media_type, text=text)
    data = base64.b64encode(file.data).decode()
    return BlobResourceContents(uri=uri(file.name), mime_type=file.media_type, blob=data)


def _text(data: bytes) -> str | None:
    try:
        return None if b"\0" in data else data.decode()
    except UnicodeDecodeError:
        return None


def of_file(file: File) -> CallToolResult:
    """A file as a model can take it: text as text, a picture as a picture, all else as bytes."""
    found = contents(file)
    block: ContentBlock
    if isinstance(found, TextResourceContents):
        block = TextContent(text=found.text)
    elif file.media_type in ("image/png", "image/jpeg", "image/gif", "image/webp"):
        block = ImageContent(data=found.blob, mime_type=file.media_type)
    else:
        block = EmbeddedResource(resource=found)
    return CallToolResult(content=[block])  # nothing as data: some clients show their model that alone


def _cut(words: str) -> str:
    if len(words) <= _LONGEST:
        return words
    half = _LONGEST // 2
    return f"{words[:half]}\n... {len(words) - 2 * half:,} characters left out ...\n{words[-half:]}"
