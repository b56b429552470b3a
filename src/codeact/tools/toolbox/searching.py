"""`web_search`: by the engines that `ddgs` asks, or by a SearXNG of one's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from ddgs import DDGS
from ddgs.exceptions import DDGSException

from ...core.errors import UsageError
from ...ports import Tool
from ..function import as_tool, tool
from ..threads import in_thread
from .web import Web

_SECONDS = 30


def web_search(*, base_url: str | None = None, proxy: str | None = None, web: Web | None = None) -> Tool:
    """A tool that searches the web.

    `base_url` is a SearXNG server of yours that gives JSON; else ddgs asks the engines that it knows, by `proxy` if
    one is named.
    """
    own = _web_of(base_url) if base_url is not None and web is None else web

    @tool(idempotent=True)
    async def web_search(query: str, count: int = 10) -> list[dict[str, str]]:
        """Search the web: a list of dicts of title, url and text.

        Args:
            query: a few words
            count: how many results at most, up to 50
        """
        if not query.strip():
            raise ValueError("the query is empty")
        count = max(1, min(count, 50))
        if base_url is not None:
            assert own is not None
            found = await own.json(f"{base_url.rstrip('/')}/search", {"q": query, "format": "json"})
            rows = found.get("results") if isinstance(found, Mapping) else None
            return _rows(rows if isinstance(rows, list) else [], "url", "content")[:count]
        return _rows(await in_thread(lambda: _asked(query, count, proxy)), "href", "body")

    return as_tool(web_search)


def _web_of(base_url: str) -> Web:
    """The way to the server that the user named, wherever it is."""
    try:
        parts = urlsplit(base_url)
        host, port = parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https") or parts.query:
        raise UsageError("web_search: base_url must be http://HOST... or https://HOST...")
    return Web([f"[{host}]:{port}" if ":" in host else f"{host}:{port}"])


def _asked(query: str, count: int, proxy: str | None) -> Sequence[Any]:
    try:
        found: list[Any] = DDGS(proxy=proxy, timeout=_SECONDS).text(query, max_results=count)
        return found
    except DDGSException as error:
        words = str(error)
        if "No results" in words:
            return []
        raise ConnectionError(f"no search engine answers: {words[:300]}") from None


def _rows(found: Sequence[Any], url: str, text: str) -> list[dict[str, str]]:
    return [
        {"title": str(row.get("title", "")), "url": str(row.get(url, "")), "text": str(row.get(text, ""))}
        for row in found
        if isinstance(row, Mapping)
    ]
