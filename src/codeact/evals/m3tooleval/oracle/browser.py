"""What to do in the domain web_browsing.

By calls: the shortest way along links that have been seen, straight to the page where the answer stands. By code: all
pages are read in one cell, since what is not known yet cannot be gone to straight.
"""

from __future__ import annotations

import re
from typing import Any

from .asking import tool

click_url = tool("click_url", text=True, alone=True)
scroll_down = tool("scroll_down", text=True, alone=True)
view = tool("view", text=True, alone=True)
calculator = tool("calculator")


# -- by code: the text of these is what the model writes ---------------------------------------------------------------


def read_all() -> list[str]:
    pages: dict[str, str] = {}
    waiting = [""]
    while waiting:
        url = waiting.pop()
        text = click_url(url) if url else view()
        if "not found" in text:
            text = click_url(url.replace("_", "-"))
        while "[Reached" not in (more := scroll_down()):
            text += more
        pages[url] = text
        waiting += [link for link in re.findall(r"Clickable '([^']+)'", text) if link not in pages]
    return list(pages.values())


def read_prices(items: list[str]) -> Any:
    shop = "\n".join(read_all())
    prices = dict(re.findall(r"Item: (.+)\n.*\nPrice: [$]([\d.]+)", shop))
    return sum([float(prices[item]) for item in items])


def read_discounted(items: list[str]) -> Any:
    shop = "\n".join(read_all())
    prices = dict(re.findall(r"Item: (.+)\n.*\nPrice: [$]([\d.]+)", shop))
    return sum([float(prices[item]) for item in items]) * 0.9


def read_line(place: str, pattern: str) -> Any:
    page = next(page for page in read_all() if place in page)
    return re.findall(pattern, page)[0]


def read_count(place: str) -> Any:
    return len([page for page in read_all() if place in page])


# -- by calls ----------------------------------------------------------------------------------------------------------


class Walk:
    """A way through the pages: a link is taken once it has been seen, also from another page."""

    def __init__(self) -> None:
        self._seen: str = view()

    def to(self, *urls: str) -> str:
        """Open these pages one after the other; gives what is in view then."""
        shown = ""
        for url in urls:
            while f"'{url}'" not in self._seen:
                self._seen += scroll_down()
            shown = click_url(url)
            if "not found" in shown:
                shown = click_url(url.replace("_", "-"))
            self._seen += shown
        return shown


def walk_total(items: list[str], factor: float) -> Any:
    walk, opened, prices = Walk(), set(), []
    walk.to("/products")
    for item in items:
        slug = item.lower().replace(" ", "_")
        kind = "/products/" + slug.partition("_")[2]
        if kind not in opened:
            walk.to(kind)
        opened.add(kind)
        prices.append(_find(r"Price: \$([\d.]+)", walk.to(f"{kind}/{slug}")))
    if len(prices) == 1:
        return float(prices[0])
    added = " + ".join(prices)
    return calculator(added if factor == 1 else f"({added}) * {factor}")


def walk_line(way: list[str], pattern: str) -> Any:
    return _find(pattern, Walk().to(*way))


def walk_count(way: list[str]) -> Any:
    walk = Walk()
    text = walk.to(*way)
    while "[Reached" not in (more := scroll_down()):
        text += more
    return len(re.findall(r"\[Clickable '", text))


def _find(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    return found[1] if found else ""
