"""The operations of a document, each as one function: its parameters and body as arguments, its answer as value."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ...core.errors import UsageError
from .document import followed

_METHODS = ("get", "put", "post", "delete", "patch")
_OWN_HEADERS = {"accept", "content-type", "authorization"}  # by the specification, no parameters
JSON = re.compile(r"application/(json|[\w.+-]+\+json)\b", re.IGNORECASE)
FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Place:
    """Where an argument goes: `path`, `query`, `header` or `body`; lists are repeated where they explode."""

    name: str
    where: str
    style: str = ""
    explode: bool = True
    as_json: bool = False


@dataclass(frozen=True, slots=True)
class Operation:
    """One function: `places` by argument, `body` the media type of its body, `schema` and `returns` JSON Schemas."""

    name: str
    method: str
    path: str
    doc: str
    schema: dict[str, Any]
    places: Mapping[str, Place]
    body: str | None = None
    returns: dict[str, Any] | None = None


def operations_of(document: Mapping[str, Any], given: frozenset[str]) -> Iterator[Operation | str]:
    """Each operation, or why it cannot be offered. Headers that are `given` by the user are no arguments."""
    for path, listed in document["paths"].items():
        item = followed(listed, document)
        if not path.startswith("/"):
            yield f"{path}: a path begins with a slash"
            continue
        for method in _METHODS:
            if not isinstance(item.get(method), Mapping):
                continue
            operation = item[method]
            name = str(operation.get("operationId") or f"{method}_{path}")
            try:
                yield _operation(name, method, path, item, operation, document, given)
            except UsageError as error:
                yield f"{method.upper()} {path}: {error}"


def _operation(
    name: str,
    method: str,
    path: str,
    item: Mapping[str, Any],
    operation: Mapping[str, Any],
    document: Mapping[str, Any],
    given: frozenset[str],
) -> Operation:
    fields: dict[str, Any] = {}
    required: list[str] = []
    places: dict[str, Place] = {}

    def add(wanted: str, place: Place, schema: Any, needed: bool, words: Any) -> None:
        key = wanted if wanted not in fields else f"{place.where}_{wanted}"
        schema = schema if isinstance(schema, Mapping) else {}
        fields[key] = {**schema, "description": words} if isinstance(words, str) and words else dict(schema)
        places[key] = place
        if needed:
            required.append(key)

    for parameter in _parameters(item, operation, document):
        place, schema = _placed(parameter)
        if place.where == "cookie":
            if parameter.get("required"):
                raise UsageError(f"it needs the cookie {place.name!r}, and cookies are not sent")
        elif place.where != "header" or place.name.lower() not in given | _OWN_HEADERS:
            needed = parameter.get("required") is True or place.where == "path"
            add(place.name, place, schema, needed, parameter.get("description"))
    for hole in re.findall(r"\{([^}]*)\}", path):
        if not any(place.where == "path" and place.name == hole for place in places.values()):
            raise UsageError(f"its path has {{{hole}}}, which no parameter fills")
    media, body = _body(operation, document)
    if media is not None:
        words = body.get("description") or "what is sent"
        add("body", Place("body", "body"), body["schema"], body.get("required") is True, words)
    root = {"type": "object", "properties": fields, "required": required, "components": document.get("components", {})}
    words = [operation.get("summary"), operation.get("description")]
    doc = "\n\n".join(dict.fromkeys(one.strip() for one in words if isinstance(one, str) and one.strip()))
    returns = _returns(operation, document)
    return Operation(name, method.upper(), path, doc or f"{method.upper()} {path}", root, places, media, returns)


def _parameters(
    item: Mapping[str, Any], operation: Mapping[str, Any], document: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Those of the path, and those of the operation, which go before them."""
    found: dict[tuple[Any, Any], dict[str, Any]] = {}
    for several in (item.get("parameters"), operation.get("parameters")):
        for one in several if isinstance(several, list) else ():
            parameter = followed(one, document)
            if not isinstance(parameter.get("name"), str) or not isinstance(parameter.get("in"), str):
                raise UsageError("it has a parameter without name or place")
            found[parameter["in"], parameter["name"]] = parameter
    return list(found.values())


def _placed(parameter: Mapping[str, Any]) -> tuple[Place, Any]:
    name, where = parameter["name"], parameter["in"]
    if where not in ("path", "query", "header", "cookie"):
        raise UsageError(f"the parameter {name!r} is in {where!r:.40}, which is no place")
    content = parameter.get("content")
    if isinstance(content, Mapping) and content:
        media = next(iter(content.values()))
        return Place(name, where, as_json=True), media.get("schema") if isinstance(media, Mapping) else None
    style = str(parameter.get("style", "form" if where == "query" else "simple"))
    return Place(name, where, style, parameter.get("explode", style == "form") is True), parameter.get("schema")


def _body(operation: Mapping[str, Any], document: Mapping[str, Any]) -> tuple[str | None, dict[str, Any]]:
    body = followed(operation.get("requestBody"), document)
    content = body.get("content")
    if not isinstance(content, Mapping) or not content:
        return None, {}
    for media in content:
        if JSON.match(str(media)) or str(media).partition(";")[0].strip().lower() in (FORM, "text/plain"):
            schema = content[media].get("schema") if isinstance(content[media], Mapping) else None
            return str(media), {**body, "schema": schema}
    if body.get("required"):
        raise UsageError(f"its body must be {' or '.join(map(str, content))}; JSON, forms and plain text can be sent")
    return None, {}


def _returns(operation: Mapping[str, Any], document: Mapping[str, Any]) -> dict[str, Any] | None:
    answers = operation.get("responses")
    if not isinstance(answers, Mapping):
        return None
    good = sorted(str(code) for code in answers if str(code).startswith("2"))
    if len(good) > 1 and {"200", "201"} & set(good):
        good = [code for code in good if code in ("200", "201")]
    for code in good[:1]:
        answer = followed(answers.get(code, answers.get(int(code) if code.isdecimal() else code)), document)
        content = answer.get("content")
        for media, one in content.items() if isinstance(content, Mapping) else ():
            if JSON.match(str(media)) and isinstance(one, Mapping) and isinstance(one.get("schema"), Mapping):
                return {**one["schema"], "components": document.get("components", {})}
    return None
