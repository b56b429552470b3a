"""What a cell learns of an exception on the host: its class and message, and nothing of the host beside."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import tempfile
from collections.abc import Iterable
from urllib.parse import quote

from ..core.execution import Failure

MAX_MESSAGE = 4000
_DRIVE = re.compile(r"[A-Za-z]:[\\/]|\\\\")  # how a path of Windows begins
_SHORTEST_SECRET = 4  # masking shorter ones would turn every message into stars


class ToolStopped(Exception):
    """Carries what a tool raised beside `Exception` (SystemExit, KeyboardInterrupt ...) past loops and threads."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(f"the tool raised {type(error).__name__}" + (f": {_text(error)}" if _text(error) else ""))
        self.error = error


def host_paths() -> tuple[str, ...]:
    """The folders that would tell where and as whom we run."""
    places = {os.path.expanduser("~"), sys.prefix, sys.base_prefix, tempfile.gettempdir(), *map(str, sys.path)}
    with contextlib.suppress(OSError):  # it may have been removed under us
        places.add(os.getcwd())
    places |= {os.path.realpath(place) for place in places}
    return tuple(sorted(place for place in places if os.path.isabs(place) and place != os.path.dirname(place)))


def failure_of(error: BaseException, secrets: Iterable[str] = (), paths: Iterable[str] | None = None) -> Failure:
    """The class name and the bounded message; known secrets and paths under the host's folders are masked.

    Neither traceback nor cause nor context crosses. What is no `Exception` would end the cell, or look like the
    user's interrupt, if it were raised again there: it comes as a RuntimeError that names it.
    """
    if not isinstance(error, Exception):
        error = ToolStopped(error)
    kind = "RuntimeError" if isinstance(error, ToolStopped) else type(error).__name__
    text = _text(error)
    message = mask(text[: 16 * MAX_MESSAGE], secrets, host_paths() if paths is None else paths)
    if len(message) > MAX_MESSAGE:
        message = f"{message[:MAX_MESSAGE]} ... ({len(text) - MAX_MESSAGE:,} more characters)"
    return Failure(kind, message)


def mask(text: str, secrets: Iterable[str], paths: Iterable[str]) -> str:
    """The text without the secrets, and with the host's paths cut to their last part: `<host>/data.csv`."""
    forms = {form for secret in secrets if len(secret) >= _SHORTEST_SECRET for form in _forms(secret)}
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, "***")
    folders = {path.rstrip("\\/" if _DRIVE.match(path) else "/") for path in paths}
    for folder in sorted(folders - {""}, key=len, reverse=True):
        text = _without(text, folder)
    return text


def _without(text: str, path: str) -> str:
    """The text without this path; one of Windows also as a repr shows it, with slashes, or in other letters."""
    windows = _DRIVE.match(path)
    slash = r"[\\/]+" if windows else "/"
    named = slash.join(map(re.escape, re.split(slash, path)))
    start = rf"(?<![\w.-]){named}"
    found = rf"""(?<=(["'])){start}({slash}[^"'\n]*)?(?=\1)|{start}({slash}[^\s"':;,)\]}}>]*)?(?![\w-]|\.\w)"""

    def shorten(match: re.Match[str]) -> str:
        parts = [part for part in re.split(slash, match[2] or match[3] or "") if part]
        return f"<host>/{parts[-1]}" if parts else "<host>"

    return re.sub(found, shorten, text, flags=re.IGNORECASE if windows else 0)


def _forms(secret: str) -> set[str]:
    """A secret as it is, as a repr shows it, and as a URL carries it."""
    return {secret, repr(secret)[1:-1], quote(secret), quote(secret, safe="")}


def _text(error: BaseException) -> str:
    """Its message; the exception's class is the tool's own code and may fail at telling it."""
    try:
        text = str(error)
        if isinstance(error, BaseExceptionGroup):
            inner = [f"{type(one).__name__}: {_text(one)}" for one in error.exceptions[:10]]
            text = "; ".join([text, *inner])
    except Exception:  # whatever the class does wrong, the cell gets its name
        return "(its message cannot be shown)"
    return text
