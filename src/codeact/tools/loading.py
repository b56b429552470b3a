"""`--tools FILE.py[:NAME,...]`: the tools that a file of the user's defines."""

from __future__ import annotations

import importlib.util
import inspect
import re
import sys
import traceback
from collections.abc import Collection
from pathlib import Path
from types import ModuleType
from typing import Any

from ..core.errors import ToolDefinitionError, UsageError, nearest
from ..ports import Tool
from .function import as_tool, is_marked

_SPEC = re.compile(r"(?P<file>.*\.py)(?::(?P<names>.*))?", re.DOTALL)


def load(spec: str, known: Collection[str] = ()) -> list[Tool]:
    """The tools that a specification names; whatever is wrong with it, or in the file, is a UsageError.

    The file runs here, on the host, as a module of its own, its folder first on sys.path. Without names its tools are
    what `@tool` marks, or, where nothing is marked, every public function that is defined in it. `known` are the tools
    that have a name, for the error.
    """
    match = _SPEC.fullmatch(spec)
    if match is None:
        near = nearest(spec.partition(":")[0], known)
        named = f", or one of {', '.join(known)}" if known else ""
        raise UsageError(f"--tools {spec}: no tool is named {spec!r}{near}; give FILE.py, FILE.py:NAME,NAME{named}")
    path = Path(match["file"])
    names = None if match["names"] is None else [name.strip() for name in match["names"].split(",")]
    if names is not None and not all(names):
        raise UsageError(f"--tools {spec}: a name is missing; give FILE.py, or FILE.py:NAME,NAME")
    module = from_file(path)
    values = _offered(path, module) if names is None else [_named(path, module, name) for name in dict.fromkeys(names)]
    return [_tool(path, value) for value in values]


def from_file(path: Path) -> ModuleType:
    """The file, run here as a module of its own, once; whatever is wrong with it is a UsageError."""
    try:
        source = path.read_bytes()
        where = path.resolve()
    except (OSError, ValueError) as error:
        meant = f"; did you mean {path}.py?" if Path(f"{path}.py").is_file() else ""
        raise UsageError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}{meant}") from error
    loaded = next((m for m in list(sys.modules.values()) if _origin(m) == str(where)), None)
    if loaded is not None:
        return loaded
    folder = str(where.parent)
    if sys.path[:1] != [folder]:
        sys.path.insert(0, folder)
    name = where.stem if _is_free(where.stem, where) else f"{where.stem} ({where})"
    module = ModuleType(name)
    module.__file__ = str(where)
    module.__spec__ = importlib.util.spec_from_file_location(name, where)
    sys.modules[name] = module  # dataclasses and pydantic look a class's module up there
    try:
        exec(compile(source, str(where), "exec", dont_inherit=True), module.__dict__)
    except BaseException as error:
        del sys.modules[name]
        if isinstance(error, KeyboardInterrupt):
            raise
        raise UsageError(f"{path}{_line_of(error, where)}: {_said(error)}") from error
    return module


def _origin(module: Any) -> str | None:
    return getattr(getattr(module, "__spec__", None), "origin", None)


def _is_free(stem: str, where: Path) -> bool:
    """Whether `import stem` would give this file, so that the file and what it imports agree on what it is."""
    if stem in sys.modules or not stem.isidentifier():
        return False
    try:
        spec = importlib.util.find_spec(stem)
    except (ImportError, ValueError):
        return False
    return spec is not None and spec.origin == str(where)


def _line_of(error: BaseException, where: Path) -> str:
    if isinstance(error, SyntaxError) and error.filename == str(where):
        return f":{error.lineno}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(where)]
    return f":{lines[-1]}" if lines else ""


def _said(error: BaseException) -> str:
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _offered(path: Path, module: ModuleType) -> list[Any]:
    public = {name: value for name, value in vars(module).items() if not name.startswith("_")}
    marked = {id(value): value for value in public.values() if is_marked(value) and not inspect.isclass(value)}
    if marked:
        return list(marked.values())
    own = {id(v): v for v in public.values() if inspect.isfunction(v) and v.__module__ == module.__name__}
    if not own:
        raise UsageError(f"{path}: no tools in it: define a function, and mark it with @tool")
    return list(own.values())


def _named(path: Path, module: ModuleType, name: str) -> Any:
    if name in vars(module):
        return vars(module)[name]
    known = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
    raise UsageError(f"{path}: there is no {name!r} in it{nearest(name, known)}")


def _tool(path: Path, value: Any) -> Tool:
    try:
        return as_tool(value)
    except ToolDefinitionError as error:
        code = getattr(inspect.unwrap(value) if callable(value) else value, "__code__", None)
        line = f":{code.co_firstlineno}" if code is not None else ""
        raise UsageError(f"{path}{line}: {error}") from error
