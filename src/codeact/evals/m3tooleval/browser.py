"""The tools of the domain web_browsing: a browser of the pages of a small company, five lines at a time."""

from __future__ import annotations

from collections.abc import Mapping

_LINES = 5
_RULE = "-" * 10


class Browser:
    """It stands at one page, and remembers those that it came by."""

    def __init__(self, pages: Mapping[str, str], start: str = "/") -> None:
        self._pages = pages
        self._page = start
        self._before: list[str] = []
        self._top = 0  # the first line in view

    def click_url(self, url: str) -> str:
        url = url.replace("'", "")
        if url not in self._pages:
            return "[URL not found.]"
        self._before.append(self._page)
        return self._opened(url)

    def go_to_previous_page(self) -> str:
        return self._opened(self._before.pop()) if self._before else "[No previous page.]"

    def scroll_down(self) -> str:
        if self._top + _LINES >= len(self._content()):
            return "[Reached the bottom of the page.]\n"
        self._top += _LINES
        return self.view()

    def scroll_up(self) -> str:
        if self._top == 0:
            return "[Reached the top of the page.]\n"
        self._top -= _LINES
        return self.view()

    def view(self) -> str:
        content = self._content()
        name, number, pages = self._page, self._top // _LINES + 1, -(-len(content) // _LINES)
        lines = "\n".join(content[self._top : self._top + _LINES])
        return f"{_RULE}\n[Web Page Name: {name}]\n[Viewing page {number} of {pages}]\n\n{lines}\n{_RULE}"

    def _opened(self, page: str) -> str:
        self._page, self._top = page, 0
        return f"[Opened page: {page}]\n{self.view()}"

    def _content(self) -> list[str]:
        return self._pages[self._page].split("\n")
