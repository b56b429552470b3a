"""The site of the docs: it is built as `./run docs` builds it, loads nothing from elsewhere, and leads somewhere."""

from __future__ import annotations

import functools
import http.server
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path

import pytest

import codeact
from codeact.faces.cli import COMMANDS
from docs.page import ROOT, pages
from page.browser import chromium, tab

pytest.importorskip("zensical", reason="zensical is not installed")
# What a browser fetches by itself, without anybody clicking.
LOADED = {
    "script": "src",
    "img": "src",
    "iframe": "src",
    "source": "src",
    "video": "src",
    "link": "href",
    "use": "href",
}


class Page(HTMLParser):
    """What a page loads, links to, and can be linked at."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.places: set[str] = set()
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if place := given.get("id"):
            self.places.add(place)
        if (address := given.get(LOADED.get(tag, ""))) and given.get("rel") != "canonical":
            self.loads.append(address)
        if tag == "a" and (address := given.get("href")):
            self.links.append(address)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built where there is no network, if this machine can take it away."""
    target = tmp_path_factory.mktemp("docs") / "site"
    cut = ["unshare", "-n"] if os.geteuid() == 0 else ["unshare", "-rn"]
    if shutil.which("unshare") is None or subprocess.run([*cut, "true"], capture_output=True, check=False).returncode:
        cut = []
    words = [*cut, sys.executable, ROOT / "docs/site/build.py", target]
    done = subprocess.run(words, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stderr
    return target


@pytest.fixture(scope="module")
def built(site: Path) -> dict[str, Page]:
    return {page.name: Page(page.read_text(encoding="utf-8")) for page in site.glob("*.html") if page.stem != "404"}


def test_every_page_of_the_docs_is_on_the_site_and_in_its_navigation(built: dict[str, Page]) -> None:
    named = {"README": "index", "SECURITY": "security", "CONTRIBUTING": "contributing"}
    wanted = {f"{named.get(page.stem, page.stem)}.html" for page in pages()}
    assert wanted <= built.keys()
    how_to = {link.partition("#")[0].removeprefix("./") for link in built["guide.html"].links}
    settings = (ROOT / "docs/site/zensical.toml").read_text(encoding="utf-8")
    assert wanted <= how_to | {f"{name}.html" for name in re.findall(r'"([\w-]+)\.md"', settings)}


def test_nothing_is_loaded_from_elsewhere(site: Path, built: dict[str, Page]) -> None:
    for name, page in built.items():
        assert page.loads, name
        assert [address for address in page.loads if re.match(r"(\w+:)?//|https?:", address)] == [], name
        assert "Content-Security-Policy" in (site / name).read_text(encoding="utf-8"), name
    for style in site.rglob("*.css"):
        text = style.read_text(encoding="utf-8")
        assert re.findall(r"url\(\s*[\"']?(?:https?:)?//[^)]*|@import[^;]*", text) == [], style.name


def test_every_link_and_every_anchor_leads_somewhere(site: Path, built: dict[str, Page]) -> None:
    broken = []
    for name, page in built.items():
        for link in page.links:
            if re.match(r"https?:", link):
                continue
            path, _, place = link.partition("#")
            there = path.removeprefix("./") or name
            if there == ".":
                there = "index.html"
            if not (site / there).is_file() or (place and there in built and place not in built[there].places):
                broken.append(f"{name}: {link}")
    assert broken == []


def test_the_reference_has_every_public_name_and_every_command(built: dict[str, Page]) -> None:
    assert {name.lower() for name in codeact.__all__} <= built["python.html"].places
    assert {f"codeact-{name}" for name in COMMANDS} <= built["help.html"].places


@contextmanager
def at_hand(folder: Path) -> Iterator[str]:
    class Silent(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_told: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Silent, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def test_a_browser_reads_and_searches_the_site_and_asks_nobody_else(site: Path) -> None:
    with chromium() as browser, at_hand(site) as address, tab(browser) as seen:
        seen.page.goto(f"{address}index.html")
        seen.picture("docs-welcome")
        seen.page.goto(f"{address}guide.html")
        seen.picture("docs-guide")
        seen.page.locator("button.md-search__button").click()
        seen.page.locator("input:visible").first.fill("landlock")
        seen.page.locator("a[href*='security.html']:visible").first.wait_for()
        seen.picture("docs-search")
        seen.page.set_viewport_size({"width": 400, "height": 800})
        seen.page.goto(f"{address}limits.html")
        seen.picture("docs-narrow")
        assert seen.page.evaluate("document.documentElement.scrollWidth") <= 400
        assert [one for one in seen.asked if not one.startswith((address, "blob:"))] == []
        assert seen.troubles == []
