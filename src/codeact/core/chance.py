"""What in a cell's output is a measure of the process or the machine that it ran in, and so another each time.

Measures are memory, files' states, profiles and the numbers of threads. What is made of one is one, too: statement by
statement the names are followed to which it came.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Sequence

from .names import names, parsed

_MEASURES = re.compile(
    r"\bgc\.(?:collect|get_\w+)|\bget(?:refcount|sizeof|allocatedblocks|rusage)\b|tracemalloc|\bru_\w+|psutil|VmRSS"
    r"|[pP]rofile\b|\bpstats\b|\bmemory_usage\b|memory_info"
    r"|\bnative_id\b|get_native_id|\bgetp?pid\b"
    r"|\.ctypes\b|addressof|__array_interface__|\bid\s*\(|__hash__|\bhash\s*\("
    r"|\b[lf]?stat(?:vfs)?\(|\bst_\w+|\bget[acm]time\b|\bdisk_usage\b|\btarfile\b|make_archive|__sizeof__|getcount"
)
_LOGGED = re.compile(r"\brelativeCreated\b|%\(process\)")  # a logger comes to its handlers by no name
_NUMBER = re.compile(r"[-+]?\b(?:\d+(?:[.,]\d+)*(?:e[-+]?\d+)?|(?=[a-f]*\d)[0-9a-f]{8,16})\b")
_PROFILED = re.compile(r"^ +[\d/]+(?: +\d+\.\d{3}){4} .*\n?", re.M)  # a line of a profile: the longest come first


def measures(sources: Sequence[str]) -> bool:
    """Whether the last of these cells puts out what it, or one before it, has measured.

    >>> measures(["import sys", "size = sys.getsizeof([])", "print(f'{size} bytes')"])
    True
    >>> measures(["size = sys.getsizeof([])", "print(1 + 1)"])
    False
    """
    if any(map(_LOGGED.search, sources)):
        return True
    if not any(map(_MEASURES.search, sources)):
        return False
    measured: set[str] = set()
    *above, last = sources
    for source in above:
        tree = parsed(source)
        if tree is None:
            if _MEASURES.search(source):
                return True  # nobody can tell what became of it
            continue
        for statement in tree.body:
            _follow(statement, measured)
    return _MEASURES.search(last) is not None or bool(names(last).needed & measured)


def without_numbers(text: str) -> str:
    """The same with a mark in place of every number, without what lines them up, and without the lines of a profile.

    >>> without_numbers("used  1,024 bytes at 7fcdd3d47e40")
    'used # bytes at #'
    """
    return re.sub(r"[ \t-]+", " ", _NUMBER.sub("#", _PROFILED.sub("", text)))


def _follow(statement: ast.stmt, measured: set[str]) -> None:
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return
    text = ast.unparse(statement)
    here = names(text)
    if _MEASURES.search(text) or here.needed & measured:
        measured |= here.bound | set(_changed(statement))


def _changed(statement: ast.stmt) -> Iterable[str]:
    """The names of what a statement changes without binding it: `x` in `x.append(1)`, `x[0] = 1`, `x.y = 1`."""
    for node in ast.walk(statement):
        match node:
            case ast.Attribute(value=inner, ctx=ast.Store()) | ast.Subscript(value=inner, ctx=ast.Store()):
                yield from _root(inner)
            case ast.Expr(value=ast.Call(func=ast.Attribute(value=inner))):
                yield from _root(inner)
            case _:
                pass


def _root(node: ast.expr) -> Iterable[str]:
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    if isinstance(node, ast.Name):
        yield node.id
