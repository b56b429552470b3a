"""An agent as a file that people can read: its arguments, by name. What lives in a process is named, never copied.

A value stands as itself where JSON has it. Anything else is an object with one key that says what it is: `import` (a
function or class, by module and name), `file` (the same, in a file), `codeact` (a value of ours), `agent` (another
agent), `dict`, and `any_of`, `literal` and `of` for types. What is none of these is refused, with its place.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import math
import os
import re
import sys
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from .. import assemble
from ..core.addresses import without_password
from ..core.errors import UsageError, nearest

NAME = "agent.json"
FORMAT = 1
_LARGEST = 16 << 20  # bytes of a file
_DEEPEST = 64
_KEYS = ("format", "codeact", "agent", "arguments", "given_at_load")
_PLACE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")
_PATHS = {"python", "mounts"}
Kinds = Mapping[str, Callable[..., Any]]


def save(folder: str | os.PathLike[str], agent: Any, leave_out: Sequence[str] = ()) -> Path:
    """Write an agent, which knows what it was given, into the folder, and say where. Raises UsageError."""
    if isinstance(leave_out, str):
        raise TypeError(f"leave_out={leave_out!r}: write a list, leave_out=[{leave_out!r}]")
    for name in leave_out:
        if name not in agent._given:
            raise UsageError(f"leave_out: there is no argument {name!r}{nearest(name, agent._given)}")
    document = _agent(agent, leave_out, "")
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    for secret in (*agent.secrets, *assemble.keys()):
        if secret and json.dumps(secret, ensure_ascii=False)[1:-1] in text:
            raise UsageError("one of the secrets stands in an argument of this agent: a saved agent holds none")
    path = Path(folder, NAME)
    beside = path.with_name(f".{NAME}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(text, encoding="utf-8", errors="surrogatepass", newline="\n")
        beside.replace(path)
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: cannot be written: {getattr(error, 'strerror', None) or error}") from None
    return path


def load(folder: str | os.PathLike[str], kinds: Kinds, given: Mapping[str, Any]) -> Any:
    """The agent that was saved there; what is given stands in place of what was saved. Raises UsageError."""
    path = Path(folder, NAME)
    try:
        with open(path, "rb") as file:
            text = file.read(_LARGEST + 1)
        document = json.loads(text if len(text) <= _LARGEST else "")
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (ValueError, RecursionError):
        raise UsageError(f"{path}: this is not the JSON of a saved agent") from None
    try:
        return _Reader(kinds, given.get("secrets")).agent(document, given, "")
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None


# -- to a file ---------------------------------------------------------------------------------------------------------


def _agent(agent: Any, leave_out: Sequence[str], place: str) -> dict[str, Any]:
    kind, version = type(agent), import_module("codeact").__version__
    if not kind.__module__.startswith("codeact."):
        raise UsageError(f"{place}{kind.__name__} is a class of yours, whose agents cannot be saved: save a CodeAgent")
    usual = {name: one.default for name, one in inspect.signature(kind.__init__).parameters.items()}
    given = {name: one for name, one in agent._given.items() if not _same(one, usual.get(name, inspect.Parameter))}
    beside = [name for name in agent._given if name in leave_out or (name == "secrets" and name in given)]
    arguments = {name: _value(one, f"{place}{name}", name, 0) for name, one in given.items() if name not in beside}
    return {
        "format": FORMAT,
        "codeact": version,
        "agent": kind.__name__,
        "arguments": arguments,
        "given_at_load": beside,
    }


def _same(value: Any, usual: Any) -> bool:
    if value is usual or (isinstance(value, list | tuple) and not value and usual == ()):
        return True
    return type(value) is type(usual) and isinstance(value, str | int | float) and bool(value == usual)


def _value(value: Any, place: str, argument: str, depth: int) -> Any:
    if depth > _DEEPEST:
        raise UsageError(f"{place}: nested too deeply to be saved")
    match value:
        case None | bool() | int():
            return value
        case float() if math.isfinite(value):
            return value
        case str():
            return _text(value, argument)
        case Path():
            return os.path.abspath(value)
        case list() | tuple():
            return [_value(one, f"{place}[{at}]", argument, depth + 1) for at, one in enumerate(value)]
        case set() | frozenset():
            return [_value(one, place, argument, depth + 1) for one in sorted(value, key=repr)]
        case dict() if all(isinstance(key, str) for key in value):
            return {"dict": {key: _value(one, f"{place}[{key!r}]", argument, depth + 1) for key, one in value.items()}}
    if hasattr(value, "_given"):
        return {"agent": _agent(value, (), f"{place}.")}
    if dataclasses.is_dataclass(value) and type(value).__module__.startswith("codeact."):
        fields = {
            field.name: _value(getattr(value, field.name), f"{place}.{field.name}", argument, depth + 1)
            for field in dataclasses.fields(value)
            if field.init and getattr(value, field.name) != field.default
        }
        return {"codeact": f"{type(value).__module__.removeprefix('codeact.')}:{type(value).__qualname__}", **fields}
    return _type(value, place, argument, depth) or _named(value, place, argument)


def _text(text: str, argument: str) -> str:
    """A path is written whole: it means the same wherever the agent is loaded."""
    if argument == "tools" and (found := re.match(r"(.+?\.py|read_file:.+?)(:[\w,]+)?$", text)):
        head, path = ("read_file:", found[1][10:]) if found[1].startswith("read_file:") else ("", found[1])
        return f"{head}{os.path.abspath(path)}{found[2] or ''}"
    if argument == "journal" and without_password(text) != text:
        raise UsageError("journal: its password is not saved: leave_out=['journal'], or keep it in ~/.pgpass")
    if argument == "model" and text.startswith("replay:"):
        return f"replay:{os.path.abspath(text.removeprefix('replay:'))}"
    if argument in _PATHS:
        return os.path.abspath(os.path.expanduser(text))
    return text


def _type(value: Any, place: str, argument: str, depth: int) -> dict[str, Any] | None:
    """A type that is made of others."""
    origin, parts = typing.get_origin(value), typing.get_args(value)

    def each() -> list[Any]:
        return [_value(one, place, argument, depth + 1) for one in parts]

    if origin in (typing.Union, types.UnionType):
        return {"any_of": each()}
    if origin is typing.Literal:
        return {"literal": each()}
    if origin is not None and origin is not typing.Annotated:
        return {"import": f"{origin.__module__}:{origin.__qualname__}", "of": each()}
    if value is type(None):
        return {"literal": [None]}
    return {"import": "builtins:Ellipsis"} if value is ... else None


def _named(value: Any, place: str, argument: str) -> dict[str, Any]:
    """A function, a class, or an object of a module, by its name there."""
    home, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    module = sys.modules.get(home) if isinstance(home, str) else None
    if name is None:  # no function and no class: an object, which some module may hold by a name
        module, name = _held(value, module)
    what = f"{name or type(value).__name__}"
    if getattr(module, "__name__", "") == "__main__":
        why = "is of the program that runs. Put it into a module of its own, and import it from there"
    elif module is None or name is None or _found(module, name) is not value:
        why = "has no name in a module: it is a lambda, a partial, made in a function, or alive in this process. "
        why += f"Name it in a module, or leave it out and give it again: save(..., leave_out=[{argument!r}])"
    elif re.fullmatch(r"[\w.]+", module.__name__):
        return {"import": f"{module.__name__}:{name}"}
    else:
        return {"file": f"{os.path.abspath(module.__file__ or '')}:{name}"}
    raise UsageError(f"{place} cannot be saved: {what} {why}")


def _held(value: Any, home: Any) -> tuple[Any, str | None]:
    """The module that holds this object, and its name there; its class's own module first."""
    for module in (home, *list(sys.modules.values())):
        for name, one in list(getattr(module, "__dict__", {}).items()):
            if one is value and not name.startswith("_"):
                return module, name
    return home, None


def _found(module: Any, name: str) -> Any:
    for part in name.split("."):
        module = getattr(module, part, None)
    return module


# -- from a file -------------------------------------------------------------------------------------------------------


class _Reader:
    """What a document says, made again."""

    def __init__(self, kinds: Kinds, secrets: Any) -> None:
        self._kinds = kinds
        self._secrets = secrets

    def agent(self, document: Any, given: Mapping[str, Any], place: str) -> Any:
        if not isinstance(document, dict) or "format" not in document:
            raise UsageError("this is no saved agent")
        _check_keys(document, _KEYS, place)
        if document["format"] != FORMAT:
            raise UsageError(f"this is of format {document['format']!r}, and this version of codeact reads {FORMAT}")
        kind, arguments, beside = document.get("agent"), document.get("arguments"), document.get("given_at_load", [])
        if not isinstance(kind, str) or kind not in self._kinds:
            raise UsageError(f"there is no agent {kind!r}{nearest(str(kind), self._kinds)}")
        if not isinstance(arguments, dict) or not isinstance(beside, list):
            raise UsageError(f"{place or 'it'}: `arguments` is an object, and `given_at_load` a list")
        if place and self._secrets is not None:
            given = {"secrets": self._secrets}
        for name in beside:
            if name not in given:
                raise UsageError(f"{name} is not saved: give it again, load(..., {name}=...)")
        made = {
            name: self._value(value, f"{place}{name}") for name, value in arguments.items() if name not in given
        } | dict(given)
        try:
            return self._kinds[kind](**made)
        except TypeError as error:
            raise UsageError(f"{place}{error}") from None

    def _value(self, value: Any, place: str) -> Any:
        match value:
            case list():
                return [self._value(one, f"{place}[{at}]") for at, one in enumerate(value)]
            case {"dict": dict(held)}:
                _check_keys(value, ("dict",), place)
                return {key: self._value(one, f"{place}[{key!r}]") for key, one in held.items()}
            case {"agent": held}:
                _check_keys(value, ("agent",), place)
                return self.agent(held, {}, f"{place}.")
            case {"codeact": str(name), **fields}:
                return self._ours(name, fields, place)
            case {"any_of": list(parts)}:
                return typing.Union[tuple(self._value(one, place) for one in parts)]  # noqa: UP007
            case {"literal": [None]}:
                return None
            case {"literal": list(parts)}:
                return typing.Literal[tuple(self._value(one, place) for one in parts)]
            case {"import": "builtins:Ellipsis"}:
                return ...
            case {"import": str(name), "of": list(parts)}:
                return _imported(name, place)[tuple(self._value(one, place) for one in parts)]
            case {"import": str(name)}:
                _check_keys(value, ("import", "of"), place)
                return _imported(name, place)
            case {"file": str(name)}:
                _check_keys(value, ("file",), place)
                return assemble.named_object(name)
            case dict():
                known = ("import", "file", "codeact", "agent", "dict", "any_of", "literal")
                key = next(iter(value), "")
                raise UsageError(f"{place}: it does not say what {key!r} is{nearest(key, known)}")
            case _:
                return value

    def _ours(self, name: str, fields: Mapping[Any, Any], place: str) -> Any:
        kind = _imported(f"codeact.{name}", place)
        if not (isinstance(kind, type) and dataclasses.is_dataclass(kind)):
            raise UsageError(f"{place}: {name} is no value of codeact")
        known = [field.name for field in dataclasses.fields(kind) if field.init]
        _check_keys(fields, known, place)
        made = {key: self._value(one, f"{place}.{key}") for key, one in fields.items()}
        tuples = {key: tuple(one) if isinstance(one, list) else one for key, one in made.items()}
        return kind(**tuples)


def _imported(name: str, place: str) -> Any:
    if not _PLACE.fullmatch(name):
        raise UsageError(f"{place}: {name!r} is not of the form MODULE:NAME")
    home, _, path = name.partition(":")
    try:
        found: Any = import_module(home)
    except ImportError as error:
        raise UsageError(f"{place}: {home} cannot be imported here ({error}): put its folder on PYTHONPATH") from None
    for part in path.split("."):
        if not hasattr(found, part):
            raise UsageError(f"{place}: there is no {path!r} in {home}{nearest(part, dir(found))}")
        found = getattr(found, part)
    return found


def _check_keys(document: Mapping[str, Any], known: Sequence[str], place: str) -> None:
    for key in document:
        if key not in known:
            where = f"{place.rstrip('.')}: " if place else ""
            raise UsageError(f"{where}there is no key {key!r}{nearest(key, known)}")
