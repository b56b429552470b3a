"""A function as a tool: what the model sees of it, and how it is called.

    @tool                                          a function that is offered, callable as before
    @tool(name=..., seconds=..., concurrency=...)  the same, with its own name, deadline, calls at once
    class Weather(Tool): def forward(self, city)   the same, as a class

`as_tool` takes any of these, and any plain or async function, bound method, partial or callable object.
"""

from __future__ import annotations

import functools
import inspect
import math
import typing
from asyncio import CancelledError, current_task
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import CoroutineType, FunctionType
from typing import Any, ClassVar, TypeVar, overload

from .. import ports
from ..core.errors import ToolDefinitionError
from ..core.execution import ToolCall, ToolSpec
from ..core.recovery import Failed, Happened, Recovery, Retry
from .documentation import compact
from .failure import ToolStopped
from .names import check_name
from .results import plain
from .signature import arguments_of, docstring_of, hints_of_function, innermost
from .spelling import describe, is_named, parts_of, spell
from .threads import in_thread

F = TypeVar("F", bound=Callable[..., Any])
_MARK = "__codeact_tool__"
_JSON_TYPES = {
    "string": str,
    "integer": int,
    "number": float,
    "boolean": bool,
    "array": list,
    "object": dict,
    "null": None,
}


@dataclass(frozen=True, slots=True)
class Options:
    """What `@tool(...)` says beside the function itself."""

    name: str | None = None
    seconds: float | None = None
    concurrency: int | None = None
    idempotent: bool = False
    probe: Callable[[ToolCall], Any] | None = None


@overload
def tool(function: F) -> F: ...
@overload
def tool(
    *,
    name: str | None = None,
    seconds: float | None = None,
    concurrency: int | None = None,
    idempotent: bool = False,
    probe: Callable[[ToolCall], Any] | None = None,
) -> Callable[[F], F]: ...
def tool(
    function: Any = None,
    *,
    name: str | None = None,
    seconds: float | None = None,
    concurrency: int | None = None,
    idempotent: bool = False,
    probe: Callable[[ToolCall], Any] | None = None,
) -> Any:
    """Mark a function as a tool; it stays a function, to be called as before.

    `name` is what code calls it; `seconds` its deadline; `concurrency` how many calls of it a session runs at once (1
    for what is not thread-safe). The function may be async; one that is not runs in a thread of its own.

    What becomes of a call that was cut off, when its run goes on: with `idempotent` it is made again, under the same
    key; `probe`, a function of the call, finds out whether it took effect: `Happened(value)`, `Failed(reason)`,
    `Retry()`, or None where it cannot know. Without either a person is asked.
    """
    options = Options(name, seconds, concurrency, idempotent, probe)
    if function is None:
        return functools.partial(_mark, options)
    if not callable(function):
        raise ToolDefinitionError(f"@tool takes a function, not {function!r}; options go by name: @tool(name=...)")
    return _mark(options, function)


def _mark(options: Options, function: Any) -> Any:
    """A twin that carries the mark: the function itself may be somebody else's, or a tool of another name already."""
    twin = _twin(function) if inspect.isfunction(function) else functools.partial(function)
    setattr(twin, _MARK, options)
    return twin


def _twin(function: FunctionType) -> FunctionType:
    code, closure = function.__code__, function.__closure__
    twin = FunctionType(code, function.__globals__, function.__name__, function.__defaults__, closure)
    twin.__kwdefaults__ = function.__kwdefaults__
    wrapped = getattr(function, "__wrapped__", None)
    functools.update_wrapper(twin, function)
    if wrapped is None:
        del twin.__dict__["__wrapped__"]
    else:
        twin.__dict__["__wrapped__"] = wrapped
    return twin


def is_marked(value: Any) -> bool:
    """Whether a value was made a tool on purpose, by `@tool` or as an object of the class."""
    return isinstance(getattr(value, _MARK, None), Options) or isinstance(value, (Tool, FunctionTool))


class Tool:
    """A tool as a class: give it `name`, `description` and a method `forward` with annotated parameters.

    `inputs` may describe the parameters, as `{"city": {"type": "string", "description": "..."}}`; `seconds` and
    `concurrency` are those of `@tool`.
    """

    name: str = ""
    description: str = ""
    inputs: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    seconds: float | None = None
    concurrency: int | None = None
    idempotent: bool = False
    probe: Callable[[ToolCall], Any] | None = None
    forward: Callable[..., Any]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.forward(*args, **kwargs)


class FunctionTool:
    """A function of the host as `ports.Tool`. All that can be wrong with it is found when it is made."""

    def __init__(
        self,
        function: Callable[..., Any],
        options: Options = Options(),
        doc: str | None = None,
        inputs: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        name = check_name(options.name or _name_of(function))
        _check_options(name, options)
        self._function = function
        self._options = options
        self._is_async = _is_async(function)
        inputs = inputs or {}
        given = {key: _JSON_TYPES.get(str(one.get("type")), Any) for key, one in inputs.items()}
        self._arguments = arguments_of(function, name, given)
        hints = hints_of_function(function, name)
        described = {key: _described(hint) for key, hint in self._arguments.hints.items()}
        described |= {key: str(one["description"]) for key, one in inputs.items() if one.get("description")}
        blocks = [compact(docstring_of(function) if doc is None else doc, self._arguments.hints, described)]
        types = [*self._arguments.hints.values(), hints.get("return")]
        blocks.append("\n".join(dict.fromkeys(describe(p) for hint in types for p in parts_of(hint) if is_named(p))))
        returns = f" -> {spell(hints['return'])}" if "return" in hints else ""
        self._spec = ToolSpec(
            name,
            self._arguments.source + returns,
            "\n\n".join(block for block in blocks if block),
            self._arguments.specs,
        )

    @property
    def spec(self) -> ToolSpec:
        """Its name, signature and documentation."""
        return self._spec

    @property
    def schema(self) -> dict[str, Any]:
        """What it takes, as JSON Schema."""
        return self._arguments.declared

    @property
    def seconds(self) -> float | None:
        """Its own deadline."""
        return self._options.seconds

    @property
    def concurrency(self) -> int | None:
        """How many of its calls may run at once."""
        return self._options.concurrency

    async def recover(self, call: ToolCall, store: ports.Store) -> Recovery | None:
        """What became of a call that was cut off."""
        if self._options.probe is None:
            return Retry() if self._options.idempotent else None
        found = self._options.probe(call)
        found = await found if inspect.isawaitable(found) else found
        if found is not None and not isinstance(found, (Retry, Happened, Failed)):
            raise TypeError(
                f"the probe of {self._spec.name}() gave {found!r:.80}: it gives Happened(value), Failed(reason), "
                "Retry() or None"
            )
        return found

    def __repr__(self) -> str:
        return f"<tool {self._spec.name}{self._spec.signature}>"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._function(*args, **kwargs)

    def bind(self, args: Sequence[Any], kwargs: dict[str, Any]) -> dict[str, Any]:
        """The arguments by parameter name, each of its type; those of `*args` as a list, of `**kwargs` as a dict.

        Raises TypeError or ValueError, which names the parameter, what it must be and what it is.
        """
        return self._arguments.bind(args, kwargs)

    async def call(self, arguments: dict[str, Any]) -> Any:
        """Call the function with bound arguments; its value in plain data.

        An async function runs in this task, any other in a thread, which a cancelled call leaves to itself.
        """
        args, kwargs = self._arguments.place(arguments)
        function = self._function
        try:
            if self._is_async:
                value = function(*args, **kwargs)
            else:
                value = await in_thread(lambda: plain(function(*args, **kwargs)))
            if type(value) is CoroutineType or inspect.isawaitable(value):
                value = plain(await value)
            return value
        except Exception:
            raise
        except CancelledError as error:
            task = current_task()
            if task is None or task.cancelling():
                raise
            raise ToolStopped(error) from None  # its own, not ours
        except BaseException as error:  # a tool must not end its host
            raise ToolStopped(error) from None


def as_tool(value: Any) -> ports.Tool:
    """The tool that a value is, or can be made into; a ToolDefinitionError says what is wrong and how to mend it."""
    if inspect.isclass(innermost(value)):
        name = innermost(value).__name__
        raise ToolDefinitionError(f"{name} is a class: give an object of it, {name}(...), or a function that makes one")
    if all(hasattr(value, name) for name in ("spec", "seconds", "concurrency", "bind", "call")):
        return typing.cast(ports.Tool, value)
    if hasattr(value, "description") and (isinstance(value, Tool) or hasattr(value, "forward")):
        return _of_object(value)
    if not callable(value):
        raise ToolDefinitionError(f"a tool is a function or an object like one, not {value!r:.80}")
    return FunctionTool(value, getattr(value, _MARK, Options()))


def _of_object(value: Any) -> FunctionTool:
    kind = type(value).__name__
    if not callable(getattr(value, "forward", None)):
        raise ToolDefinitionError(f"{kind} has no method `forward`: define one, with a parameter for each argument")
    if not getattr(value, "name", ""):
        raise ToolDefinitionError(f"{kind} has no name: write name = '...' in the class")
    options = Options(
        value.name,
        getattr(value, "seconds", None),
        getattr(value, "concurrency", None),
        getattr(value, "idempotent", False),
        getattr(value, "probe", None),
    )
    return FunctionTool(value.forward, options, value.description, getattr(value, "inputs", None))


def _name_of(function: Any) -> str:
    function = innermost(function)
    return str(getattr(function, "__name__", type(function).__name__))


def _is_async(function: Any) -> bool:
    function = innermost(function)
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004


def _described(hint: Any) -> str:
    """What `Annotated[...]` says in words."""
    if typing.get_origin(hint) is not typing.Annotated:
        return ""
    said = [one if isinstance(one, str) else getattr(one, "description", None) for one in hint.__metadata__]
    return " ".join(" ".join(one for one in said if isinstance(one, str)).split())


def _check_options(name: str, options: Options) -> None:
    seconds, concurrency = options.seconds, options.concurrency
    if seconds is not None and (isinstance(seconds, bool) or not (math.isfinite(seconds) and seconds > 0)):
        raise ToolDefinitionError(f"{name}(): seconds must be a number above 0, or None, not {seconds!r}")
    if concurrency is not None and (type(concurrency) is not int or concurrency < 1):
        raise ToolDefinitionError(f"{name}(): concurrency must be a whole number from 1, or None, not {concurrency!r}")
    if options.probe is not None and (options.idempotent or not callable(options.probe)):
        raise ToolDefinitionError(f"{name}(): probe is a function of the call, and goes without idempotent=True")
