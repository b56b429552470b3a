"""`fetch`: what lies at an address, as the value that it is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ...ports import Tool
from ..function import as_tool, tool
from .web import Web


def fetch(*, allow: Sequence[str] = (), seconds: float = 30.0, largest: int = 5 << 20, web: Web | None = None) -> Tool:
    """A tool that reads an address of the web; `allow` names hosts that are not on the internet."""
    reached = web or Web(allow, seconds=seconds, largest=largest)

    @tool(idempotent=True)
    async def fetch(url: str) -> dict[str, Any]:
        """Read an address of the web: a dict of url, type and content.

        The content is decoded JSON, str for any other text, or bytes.

        Args:
            url: begins with http:// or https://
        """
        page = await reached.get(url)
        content: Any = page.body
        if page.type == "application/json" or page.type.endswith("+json"):
            try:
                content = json.loads(page.body)
            except (ValueError, RecursionError):
                content = page.text
        elif page.type.startswith("text/") or page.type.endswith(("xml", "javascript")):
            content = page.text
        return {"url": page.url, "type": page.type, "content": content}

    return as_tool(fetch)
