"""Words as the shell of this platform takes them, and as people type them in lines of ours."""

from __future__ import annotations

import shlex
import sys

_MEAN_MORE = frozenset(' "&|<>^();,=%!@')  # to cmd or PowerShell


def quoted(word: str) -> str:
    """A word as it is typed."""
    if sys.platform == "win32":
        return f'"{word}"' if _MEAN_MORE & {*word} else word
    return shlex.quote(word)


def split(text: str) -> list[str]:
    """The words of a line. Raises ValueError where a quote is not closed; on Windows a backslash is of a path."""
    words = shlex.shlex(text, posix=True, punctuation_chars=False)
    words.whitespace_split = True
    words.commenters = ""
    if sys.platform == "win32":
        words.escape, words.quotes = "", '"'
    return list(words)
