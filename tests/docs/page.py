"""A page of Markdown as what can be run of it.

    ```python     runs; it may go on from the blocks before it on the page
    ```sh         each line that starts with `codeact` or `./run` runs; `# exits 1` behind it is its exit code, else 0
    ```text       right behind one of these: what it printed, where `...` stands for anything

Three conventions in HTML comments, which a reader of the page does not see, stand before a block:

    <!-- replies                the code that the model replies with, in turn, with a line `----` between
    <!-- texts                  its replies word for word, where it does not act in code
    <!-- not run: why -->       the block is an outline; it must still be Python
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent

_PIECE = re.compile(
    r"^<!-- (?P<kind>replies|texts)\n(?P<replies>.*?)\n-->$"
    r"|^<!-- not run: (?P<why>.+?) -->$"
    r"|^(?P<fence>`{3,})(?P<language>\w*)\n(?P<text>.*?)^(?P=fence)$",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True)
class Block:
    """Something to run: where it starts on its page, what the model replies meanwhile, what it must print."""

    language: str
    text: str
    line: int
    replies: tuple[str, ...] = ()
    prints: str | None = None
    outline: bool = False


def blocks_of(page: Path) -> list[Block]:
    """What can be run of a page, in order."""
    source = page.read_text(encoding="utf-8")
    found: list[Block] = []
    replies: tuple[str, ...] = ()
    outline = False
    end = 0
    for piece in _PIECE.finditer(source):
        near = not source[end : piece.start()].strip()
        end = piece.end()
        line = source.count("\n", 0, piece.start()) + 1
        if piece["replies"] is not None:
            said = piece["replies"].split("\n----\n")
            replies = tuple(said if piece["kind"] == "texts" else (f"```python\n{code}\n```" for code in said))
        elif piece["why"] is not None:
            outline = True
        elif piece["language"] in ("python", "sh"):
            found.append(Block(piece["language"], piece["text"], line + 1, replies, None, outline))
            replies, outline = (), False
        elif piece["language"] == "text" and near and found:
            found[-1] = replace(found[-1], prints=piece["text"])
    assert not replies, f"{page.name}: replies without a block"
    return found


def pages() -> list[Path]:
    """Every page that a reader is sent to."""
    return [ROOT / "README.md", ROOT / "SECURITY.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def rows_of(page: Path, heading: str) -> list[list[str]]:
    """The cells of the tables between a heading and the next one, without their headers."""
    source = page.read_text(encoding="utf-8")
    title = re.search(rf"^#+ {re.escape(heading)}$", source, re.MULTILINE)
    assert title, f"{page.name} has no heading {heading!r}"
    lines = re.split(r"^#+ ", source[title.end() :], maxsplit=1, flags=re.MULTILINE)[0].splitlines()
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for above, line in pairwise(lines)
        if above.startswith("|") and line.startswith("|") and not line.startswith("|--")
    ]


def names_in(cells: list[str]) -> set[str]:
    """What stands in code marks."""
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}
