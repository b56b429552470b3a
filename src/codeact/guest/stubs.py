"""From a tool's specification to an ordinary function, with its signature and docstring, that is answered outside."""

from __future__ import annotations

import ast
import datetime
import decimal
import inspect
import keyword
import typing
from collections.abc import Callable
from typing import Any, cast

from .calls import Calls

_EMPTY = inspect.Parameter.empty
_TYPES: dict[str, Any] = {**vars(typing), "datetime": datetime, "decimal": decimal, "Decimal": decimal.Decimal}


class Source:
    """An annotation or a default that is only known by its text."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


def make(spec: dict[str, Any], calls: Calls, path: str) -> Callable[..., Any]:
    """The stub of a tool, whose whole name is `path`; `stub.aio(...)` is the same as a coroutine."""
    name, doc = spec["name"], spec["doc"]
    home = f"tools.{spec['group']}" if spec.get("group") else "builtins"  # where it is found, also by pickle
    signature = _signature(spec)
    check = _checker(name, signature)

    def stub(*args: Any, **kwargs: Any) -> Any:
        check(*args, **kwargs)
        return calls.call(path, args, kwargs)

    async def aio(*args: Any, **kwargs: Any) -> Any:
        check(*args, **kwargs)
        return await calls.call_async(path, args, kwargs)

    for function, called in ((stub, name), (aio, f"{name}.aio")):
        function.__name__ = function.__qualname__ = called
        function.__module__ = home
        function.__doc__ = doc or None
        function.__annotations__ = _annotations(signature)
        cast(Any, function).__signature__ = signature
    cast(Any, stub).aio = aio
    return stub


def _signature(spec: dict[str, Any]) -> inspect.Signature:
    annotations = _annotation_sources(spec["signature"])
    parameters = [
        inspect.Parameter(
            name,
            inspect._ParameterKind[kind],
            default=_EMPTY if default is None else _value(default),
            annotation=_annotation(annotations.get(name)),
        )
        for name, kind, default in spec["parameters"]
    ]
    return inspect.Signature(parameters, return_annotation=_annotation(annotations.get("return")))


def _annotation_sources(signature: str) -> dict[str, str]:
    try:
        function = ast.parse(f"def f{signature}: pass").body[0]
    except (SyntaxError, ValueError):
        return {}
    if not isinstance(function, ast.FunctionDef):
        return {}
    given = function.args
    every = [*given.posonlyargs, *given.args, *given.kwonlyargs, *filter(None, (given.vararg, given.kwarg))]
    sources = {arg.arg: ast.unparse(arg.annotation) for arg in every if arg.annotation}
    if function.returns:
        sources["return"] = ast.unparse(function.returns)
    return sources


def _annotation(source: str | None) -> Any:
    if source is None:
        return _EMPTY
    try:
        return eval(source, dict(_TYPES))
    except Exception:  # a class that only the host has
        return Source(source)


def _annotations(signature: inspect.Signature) -> dict[str, Any]:
    named = {name: p.annotation for name, p in signature.parameters.items() if p.annotation is not _EMPTY}
    if signature.return_annotation is not _EMPTY:
        named["return"] = signature.return_annotation
    return named


def _value(source: str) -> Any:
    try:
        return ast.literal_eval(source)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return Source(source)


def _checker(name: str, signature: inspect.Signature) -> Callable[..., None]:
    """A function of these parameters that does nothing: CPython itself checks the arguments, in its own words."""
    names = [name, *signature.parameters]
    if not all(n.isidentifier() and not keyword.iskeyword(n) for n in names):
        raise ValueError(f"not a tool that code could call: {name!r}")
    bare = [
        p.replace(annotation=_EMPTY, default=_EMPTY if p.default is _EMPTY else None)
        for p in signature.parameters.values()
    ]
    scope: dict[str, Any] = {}
    exec(f"def {name}{inspect.Signature(bare)}: pass", scope)
    return cast("Callable[..., None]", scope[name])


def final_answer(calls: Calls, *, asks: bool = False) -> Callable[[Any], Any]:
    """The function that ends the cell, and the task, with its answer; where it `asks`, the host may refuse that one."""

    def final_answer(value: Any) -> typing.NoReturn:
        """Give the answer to the task and end here: nothing after this call runs."""
        if asks:
            calls.call("final_answer", (value,), {})
        calls.final_answer(value)

    final_answer.__qualname__ = "final_answer"
    final_answer.__module__ = "builtins"
    return final_answer
