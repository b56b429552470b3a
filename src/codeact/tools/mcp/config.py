"""`{"mcpServers": {"NAME": {"command": ...} | {"url": ...}}}`: the servers of tools that a user names.

Read strictly: what is not understood is an error that names the file, the server and the key, and never shows a value,
for many of them are keys and tokens.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ...core.errors import UsageError, nearest

_VARIABLE = re.compile(r"\$\{([^}:]*)(?::-([^}]*))?\}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PASSWORD = re.compile(r"://[^/@\s:]*:([^/@\s]+)@")
_SECRET = re.compile(r"key|token|secret|passw|credential|auth|cookie|session|signature|\bpat\b|_pat$", re.IGNORECASE)
_KEYS = {"stdio": ("command", "args", "env", "cwd"), "http": ("url", "headers")}
_BOTH = ("type", "disabled")
_TRANSPORTS = {"stdio": "stdio", "http": "http", "streamable-http": "http", "streamableHttp": "http"}
_LARGEST = 4 << 20
_SHORTEST_SECRET = 8  # shorter ones are words that a result, or an error, may hold by chance


@dataclass(frozen=True, slots=True)
class Command:
    """A server that is started here and speaks on its standard input and output."""

    words: tuple[str, ...] = field(repr=False)
    env: Mapping[str, str] = field(repr=False)
    cwd: str | None = None


@dataclass(frozen=True, slots=True)
class Address:
    """A server that is reached by HTTP."""

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Server:
    """A server by its name.

    `private` is shown in no error; `secrets`, what its name tells to be secret, is taken out of results as well.
    """

    name: str
    reached: Command | Address
    private: tuple[str, ...] = field(default=(), repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)


def read(config: str | os.PathLike[str] | Mapping[str, Any], environ: Mapping[str, str] = os.environ) -> list[Server]:
    """The servers of a file, or of what stands in one; those that are `disabled` are left out. Raises UsageError."""
    if isinstance(config, Mapping):
        return _servers(config, "mcpServers", environ)
    path = Path(config)
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
        if len(data) > _LARGEST:
            raise UsageError(f"{path}: longer than the {_LARGEST >> 20} MiB that a configuration may have")
        content = json.loads(data.decode("utf-8-sig"), object_pairs_hook=_once)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror or error}") from None
    except _Twice as error:
        raise UsageError(f"{path}: {error}") from None
    except json.JSONDecodeError as error:
        raise UsageError(f"{path}:{error.lineno}: not JSON: {error.msg} (column {error.colno})") from None
    except (ValueError, RecursionError):
        raise UsageError(f"{path}: not JSON in UTF-8") from None
    if not isinstance(content, dict):
        raise UsageError(f'{path}: must be {{"mcpServers": {{...}}}}, not {_kind(content)}')
    return _servers(content, str(path), environ)


class _Twice(Exception):
    """A key that stands twice in one object, of which JSON would silently keep the last."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        raise _Twice(f"the key {next(name for name in names if names.count(name) > 1)!r} stands twice in one object")
    return made


def _servers(content: Mapping[str, Any], where: str, environ: Mapping[str, str]) -> list[Server]:
    if "mcpServers" not in content:
        raise UsageError(f"{where}: there is no key 'mcpServers'{nearest('mcpServers', map(str, content))}")
    listed = content["mcpServers"]
    if not isinstance(listed, Mapping):
        raise UsageError(f"{where}: mcpServers must be an object of servers by name, not {_kind(listed)}")
    made = [_Entry(f"{where}: server {name!r}", environ).server(name, entry) for name, entry in listed.items()]
    return [server for server in made if server is not None]


class _Entry:
    """One server's entry, and what in it is not to be shown."""

    def __init__(self, where: str, environ: Mapping[str, str]) -> None:
        self._where = where
        self._environ = environ
        self._private: set[str] = set()
        self._secrets: set[str] = set()

    def server(self, name: Any, entry: Any) -> Server | None:
        if not isinstance(name, str) or not name.strip() or not name.isprintable():
            raise UsageError(f"{self._where}: a server needs a name of printable characters")
        if not isinstance(entry, Mapping):
            raise UsageError(f"{self._where}: must be an object with 'command' or 'url', not {_kind(entry)}")
        transport = self._transport(entry)
        known = (*_KEYS[transport], *_BOTH)
        for key in entry:
            if key not in known:
                raise UsageError(
                    f"{self._where}: no key {key!r}{nearest(str(key), known)}; there are {', '.join(known)}"
                )
        if not isinstance(entry.get("disabled", False), bool):
            raise self._wrong("disabled", "true or false", entry["disabled"])
        if entry.get("disabled"):
            return None
        reached = self._command(entry) if transport == "stdio" else self._address(entry)
        return Server(name, reached, tuple(sorted(self._private)), tuple(sorted(self._secrets)))

    def _transport(self, entry: Mapping[str, Any]) -> str:
        said = entry.get("type")
        if said is not None and (not isinstance(said, str) or said not in _TRANSPORTS):
            raise UsageError(f"{self._where}: type must be one of {', '.join(_TRANSPORTS)}{_is_sse(said)}")
        if "command" in entry and "url" in entry:
            raise UsageError(f"{self._where}: has both 'command' and 'url': keep one")
        if "command" not in entry and "url" not in entry:
            known = [*_KEYS["stdio"], *_KEYS["http"], *_BOTH]
            hint = next((found for key in entry if key not in known and (found := nearest(str(key), known))), "")
            raise UsageError(f"{self._where}: needs 'command' (started here) or 'url' (reached by HTTP){hint}")
        found = "stdio" if "command" in entry else "http"
        if said is not None and _TRANSPORTS[said] != found:
            raise UsageError(f"{self._where}: type {said!r} goes with {_KEYS[_TRANSPORTS[said]][0]!r}")
        return found

    def _command(self, entry: Mapping[str, Any]) -> Command:
        command = self._text("command", entry["command"])
        if not command.strip():
            raise UsageError(f"{self._where}: command is empty")
        args = entry.get("args", [])
        if not isinstance(args, (list, tuple)):
            raise self._wrong("args", "a list of texts", args)
        words = [self._text(f"args[{i}]", one) for i, one in enumerate(args)]
        for before, word in zip(["", *words], words, strict=False):  # `--token abc` and `--token=abc`
            flag, equals, value = word.partition("=")
            if equals and flag.startswith("-"):
                self._hide(value, secret=bool(_SECRET.search(flag)))
            elif before.startswith("-") and "=" not in before and _SECRET.search(before):
                self._hide(word, secret=True)
        cwd = None if entry.get("cwd") is None else self._text("cwd", entry["cwd"])
        if cwd is not None and not Path(cwd).is_dir():
            raise UsageError(f"{self._where}: cwd is no folder that is there")
        return Command((command, *words), self._texts("env", entry.get("env", {})), cwd)

    def _address(self, entry: Mapping[str, Any]) -> Address:
        url = self._text("url", entry["url"])
        try:
            parts = urlsplit(url)
            sound = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and url.isprintable()
        except ValueError:
            sound = False
        if not sound:
            raise UsageError(f"{self._where}: url must be http://HOST... or https://HOST...")
        beside = [parts.username, parts.password, parts.query, *parts.query.split("&")]
        self._private.update(word for word in beside if word)
        headers = self._texts("headers", entry.get("headers", {}))
        for name, value in headers.items():
            if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name) or not (value.isascii() and value.isprintable()):
                raise UsageError(f"{self._where}: headers: {name!r} has characters that no header has")
        return Address(url, headers)

    def _texts(self, key: str, given: Any) -> dict[str, str]:
        if not isinstance(given, Mapping):
            raise self._wrong(key, "an object of texts by name", given)
        out = {}
        for name, value in given.items():
            if not isinstance(name, str) or not name or "=" in name or "\0" in name:
                raise UsageError(f"{self._where}: {key}: {name!r} is no name")
            out[name] = self._text(f"{key}.{name}", value)
            self._hide(out[name], secret=bool(_SECRET.search(name)))
        return out

    def _text(self, key: str, value: Any) -> str:
        """A text with its `${VARIABLE}` and `${VARIABLE:-default}` put in from the environment."""
        if not isinstance(value, str) or "\0" in value:
            raise self._wrong(key, "a text", value)

        def put_in(match: re.Match[str]) -> str:
            name, default = match[1], match[2]
            if not _NAME.fullmatch(name):
                raise UsageError(f"{self._where}: {key}: '${{...}}' must hold the name of a variable")
            found = self._environ.get(name, default)
            if found is None:
                mend = f"set it, or write ${{{name}:-...}}"
                raise UsageError(f"{self._where}: {key}: the variable {name} is not set: {mend}")
            if name in self._environ:
                self._hide(found, secret=bool(_SECRET.search(name)))
            return found

        return _VARIABLE.sub(put_in, value)

    def _hide(self, value: str, *, secret: bool) -> None:
        forms = {value, *value.split()[1:]} if secret else {value}  # "Bearer abc" hides "abc" as well
        inside = set(_PASSWORD.findall(value))
        longer = {form for form in forms | inside if len(form) >= _SHORTEST_SECRET}
        self._private |= longer | inside | (forms if secret else set())
        self._secrets |= longer if secret else longer & inside

    def _wrong(self, key: str, expected: str, value: Any) -> UsageError:
        return UsageError(f"{self._where}: {key} must be {expected}, not {_kind(value)}")


def _is_sse(said: Any) -> str:
    return "; servers of the older transport 'sse' are not supported" if said == "sse" else ""


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number" if isinstance(value, (int, float)) else type(value).__name__)


def names(servers: Iterable[Server]) -> str:
    """The servers, for an error."""
    return ", ".join(repr(server.name) for server in servers)
