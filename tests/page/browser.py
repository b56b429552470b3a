"""A real browser, looking at real pages: what it asked for, what it said, and what stands on the page."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

PICTURES = Path(__file__).parents[2] / ".pictures"  # of what was seen; not in git
FLAGS = [
    f"--{flag}"
    for flag in (
        "headless",
        "no-sandbox",
        "disable-gpu",
        "disable-quic",
        "no-first-run",
        "disable-background-networking",
        "disable-component-update",
        "disable-sync",
    )
]


@dataclass
class Tab:
    """A page in the browser, and what it did beside being drawn."""

    page: Any
    asked: list[str] = field(default_factory=list)  # addresses, but for those of data
    troubles: list[str] = field(default_factory=list)  # errors of scripts, and what the policy refused

    def texts(self, selector: str) -> list[str]:
        """What stands in these elements."""
        found: list[str] = self.page.locator(selector).all_inner_texts()
        return found

    def picture(self, name: str) -> None:
        """Keep what is seen now, for people to look at, where the checkout can be written to."""
        with suppress(OSError):
            PICTURES.mkdir(exist_ok=True)
            self.page.screenshot(path=PICTURES / f"{name}.png")


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser of its own, with nothing in it. The test that wants one is skipped where there is none."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("Debian package chromium is absent")
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with sync_api.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=program, args=FLAGS, env={**os.environ, "LC_ALL": "C.UTF-8"})
        try:
            yield started
        finally:
            started.close()


@contextmanager
def tab(browser: Any, **settings: Any) -> Iterator[Tab]:
    """A new tab of a visitor of its own."""
    context = browser.new_context(**{"viewport": {"width": 1200, "height": 900}, "locale": "en-GB", **settings})
    context.set_default_timeout(15_000)
    made = Tab(context.new_page())
    made.page.on("request", lambda one: None if one.url.startswith("data:") else made.asked.append(one.url))
    made.page.on("pageerror", lambda error: made.troubles.append(str(error)))
    made.page.on("console", lambda said: made.troubles.append(said.text) if said.type == "error" else None)
    try:
        yield made
    finally:
        context.close()
