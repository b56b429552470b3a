"""What a function tells of itself: its parameters with resolved types, or why it cannot be a tool."""

from __future__ import annotations

import collections.abc
import functools
import inspect
import typing
from collections.abc import Callable, Mapping
from inspect import Parameter
from typing import Any

import typing_extensions

from ..core.errors import ToolDefinitionError
from .arguments import Arguments
from .spelling import parts_of, source_of

_PLAIN: tuple[Any, ...] = (
    *(Any, object, None, type(None), Ellipsis, bool, int, float, str, bytes, list, dict, tuple, set, frozenset),
    *(collections.abc.Sequence, collections.abc.Mapping, collections.abc.Iterable, collections.abc.Collection),
    *(typing.Union, type(int | str), typing.Literal),
)


def arguments_of(function: Callable[..., Any], tool: str, given: Mapping[str, Any] | None = None) -> Arguments:
    """The parameters of a function, checked: what is found wrong here is never found at a call.

    `given` has types for parameters that have no annotation. What a partial binds is not for the model and left out.
    """
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (ValueError, TypeError) as error:
        raise ToolDefinitionError(f"{tool}() tells no signature: wrap it in a function that has one") from error
    bound = function.keywords if isinstance(function, functools.partial) else {}
    parameters = [one for one in parameters if one.name not in bound]
    annotations = hints_of_function(function, tool)
    hints: dict[str, Any] = {}
    for one in parameters:
        _check(one, tool)
        hint = annotations.get(one.name, (given or {}).get(one.name, Any))
        if one.default is None and type(None) not in typing.get_args(hint) and hint is not Any:
            hint = typing.Optional[hint]  # noqa: UP045 (`|` does not take every hint)
        hints[one.name] = hint
    arguments = Arguments(tool, tuple(parameters), hints, frozenset(bound))
    if not all(_is_plain(part) for hint in hints.values() for part in parts_of(hint)):
        arguments.prepare()
    return arguments


def hints_of_function(function: Callable[..., Any], tool: str) -> dict[str, Any]:
    """The annotations of a function, resolved, `return` among them."""
    written = _written(function)
    try:
        return typing_extensions.get_type_hints(written, include_extras=True)
    except Exception as error:  # an annotation is code of the user's: it may raise anything
        for name, annotation in getattr(written, "__annotations__", {}).items():
            if isinstance(annotation, str) and not _resolves(annotation, written):
                where = "the return" if name == "return" else f"parameter {name!r}"
                raise ToolDefinitionError(
                    f"{tool}(): the annotation {annotation!r} of {where} cannot be resolved ({error}): "
                    "define or import what it names at the top of the function's module"
                ) from error
        raise ToolDefinitionError(f"{tool}(): its annotations cannot be resolved: {error}") from error


def innermost(function: Any) -> Any:
    """What a partial, or a partial of partials, calls in the end."""
    while isinstance(function, functools.partial):
        function = function.func
    return function


def _resolves(annotation: str, function: Any) -> bool:
    def probe() -> None: ...

    probe.__annotations__ = {"it": annotation}
    try:
        typing_extensions.get_type_hints(probe, getattr(function, "__globals__", {}))
    except Exception:  # as above
        return False
    return True


def _written(function: Any) -> Any:
    """The function whose text the annotations stand in."""
    function = innermost(function)
    if not inspect.isroutine(function):
        function = type(function).__call__
    return inspect.unwrap(function)


def docstring_of(function: Any) -> str | None:
    """Its docstring; that of the class where an object's `__call__` has none."""
    function = innermost(function)
    if inspect.isroutine(function):
        return inspect.getdoc(function)
    return type(function).__call__.__doc__ or inspect.getdoc(function)


def _check(one: Parameter, tool: str) -> None:
    if one.name in ("self", "cls"):
        raise ToolDefinitionError(
            f"{tool}(): parameter {one.name!r} cannot be given by code: give the bound method (`thing.{tool}`), "
            "or rename the parameter"
        )
    if one.name.startswith("_"):
        raise ToolDefinitionError(
            f"{tool}(): parameter {one.name!r} has a reserved name: rename it, or bind it with functools.partial"
        )
    if one.default is not Parameter.empty and source_of(one.default) is None:
        raise ToolDefinitionError(
            f"{tool}(): the default of parameter {one.name!r} is {type(one.default).__name__}, not plain data: "
            "use None and replace it in the function, or bind it with functools.partial"
        )


def _is_plain(part: Any) -> bool:
    origin = typing.get_origin(part) or part
    return any(origin is one for one in _PLAIN)
