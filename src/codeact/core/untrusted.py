"""Text that came from the guest, made fit to be read by a model or a person: nothing hidden in it, and never too long.

Control characters, terminal sequences, marks that reorder or hide text, and halves of surrogate pairs are shown as
Python would escape them. Letters that need a joiner (Persian, emoji) keep it.
"""

from __future__ import annotations

import re

_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad"
    "\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e0fff]"
)


def escaped(text: str) -> str:
    """The text with all that is unseen written out, such as `\\x1b`; a CRLF is a plain line end."""
    return _UNSEEN.sub(_written, text.replace("\r\n", "\n"))


def _written(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def inline(text: str, room: int = 200) -> str:
    """The text escaped and on one line, cut at its end."""
    line = " ".join(escaped(text[: 4 * room]).split())
    return line if len(line) <= room else line[: room - 3] + "..."


def bounded(text: str, room: int) -> str:
    """The text escaped; when that is longer than `room` its head and tail, with a line that counts what is missing."""
    if len(text) <= room:
        whole = escaped(text)
        if len(whole) <= room:
            return whole
    head, shown_first = _fit(text, room // 2)
    tail, shown_last = _fit(text[:shown_first:-1], room - room // 2, backward=True)
    missing = len(text) - shown_first - shown_last
    return f"{head}\n... {missing:,} characters left out; print less, or look at parts of it ...\n{tail}"


def _fit(text: str, room: int, backward: bool = False) -> tuple[str, int]:
    """As many characters as fit when escaped, to the end of a line if one is near; and how many those are."""
    shown: list[str] = []
    for char in text[:room]:
        written = escaped(char)
        room -= len(written)
        if room < 0:
            break
        shown.append(written)
    for back in range(1, min(len(shown), 200)):
        if shown[-back] == "\n":
            del shown[-back:]
            break
    return "".join(reversed(shown) if backward else shown), len(shown)
