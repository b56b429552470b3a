"""Arguments of a call as the JSON that a schema describes: bound by Python's rules, checked against the schema.

The schema is somebody else's, and so is what a value is checked against: its regular expressions are not run here (they
are of another dialect, and can be made to run for ever), and no reference leaves the document. Whoever answers the call
checks again.
"""

from __future__ import annotations

import datetime
import inspect
import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match
from jsonschema.validators import extend, validator_for
from referencing import Registry

from ..arguments import Arguments
from ..complaint import shown
from ..names import mended
from ..spelling import spell
from .reading import description_of, hint_of, line, required_of, resolved

_log = logging.getLogger("codeact")
_DEEPEST = 60
_LONGEST_TYPE = 400  # characters
_MORE = "more"
_Parameter = inspect.Parameter


@dataclass(frozen=True)
class SchemaArguments(Arguments):
    """What a tool takes, as a schema says it.

    `theirs` has the name of each parameter as the schema writes it; `unsaid` are those that are left out where code
    gives None, because the schema has no null for them.
    """

    schema: Mapping[str, Any] = field(default_factory=dict, hash=False)
    theirs: Mapping[str, str] = field(default_factory=dict, hash=False)
    unsaid: frozenset[str] = frozenset()

    @property
    def declared(self) -> dict[str, Any]:
        """The schema, with the names of the parameters in Python."""
        given = self.schema.get("properties", {})
        required = [one.name for one in self.parameters if one.default is one.empty and one.name in self.theirs]
        properties = {name: given.get(theirs, {}) for name, theirs in self.theirs.items()}
        out: dict[str, Any] = {"type": "object", "properties": properties, "required": required}
        return out | {key: self.schema[key] for key in ("$defs", "definitions") if key in self.schema}

    def bind(self, args: Sequence[Any], kwargs: dict[str, Any]) -> dict[str, Any]:
        """The arguments by parameter name, as JSON; TypeError or ValueError names the parameter."""
        bound = super().bind(args, kwargs)
        bound = {name: value for name, value in bound.items() if value is not None or name not in self.unsaid}
        error = self._wrong(self.payload(bound))
        if error is not None:
            raise self._complaint(error)
        return bound

    def payload(self, bound: Mapping[str, Any]) -> dict[str, Any]:
        """Bound arguments under the names that the schema has for them."""
        out = {self.theirs[name]: value for name, value in bound.items() if name in self.theirs}
        return {**bound.get(_MORE, {}), **out} if _MORE not in self.theirs else out

    def _checked(self, parameter: inspect.Parameter, name: str, value: Any) -> Any:
        return as_json(value, f"{self.tool}(): {name!r}")

    @cached_property
    def _validator(self) -> Any:
        """Of the schema's own draft; None where the schema is broken, which is then for the other side to mend."""
        try:
            kind: Any = validator_for(self.schema, default=Draft202012Validator)
            kind.check_schema(self.schema)
            skipped = ("pattern", "patternProperties", "unevaluatedProperties", "unevaluatedItems")
            rules = {**dict.fromkeys(skipped, _skip), "additionalProperties": _additional(kind)}
            extended: Any = extend  # without types of its own
            return extended(kind, rules)(self.schema, registry=Registry())
        except Exception as error:  # the library was handed anything: it raises what it likes
            _log.warning("%s(): its schema is broken, arguments are sent unchecked: %s", self.tool, str(error)[:200])
            return None

    def _wrong(self, payload: dict[str, Any]) -> ValidationError | None:
        if self._validator is None:
            return None
        try:
            found: ValidationError | None = best_match(self._validator.iter_errors(payload))
            return found
        except Exception:  # as with a broken schema
            return None

    def _complaint(self, error: ValidationError) -> TypeError | ValueError:
        ours = {theirs: name for name, theirs in self.theirs.items()}
        first, *rest = error.absolute_path or [""]
        path = ours.get(str(first), str(first))
        path += "".join(f".{at}" if isinstance(at, str) and at.isidentifier() else f"[{at!r:.60}]" for at in rest)
        where = f"{self.tool}(): {path!r}" if path else f"{self.tool}()"
        if error.validator == "type" or (error.validator in ("anyOf", "oneOf") and not rest and path):
            fits = spell(self.hints[path]) if path in self.hints else spell(hint_of(error.schema, self.schema))
            return TypeError(f"{where} must be {fits}, got {shown(error.instance)}")
        if error.validator == "enum" and isinstance(error.validator_value, list):
            allowed = " or ".join(repr(one) for one in error.validator_value[:40])
            return ValueError(f"{where} must be {allowed:.1000}, got {shown(error.instance)}")
        kind = TypeError if error.validator in ("required", "additionalProperties") else ValueError
        return kind(f"{where}: {line(error.message, 300)}")


def arguments_of(schema: Any, tool: str) -> SchemaArguments:
    """The parameters of a schema, what is required first; a schema without fields takes no arguments."""
    root = schema if isinstance(schema, Mapping) else {}
    fields, needed, more = _fields(root)
    hints: dict[str, Any] = {}
    theirs: dict[str, str] = {}
    unsaid = set()
    parameters = []
    for name in sorted(fields, key=lambda name: name not in needed):
        ours = mended(name, theirs, "argument")
        theirs[ours] = name
        hint = hint_of(fields[name], root)
        if len(spell(hint)) > _LONGEST_TYPE:  # nobody reads it; what is wrong is still told
            hint = Any
        default: Any = _Parameter.empty
        if name not in needed:
            default = resolved(fields[name], root).get("default")
            if not _admits_none(hint):
                unsaid.add(ours)
                hint = hint | None if default is None else hint
        hints[ours] = hint
        annotation = _Parameter.empty if hint is Any else hint
        parameters.append(_Parameter(ours, _Parameter.POSITIONAL_OR_KEYWORD, default=default, annotation=annotation))
    if more and _MORE not in theirs:
        parameters.append(_Parameter(_MORE, _Parameter.VAR_KEYWORD))
        hints[_MORE] = Any
    return SchemaArguments(tool, tuple(parameters), hints, frozenset(), root, theirs, frozenset(unsaid))


def descriptions_of(arguments: SchemaArguments) -> dict[str, str]:
    """What the schema says of each parameter."""
    fields, _, _ = _fields(arguments.schema)
    return {ours: description_of(fields[theirs], arguments.schema) for ours, theirs in arguments.theirs.items()}


def _fields(root: Mapping[str, Any]) -> tuple[dict[str, Any], set[str], bool]:
    """The fields of an object, which of them are required, and whether it takes more. Of alternatives all fields."""
    fields: dict[str, Any] = {}
    needed: set[str] = set()
    more = False

    def gather(schema: Any, certain: bool, depth: int) -> None:
        nonlocal more
        schema = resolved(schema, root)
        if isinstance(schema.get("properties"), Mapping):
            for name, one in schema["properties"].items():
                fields.setdefault(str(name), one)
        if certain:
            needed.update(required_of(schema))
        more = more or schema.get("additionalProperties") is True or bool(schema.get("patternProperties"))
        for several in ("allOf", "anyOf", "oneOf"):
            if isinstance(schema.get(several), list) and depth < 5:
                for one in schema[several]:
                    gather(one, certain and several == "allOf", depth + 1)

    gather(root, True, 0)
    return fields, needed & fields.keys(), more


def _admits_none(hint: Any) -> bool:
    return hint is Any or hint is None or type(None) in getattr(hint, "__args__", ()) or None in _members(hint)


def _members(hint: Any) -> tuple[Any, ...]:
    return getattr(hint, "__args__", ()) if getattr(hint, "__origin__", None) is not None else ()


def as_json(value: Any, where: str, depth: int = 0) -> Any:
    """A value as JSON has it: a tuple is a list, a date its text. What JSON has no form for is a TypeError."""
    if depth > _DEEPEST:
        raise ValueError(f"{where} is nested deeper than {_DEEPEST} levels")
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            if not math.isfinite(value):
                raise ValueError(f"{where} must be a finite number, got {value!r}")
            return value
        case list() | tuple():
            return [as_json(one, f"{where}[{i}]", depth + 1) for i, one in enumerate(value)]
        case dict() if all(type(key) is str for key in value):
            return {key: as_json(one, f"{where}[{key!r:.60}]", depth + 1) for key, one in value.items()}
        case datetime.datetime() | datetime.date() | datetime.time():
            return value.isoformat()
        case set() | frozenset():
            raise TypeError(f"{where} must be plain data as JSON has it, got {shown(value)}: give list(...)")
        case _:
            raise TypeError(f"{where} must be plain data as JSON has it, got {shown(value)}")


def _skip(*_: Any) -> Iterator[ValidationError]:
    return iter(())


def _additional(kind: Any) -> Any:
    """The draft's own rule, where it needs no regular expression."""
    rule = kind.VALIDATORS.get("additionalProperties", _skip)

    def additional(validator: Any, value: Any, instance: Any, schema: Any) -> Any:
        return () if "patternProperties" in schema else rule(validator, value, instance, schema)

    return additional
