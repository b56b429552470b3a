"""The operations that an OpenAPI document describes, each as a tool."""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from ... import ports
from ...core.errors import UsageError, nearest
from ..names import group_name, mended
from ..schemas import DescribedTool
from .asking import Asker, StatusError
from .document import base_of, read
from .operations import Operation, operations_of

__all__ = ["StatusError", "tools"]

_log = logging.getLogger("codeact")


def tools(
    source: str | os.PathLike[str] | Mapping[str, Any],
    base_url: str | None,
    headers: Mapping[str, str],
    operations: Sequence[str] | None,
    seconds: float,
    group: str | None = None,
) -> list[ports.Tool]:
    """The tools of a document; what of it cannot be offered is left out, and said in the log."""
    document, came_from = read(source)
    base = base_of(document, came_from) if base_url is None else base_url
    _check(base, headers)
    info = document.get("info")
    title = str(info.get("title", "")) if isinstance(info, Mapping) else ""
    asker = Asker(base, headers, seconds)
    found: dict[str, Operation] = {}
    for one in operations_of(document, frozenset(name.lower() for name in headers)):
        if isinstance(one, str):
            _log.warning("left out of the tools: %s", one)
            continue
        found[mended(one.name, found, "call")] = one
    chosen = found if operations is None else _chosen(found, operations)
    group = group_name(title if group is None else group)
    return [
        DescribedTool(
            name,
            one.schema,
            functools.partial(asker.ask, one),
            doc=one.doc,
            returns=one.returns,
            group=group,
            reads=one.method in ("GET", "HEAD"),
        )
        for name, one in chosen.items()
    ]


def _chosen(found: Mapping[str, Operation], names: Sequence[str]) -> dict[str, Operation]:
    if isinstance(names, str):
        raise TypeError(f"operations={names!r}: write a list, operations=[{names!r}]")
    chosen = {}
    for name in names:
        matching = [ours for ours, one in found.items() if name in (ours, one.name)]
        if not matching:
            raise UsageError(f"there is no operation {name!r}{nearest(name, [*found])}")
        chosen[matching[0]] = found[matching[0]]
    return chosen


def _check(base: str, headers: Mapping[str, str]) -> None:
    try:
        parts = urlsplit(base)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and not (parts.query or parts.fragment)
    except ValueError:
        sound = False
    if not sound:
        raise UsageError("base_url must be http://HOST... or https://HOST..., without a query")
    for name, value in headers.items():
        if not isinstance(value, str) or not (value.isascii() and value.isprintable()):
            raise UsageError(f"headers: the value of {name!r} has characters that no header has")
