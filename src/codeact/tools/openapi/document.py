"""An OpenAPI document: read, its references followed inside it alone, its schemas in the words of JSON Schema."""

from __future__ import annotations

import ipaddress
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx2
import yaml

from ...core.errors import UsageError
from ..schemas.reading import pointed

_LARGEST = 32 << 20
_SECONDS = 30.0
_DEEPEST = 100


def read(source: str | os.PathLike[str] | Mapping[str, Any]) -> tuple[dict[str, Any], str | None]:
    """The document, and the address it came from; a path, an address on this machine, or the document itself."""
    if isinstance(source, Mapping):
        return _sound(dict(source), "the document"), None
    text = os.fspath(source)
    if text.startswith(("http://", "https://")):
        return _sound(_parsed(_fetched(text), text), text), text
    try:
        data = Path(text).read_bytes()
    except (OSError, ValueError) as error:
        raise UsageError(f"{text}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    return _sound(_parsed(data, text), text), None


def _fetched(url: str) -> bytes:
    """What a server on this machine serves. From elsewhere a document would decide where your headers go."""
    if not _is_here(urlsplit(url).hostname or ""):
        raise UsageError(f"{url}: only a document of this machine is fetched: download it, look at it, give its path")
    try:
        with httpx2.Client(timeout=_SECONDS, trust_env=False) as client:
            answer = client.get(url)
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise UsageError(f"{url}: cannot be read: {error}") from None
    if answer.status_code != 200:
        raise UsageError(f"{url}: cannot be read: status {answer.status_code}")
    return answer.content


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _parsed(data: bytes, where: str) -> Any:
    if len(data) > _LARGEST:
        raise UsageError(f"{where}: longer than the {_LARGEST >> 20} MiB that a document may have")
    try:
        text = data.decode("utf-8-sig")
        return json.loads(text) if text.lstrip().startswith("{") else yaml.load(text, yaml.CSafeLoader)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{where}: not JSON: {str(error)[:200]}") from None
    except yaml.YAMLError as error:
        raise UsageError(f"{where}: not YAML: {' '.join(str(error).split())[:200]}") from None


def _sound(document: Any, where: str) -> dict[str, Any]:
    if not isinstance(document, dict):
        raise UsageError(f"{where}: an OpenAPI document is an object, not {type(document).__name__}")
    version = document.get("openapi")
    if not isinstance(version, str) or not version.startswith("3."):
        said = f"it is Swagger {document['swagger']}" if "swagger" in document else "there is no key 'openapi'"
        raise UsageError(f"{where}: {said}: OpenAPI 3 is wanted")
    if not isinstance(document.get("paths"), dict):
        raise UsageError(f"{where}: it has no paths")
    made: dict[str, Any] = _as_json_schema(document, where, 0)
    return made


def _as_json_schema(part: Any, where: str, depth: int) -> Any:
    """The same with what OpenAPI 3.0 says in words of its own: `nullable`, and limits that are flags."""
    if depth > _DEEPEST:
        raise UsageError(f"{where}: nested deeper than {_DEEPEST} levels")
    if isinstance(part, list):
        return [_as_json_schema(one, where, depth + 1) for one in part]
    if not isinstance(part, dict):
        return part
    out = {str(key): _as_json_schema(value, where, depth + 1) for key, value in part.items()}
    reference = out.get("$ref")
    if isinstance(reference, str) and not reference.startswith("#"):
        raise UsageError(f"{where}: it refers to another document, {reference!r:.200}: bundle it into one first")
    for flag, limit in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if isinstance(out.get(flag), bool) and out.pop(flag) and limit in out:
            out[flag] = out.pop(limit)
    if isinstance(out.get("nullable"), bool) and out.pop("nullable"):
        return {"anyOf": [out, {"type": "null"}]} if not isinstance(out.get("type"), str) else _nullable(out)
    return out


def _nullable(schema: dict[str, Any]) -> dict[str, Any]:
    schema["type"] = [schema["type"], "null"]
    if isinstance(schema.get("enum"), list) and None not in schema["enum"]:
        schema["enum"] = [*schema["enum"], None]
    return schema


def followed(part: Any, document: Mapping[str, Any]) -> dict[str, Any]:
    """What a part of the document is, its reference followed; empty where it leads nowhere."""
    seen: set[str] = set()
    while isinstance(part, Mapping) and isinstance(part.get("$ref"), str) and part["$ref"] not in seen:
        seen.add(part["$ref"])
        part = pointed(document, part["$ref"])
    return dict(part) if isinstance(part, Mapping) and "$ref" not in part else {}


def base_of(document: Mapping[str, Any], came_from: str | None) -> str:
    """The address of the first server that the document names."""
    servers = document.get("servers")
    first = servers[0] if isinstance(servers, list) and servers and isinstance(servers[0], Mapping) else {}
    url = str(first.get("url", ""))
    variables = first.get("variables")
    for name, variable in (variables if isinstance(variables, Mapping) else {}).items():
        if isinstance(variable, Mapping):
            url = url.replace("{" + str(name) + "}", str(variable.get("default", "")))
    url = urljoin(came_from, url or "/") if came_from else url
    if not url.startswith(("http://", "https://")):
        raise UsageError("the document names no address of a server: give base_url='https://...'")
    return url
