"""What a server answers, as values: structured content by its schema, else text, pictures and bytes as they are."""

from __future__ import annotations

import base64
import binascii
import importlib.util
import io
from collections.abc import Mapping
from typing import Any

from mcp_types import (
    AudioContent,
    BlobResourceContents,
    CallToolResult,
    EmbeddedResource,
    ImageContent,
    ResourceLink,
    TextContent,
    TextResourceContents,
)

_WRAPPED = "result"


def returned_schema(schema: Any) -> tuple[Any, bool]:
    """The schema of the value, and whether it comes wrapped: what is no object is sent as `{"result": ...}`."""
    if not isinstance(schema, Mapping):
        return None, False
    fields = schema.get("properties")
    if isinstance(fields, Mapping) and set(fields) == {_WRAPPED} and schema.get("required") == [_WRAPPED]:
        inner = fields[_WRAPPED]
        beside = {key: schema[key] for key in ("$defs", "definitions") if key in schema}
        return ({**inner, **beside} if isinstance(inner, Mapping) else {}), True
    return schema, False


def value_of(result: CallToolResult, *, structured: bool, wrapped: bool) -> Any:
    """The value of a call that went well. Text is never read as JSON unless the tool has a schema that says so."""
    if structured and result.structured_content is not None:
        content = result.structured_content
        return content[_WRAPPED] if wrapped and isinstance(content, dict) and set(content) == {_WRAPPED} else content
    parts = [_part(block) for block in result.content]
    if all(isinstance(part, str) for part in parts):
        return "\n".join(parts) if parts else None
    return parts[0] if len(parts) == 1 else parts


def words_of(result: CallToolResult) -> str:
    """What the server says of a call that went wrong."""
    said = "\n".join(block.text for block in result.content if isinstance(block, TextContent)).strip()
    return said or "the server says only that it failed"


def _part(block: Any) -> Any:
    match block:
        case TextContent():
            return block.text
        case ImageContent():
            return _picture(_bytes(block.data))
        case AudioContent():
            return _bytes(block.data)
        case EmbeddedResource(resource=TextResourceContents() as resource):
            return resource.text
        case EmbeddedResource(resource=BlobResourceContents() as resource):
            data = _bytes(resource.blob)
            return _picture(data) if (resource.mime_type or "").startswith("image/") else data
        case ResourceLink():
            return {"uri": str(block.uri), "name": block.name, "type": block.mime_type}
        case _:
            return str(block)


def _bytes(data: str) -> bytes:
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("the server sent bytes that are not base64") from None


def _picture(data: bytes) -> Any:
    """A picture as Pillow has it, as everywhere in the table of values; its bytes where that is not installed."""
    if importlib.util.find_spec("PIL") is None:
        return data
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(data)) as image:
            if image.width * image.height > 64_000_000:
                return data
            image.load()
            return image if image.mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16") else image.convert("RGB")
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError):
        return data
