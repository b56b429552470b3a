"""`wikipedia_search`: articles of a Wikipedia by their beginnings."""

from __future__ import annotations

from collections.abc import Mapping

from ...ports import Tool
from ..function import as_tool, tool
from .web import Web


def wikipedia_search(*, base_url: str = "https://en.wikipedia.org", web: Web | None = None) -> Tool:
    """A tool that looks up a Wikipedia, or another wiki of its kind, such as `https://de.wikipedia.org`."""
    reached = web or Web()

    @tool(idempotent=True)
    async def wikipedia_search(query: str, count: int = 3) -> list[dict[str, str]]:
        """Look up Wikipedia: a list of dicts of title, url and summary, the best first.

        Args:
            query: a few words, or a title
            count: how many articles at most, up to 20
        """
        if not query.strip():
            raise ValueError("the query is empty")
        asked = {
            "action": "query",
            "format": "json",
            "formatversion": "2",
            "generator": "search",
            "gsrsearch": query,
            "gsrlimit": str(max(1, min(count, 20))),
            "prop": "extracts|info",
            "exintro": "1",
            "explaintext": "1",
            "exlimit": "max",
            "inprop": "url",
        }
        found = await reached.json(f"{base_url.rstrip('/')}/w/api.php", asked)
        pages = found.get("query", {}).get("pages", []) if isinstance(found, Mapping) else []
        rows = sorted((page for page in pages if isinstance(page, Mapping)), key=lambda page: page.get("index", 0))
        return [
            {"title": str(row.get("title")), "url": str(row.get("fullurl")), "summary": str(row.get("extract", ""))}
            for row in rows
        ]

    return as_tool(wikipedia_search)
