"""Text of a model or of code, made safe to show: what would move the cursor, colour or reorder is escaped.

Without this, output could draw a fake prompt, set the clipboard (OSC 52), or turn code around on the screen
(CVE-2021-42574).
"""

from __future__ import annotations

import unicodedata

_KEPT = "\n\t"
_HIDDEN = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))
_JOINER = "\u200d"  # holds emoji together and reorders nothing


def visible(text: str) -> str:
    """The text with every control, format and surrogate character written as an escape; a CRLF is a line's end."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_seen, text.replace("\r\n", "\n")))


def _seen(char: str) -> str:
    if char.isprintable() or char in _KEPT or char == _JOINER or unicodedata.category(char) not in _HIDDEN:
        return char
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
