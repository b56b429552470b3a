"""A run as one page that needs nothing else: no server, no network. It opens in any browser, and runs only our script.

The page draws what stands in it as data, a line of JSON for each entry; what draws it is the same as in `codeact
serve`. Its policy names its script and its style by their hash, and lets nothing be loaded, sent or framed.
"""

from __future__ import annotations

import base64
import hashlib
import heapq
import html
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from codeact.core.branch import run_of
from codeact.core.events import Entry, TaskGiven, ToolCalled
from codeact.core.untrusted import inline
from codeact.journals import codec
from codeact.ports import Store

_MOST = 1000  # runs of agents that one run asked
STATIC = Path(__file__).parent / "web" / "static"

_IMPORT = re.compile(r'^import (?:\{([^}]*)\}|(\w+)) from "\./([\w./]+)";$', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function|class|const) (\w+))", re.MULTILINE)
_DEFAULT = re.compile(r"export ?(?:default (\w+)|\{(\w+) as default\});?\s*$")


def page_of(store: Store, run: str) -> str:
    """The page of a run that is kept, and of the runs of the agents that it asked."""
    entries = family(store, run)
    title = next((entry.event.task for entry in entries if isinstance(entry.event, TaskGiven)), run)
    return page(map(codec.whole, entries), title)


def family(store: Store, run: str) -> list[Entry]:
    """The entries of a run and of those that its calls began, as they happened."""
    return list(heapq.merge(*_lists(store, run), key=lambda entry: entry.at))


def _lists(store: Store, run: str) -> list[list[Entry]]:
    own = list(store.entries(run))
    below = [run_of(entry.event.key) for entry in own if isinstance(entry.event, ToolCalled)]
    if hasattr(store, "runs"):
        below += [one.run for one in store.runs(limit=_MOST, parent=run)]
    found = [own]
    for one in dict.fromkeys(below):
        if store.has(one):
            found += _lists(store, one)
    return found


def page(entries: Iterable[dict[str, Any]], title: str) -> str:
    """The page of these entries, as `codec.whole` writes them: a run, and the runs below it."""
    script, style = joined("kept.js"), (STATIC / "style.css").read_text(encoding="utf-8")
    policy = "; ".join(
        [
            "default-src 'none'",
            f"script-src '{_hash(script)}'",
            f"style-src '{_hash(style)}'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        ]
    )
    data = "\n".join(json.dumps(entry, separators=(",", ":"), allow_nan=False) for entry in entries)
    return _PAGE.format(
        policy=html.escape(policy, quote=False),
        title=html.escape(inline(title, 80)),
        style=style,
        data=data.replace("<", "\\u003c"),  # so that nothing of it ends the element that it stands in
        script=script,
    )


_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<meta name="generator" content="codeact">
<title>{title}</title>
<style>{style}</style>
</head>
<body class="kept">
<main><noscript>This page draws a run with a script of its own: let it run.</noscript></main>
<script type="application/json" id="entries">{data}</script>
<script type="module">{script}</script>
</body>
</html>
"""


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def joined(name: str) -> str:
    """A module of ours and all that it imports, as one script: each in a scope of its own, in the order of need."""
    order: list[str] = []
    for one in _needed(name, ()):
        if one not in order:
            order.append(one)
    scopes = [_scope(one) for one in order]
    found = "\n".join(scopes)
    if re.search(r"</script|<!--", found, re.IGNORECASE):
        raise ValueError("a script that would end the element that it stands in")
    return found


def _needed(name: str, path: tuple[str, ...]) -> Iterator[str]:
    if name in path:
        raise ValueError(f"a circle of imports: {' -> '.join([*path, name])}")
    for _, _, other in _IMPORT.findall(_text(name)):
        yield from _needed(other, (*path, name))
    yield name


def _text(name: str) -> str:
    return (STATIC / name).read_text(encoding="utf-8")


def _scope(name: str) -> str:
    text = _IMPORT.sub(_bound, _text(name))
    names = _EXPORT.findall(text)
    text = _EXPORT.sub("", text)
    if found := _DEFAULT.search(text):
        text = text[: found.start()] + ";"
        names.append(f"default: {found[1] or found[2]}")
    return f"const {_variable(name)} = (() => {{\n{text}\nreturn {{ {', '.join(names)} }};\n}})();"


def _bound(found: re.Match[str]) -> str:
    names, default, name = found.groups()
    return f"const {f'{{{names}}}' if default is None else f'{{ default: {default} }}'} = {_variable(name)};"


def _variable(name: str) -> str:
    return "$" + re.sub(r"\W", "_", name.removesuffix(".js"))
