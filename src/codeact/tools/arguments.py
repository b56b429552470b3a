"""Parameters of a tool, and how the arguments of a call meet them: bound by Python's rules, checked by their types."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from inspect import Parameter
from typing import Any, cast

from pydantic import PydanticSchemaGenerationError, PydanticUserError, TypeAdapter, ValidationError
from pydantic.errors import PydanticInvalidForJsonSchema

from ..core import execution
from ..core.errors import ToolDefinitionError, nearest
from .complaint import complaint
from .spelling import source_of, spell
from .strictness import Unsupported, validator

_POSITIONAL = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
_NAMED = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
_VARIABLE = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)


@dataclass(frozen=True, slots=True)
class _Plan:
    """Parameters and their names, looked up once: those that may stand by position, those that may not; those that must
    be given, and those that may be given by name."""

    parameters: tuple[tuple[str, Parameter], ...]
    positional: tuple[str, ...]
    named: tuple[str, ...]
    required: frozenset[str]
    by_name: Collection[str]

    def bound(self, args: Sequence[Any], kwargs: dict[str, Any]) -> dict[str, Any] | None:
        """The arguments; None where something does not fit."""
        if len(args) > len(self.positional):
            return None
        bound = dict(zip(self.positional, args, strict=False))
        for name, value in kwargs.items():
            if name not in self.by_name or name in bound:
                return None
            bound[name] = value
        return bound if self.required <= bound.keys() else None


@dataclass(frozen=True)
class Arguments:
    """What a tool takes. `hints` has the resolved type of every parameter, Any where it has none.

    `taken` are names that a partial has bound: code must not reach them through `**kwargs`.
    """

    tool: str
    parameters: tuple[Parameter, ...]
    hints: dict[str, Any] = field(hash=False)
    taken: frozenset[str] = frozenset()

    @cached_property
    def _by_name(self) -> dict[str, Parameter]:
        return {one.name: one for one in self.parameters if one.kind in _NAMED}

    @cached_property
    def _validators(self) -> dict[str, Callable[[Any], Any]]:
        """Built at the first call: pydantic needs some milliseconds a tool."""
        return {one.name: self._validator(one) for one in self.parameters}

    def _validator(self, parameter: Parameter) -> Callable[[Any], Any]:
        hint = self.hints[parameter.name]
        try:
            return validator(hint)
        except Unsupported as error:
            raise ToolDefinitionError(
                f"{self.tool}(): no value from a cell can be the {spell(hint)} of parameter {parameter.name!r}: "
                f"take plain data instead, or bind it with functools.partial"
            ) from error

    def prepare(self) -> None:
        """Build the validators now, so that a type that cannot be read is found at registration."""
        self._validators  # noqa: B018

    @property
    def source(self) -> str:
        """The parameters as source, without the return: `(city: str, /, *, unit: str = 'C')`."""
        return "(" + ", ".join(self._sources()) + ")"

    def _sources(self) -> list[str]:
        parts: list[str] = []
        previous: Any = None
        for one in self.parameters:
            if previous is Parameter.POSITIONAL_ONLY and one.kind is not previous:
                parts.append("/")
            if one.kind is Parameter.KEYWORD_ONLY and previous not in (
                Parameter.KEYWORD_ONLY,
                Parameter.VAR_POSITIONAL,
            ):
                parts.append("*")
            parts.append(self._source(one))
            previous = one.kind
        if previous is Parameter.POSITIONAL_ONLY:
            parts.append("/")
        return parts

    def _source(self, one: Parameter) -> str:
        stars = "*" * (one.kind in _VARIABLE) + "*" * (one.kind is Parameter.VAR_KEYWORD)
        typed = one.annotation is not Parameter.empty
        text = f"{stars}{one.name}: {spell(self.hints[one.name])}" if typed else f"{stars}{one.name}"
        if one.default is Parameter.empty:
            return text
        return f"{text} = {source_of(one.default)}" if typed else f"{text}={source_of(one.default)}"

    @property
    def declared(self) -> dict[str, Any]:
        """The parameters as the JSON Schema of an object; a type that JSON has no form for is anything."""
        definitions: dict[str, Any] = {}
        properties: dict[str, Any] = {}
        for one in self.parameters:
            if one.kind is not Parameter.VAR_KEYWORD:
                found = _schema_of(self.hints[one.name])
                definitions |= found.pop("$defs", {})
                many = one.kind is Parameter.VAR_POSITIONAL
                properties[one.name] = {"type": "array", "items": found} if many else found
        required = [one.name for one in self.parameters if one.default is one.empty and one.kind not in _VARIABLE]
        schema: dict[str, Any] = {"type": "object", "properties": properties, "required": required}
        if definitions:
            schema["$defs"] = definitions
        if all(one.kind is not Parameter.VAR_KEYWORD for one in self.parameters):
            schema["additionalProperties"] = False
        return schema

    @property
    def specs(self) -> tuple[execution.Parameter, ...]:
        """The parameters as values that travel."""
        return tuple(
            execution.Parameter(
                one.name, cast(Any, one.kind.name), None if one.default is one.empty else source_of(one.default)
            )
            for one in self.parameters
        )

    @cached_property
    def _plan(self) -> _Plan | None:
        """How most calls are bound; None where there are `*args` or `**kwargs`."""
        if any(one.kind in _VARIABLE for one in self.parameters):
            return None
        return _Plan(
            tuple((one.name, one) for one in self.parameters),
            tuple(one.name for one in self.parameters if one.kind in _POSITIONAL),
            tuple(one.name for one in self.parameters if one.kind not in _POSITIONAL),
            frozenset(one.name for one in self.parameters if one.default is Parameter.empty),
            self._by_name.keys(),
        )

    def bind(self, args: Sequence[Any], kwargs: dict[str, Any]) -> dict[str, Any]:
        """The arguments by parameter name (`*args` as a list, `**kwargs` as a dict); errors as CPython words them."""
        plan = self._plan
        bound = plan.bound(args, kwargs) if plan is not None else None
        if plan is None or bound is None:
            return self._bound(args, kwargs)
        return {name: self._checked(one, name, bound[name]) for name, one in plan.parameters if name in bound}

    def _bound(self, args: Sequence[Any], kwargs: dict[str, Any]) -> dict[str, Any]:
        positional = [one for one in self.parameters if one.kind in _POSITIONAL]
        variable = {one.kind: one.name for one in self.parameters if one.kind in _VARIABLE}
        bound = {one.name: value for one, value in zip(positional, args, strict=False)}
        rest: dict[str, Any] = {}
        for name, value in kwargs.items():
            if name in self._by_name:
                if name in bound:
                    raise TypeError(f"{self.tool}() got multiple values for argument {name!r}")
                bound[name] = value
            elif Parameter.VAR_KEYWORD in variable and name not in self.taken:
                rest[name] = value
            else:
                raise TypeError(self._unexpected(name, kwargs))
        if len(args) > len(positional):
            if Parameter.VAR_POSITIONAL not in variable:
                raise TypeError(self._too_many(positional, len(args), kwargs))
            bound[variable[Parameter.VAR_POSITIONAL]] = list(args[len(positional) :])
        if rest:
            bound[variable[Parameter.VAR_KEYWORD]] = rest
        self._complete(bound)
        return {one.name: self._converted(one, bound[one.name]) for one in self.parameters if one.name in bound}

    def _too_many(self, positional: list[Parameter], given: int, kwargs: dict[str, Any]) -> str:
        most = len(positional)
        least = sum(one.default is Parameter.empty for one in positional)
        takes = f"from {least} to {most}" if least < most else str(most)
        plural = "" if most == 1 and least == most else "s"
        named = sum(one.kind is Parameter.KEYWORD_ONLY and one.name in kwargs for one in self.parameters)
        came = f"{given} was" if given == 1 else f"{given} were"
        if named:
            came = (
                f"{given} positional argument{'' if given == 1 else 's'} "
                f"(and {named} keyword-only argument{'' if named == 1 else 's'}) were"
            )
        return f"{self.tool}() takes {takes} positional argument{plural} but {came} given"

    def _unexpected(self, name: str, kwargs: dict[str, Any]) -> str:
        only = [one.name for one in self.parameters if one.kind is Parameter.POSITIONAL_ONLY and one.name in kwargs]
        if only:
            return f"{self.tool}() got some positional-only arguments passed as keyword arguments: '{', '.join(only)}'"
        known = [one.name for one in self.parameters if one.kind in _NAMED]
        return f"{self.tool}() got an unexpected keyword argument {name[:80]!r}{nearest(name[:80], known)}"

    def _complete(self, bound: dict[str, Any]) -> None:
        missing = [
            one
            for one in self.parameters
            if one.name not in bound and one.default is Parameter.empty and one.kind not in _VARIABLE
        ]
        for kind, names in (
            ("positional", [repr(one.name) for one in missing if one.kind in _POSITIONAL]),
            ("keyword-only", [repr(one.name) for one in missing if one.kind is Parameter.KEYWORD_ONLY]),
        ):
            if names:
                comma = "," if len(names) > 2 else ""
                listed = names[0] if len(names) == 1 else f"{', '.join(names[:-1])}{comma} and {names[-1]}"
                plural = "" if len(names) == 1 else "s"
                raise TypeError(f"{self.tool}() missing {len(names)} required {kind} argument{plural}: {listed}")

    def _converted(self, one: Parameter, value: Any) -> Any:
        match one.kind:
            case Parameter.VAR_POSITIONAL:
                return [self._checked(one, f"{one.name}[{i}]", item) for i, item in enumerate(value)]
            case Parameter.VAR_KEYWORD:
                return {name: self._checked(one, name, item) for name, item in value.items()}
            case _:
                return self._checked(one, one.name, value)

    def _checked(self, parameter: Parameter, name: str, value: Any) -> Any:
        try:
            return self._validators[parameter.name](value)
        except ValidationError as error:
            errors = error.errors(include_url=False, include_context=False)
            raise complaint(self.tool, name, self.hints[parameter.name], value, errors) from None

    def place(self, bound: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """Bound arguments as the function takes them: by position as far as there is no gap, then by keyword."""
        plan = self._plan
        if plan is not None and len(bound) == len(self.parameters):
            return [bound[name] for name in plan.positional], {name: bound[name] for name in plan.named}
        args: list[Any] = []
        kwargs: dict[str, Any] = {}
        gap = False
        for one in self.parameters:
            gap = gap or (one.kind in _POSITIONAL and one.name not in bound)
            if one.kind in _POSITIONAL and not gap:
                args.append(bound[one.name])
            elif one.kind is Parameter.VAR_POSITIONAL:
                args += bound.get(one.name, [])
            elif one.kind is Parameter.VAR_KEYWORD:
                kwargs |= bound.get(one.name, {})
            elif one.name in bound:
                kwargs[one.name] = bound[one.name]
        return args, kwargs


def _schema_of(hint: Any) -> dict[str, Any]:
    try:
        return TypeAdapter(hint).json_schema(ref_template="#/$defs/{model}")
    except (PydanticSchemaGenerationError, PydanticUserError, PydanticInvalidForJsonSchema, TypeError):
        return {}
