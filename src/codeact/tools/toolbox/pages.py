"""`visit_webpage`: a page of the web as Markdown, a part at a time."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from bs4 import BeautifulSoup
from markdownify import MarkdownConverter

from ...ports import Tool
from ..function import as_tool, tool
from ..threads import in_thread
from .web import Page, Web

_PART = 40_000  # characters
_UNREAD = ["script", "style", "noscript", "template", "svg", "iframe", "head"]


def visit_webpage(*, allow: Sequence[str] = (), seconds: float = 30.0, web: Web | None = None) -> Tool:
    """A tool that reads pages as Markdown; `allow` names hosts that are not on the internet."""
    reached = web or Web(allow, seconds=seconds)

    @tool(idempotent=True)
    async def visit_webpage(url: str, start: int = 0) -> str:
        """Read a page of the web as Markdown, at most 40,000 characters of it from `start` on.

        Args:
            url: begins with http:// or https://
            start: where to go on in a long page
        """
        page = await reached.get(url, accept="text/html, text/*;q=0.9, */*;q=0.1")
        text = await in_thread(lambda: markdown_of(page))
        first = max(0, start)
        part, rest = text[first : first + _PART], len(text) - first - _PART
        return f"{part}\n\n[{rest:,} more characters: start={first + _PART}]" if rest > 0 else part

    return as_tool(visit_webpage)


def markdown_of(page: Page) -> str:
    """The text of a page; what is no text is a ValueError."""
    if page.type not in ("text/html", "application/xhtml+xml", ""):
        if page.type.startswith("text/") or page.type.endswith(("json", "xml")):
            return page.text
        raise ValueError(f"it is no page but {page.type[:100]!r}: fetch gives its bytes")
    try:
        soup: Any = BeautifulSoup(page.body, "html.parser", from_encoding=page.charset)
        title = soup.title.get_text(" ", strip=True) if soup.title else ""
        for unread in soup(_UNREAD):
            unread.decompose()
        text: str = MarkdownConverter(heading_style="ATX", bullets="-").convert_soup(soup)
    except (RecursionError, LookupError, AssertionError):
        raise ValueError("the page is too tangled to be read as text: fetch gives its source") from None
    text = re.sub(r"[ \t]+\n", "\n", text)
    text = re.sub(r"\n{3,}", "\n\n", text).strip()
    return f"# {title}\n\n{text}" if title and not text.startswith("# ") else text
