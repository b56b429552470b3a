"""Secrets: values that tools are given and nobody else sees, no model, no code, no journal, no screen.

Code has a name for each; the host puts the value in on the way to a tool, when all is written down, and takes it out
of whatever comes back before anybody sees it.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NoReturn
from urllib.parse import quote

from .core.errors import UsageError, nearest
from .core.events import Delta, Discarded, ReasoningDelta, TextDelta
from .guest import values
from .guest.sealed import LONGEST, Sealed

SHORTEST = 4  # characters: a shorter one would be found everywhere
_HIDDEN = "***"
_MARK = re.compile(r"<secret ([^<>]+)>")


class Secret:
    """A value for tools alone, such as a key: `additional_args={"token": Secret("...")}`.

    Code finds the variable `token`, which shows as `<secret token>`, and gives it to a tool, which gets the text.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        if not isinstance(value, str):
            raise TypeError(f"a secret is a text, not of type {type(value).__name__}")
        if len(value) < SHORTEST:
            raise UsageError(f"a secret has {SHORTEST} characters at least: a shorter one would be found everywhere")
        self._value = value

    def reveal(self) -> str:
        """The text."""
        return self._value

    def __repr__(self) -> str:
        return "<secret>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not written down")


class Vault:
    """The secrets of a session. `above` is that of the session that calls it: what is secret there is so here."""

    def __init__(self, strings: Iterable[str] = (), above: Vault | None = None) -> None:
        self._named: dict[str, str] = {}
        self._shown: dict[str, str] = above._shown if above is not None else {}  # what stands in place of each form
        self._values: set[str] = above._values if above is not None else set()
        self._pattern: tuple[int, re.Pattern[str]] | None = None
        for one in strings:
            self._hide(one, _HIDDEN)

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._values))

    @property
    def known(self) -> dict[str, Secret]:
        """Those that have a name."""
        return {name: Secret(text) for name, text in self._named.items()}

    # -- in ----------------------------------------------------------------------------------------------------------

    def take(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Variables without the secrets in them: each is a name from here on, that of the place it stood at."""
        for name, secret in named(given).items():
            self.keep(name, secret)
        taken: dict[str, Any] = {name: _sealed(value, name) for name, value in given.items()}
        return self.value(taken)  # type: ignore[no-any-return]

    def keep(self, name: str, secret: str | Secret) -> None:
        """This name stands for this secret."""
        secret = secret if isinstance(secret, Secret) else Secret(secret)
        if len(name) > LONGEST:
            raise UsageError(f"a secret at {name[:80]} ...: that is too deep for a name")
        self._named[name] = secret.reveal()
        self._hide(secret.reveal(), repr(Sealed(name)))

    def follow(self, other: Vault) -> None:
        """What is known there is known here."""
        self._named |= other._named
        self._shown, self._values = other._shown, other._values

    def check(self, run: str, needed: Iterable[str], given: Mapping[str, str | Secret]) -> None:
        """Keep again what a run was given. Raises UsageError with the names of those that are missing."""
        missing = sorted(set(needed) - given.keys() - self._named.keys())
        if missing:
            words = ", ".join(f"{name!r}: ..." for name in missing)
            flags = " ".join(f"--secret {name}" for name in missing)
            raise UsageError(
                f"the run {run} was given secrets, which no journal keeps: give them again, "
                f"resume(..., secrets={{{words}}}), or {flags} on the command line"
            )
        for name, secret in given.items():
            self.keep(name, secret)

    def _hide(self, value: str, instead: str) -> None:
        if len(value) < SHORTEST:
            return
        self._values.add(value)
        for form in _forms(value):
            self._shown.setdefault(form, instead)

    # -- out, to a tool ----------------------------------------------------------------------------------------------

    def revealed(self, value: Any, *, whole: bool = False) -> Any:
        """With the values of the secrets; `whole`, as secrets still. Raises ValueError for one that is none here."""
        match value:
            case Sealed():
                if value.name not in self._named:
                    raise ValueError(f"there is no secret {value.name!r} here{nearest(value.name, self._named)}")
                text = self._named[value.name]
                return Secret(text) if whole else text
            case list() | tuple() | set() | frozenset():
                return type(value)(self.revealed(one, whole=whole) for one in value)
            case dict():
                return {self.revealed(key): self.revealed(one, whole=whole) for key, one in value.items()}
            case _:
                return value

    def meant(self, value: Any) -> Any:
        """The same with a name in place of a text that shows one: a model that writes no code has no other way."""
        match value:
            case str() if (mark := _MARK.fullmatch(value)) and mark[1] in self._named:
                return Sealed(mark[1])
            case list():
                return [self.meant(one) for one in value]
            case dict():
                return {key: self.meant(one) for key, one in value.items()}
            case _:
                return value

    # -- out of what is told -----------------------------------------------------------------------------------------

    def text(self, text: str) -> str:
        """Without the secrets in it."""
        if not self._shown:
            return text
        return self._found().sub(lambda match: self._shown[match[0]], text)

    def binary(self, data: bytes) -> bytes:
        """The same of bytes, which stay as many."""
        for form in self._shown:
            for coding in ("utf-8", "utf-16-le", "utf-32-le"):
                sought = form.encode(coding, "surrogatepass")
                if sought in data:
                    data = data.replace(sought, ("*" * (len(sought) // len("*".encode(coding)))).encode(coding))
        return data

    def packed(self, packed: values.Packed) -> values.Packed:
        """The same of a value that is about to cross."""
        if not self._shown:
            return packed
        return values.Packed(self._tree(packed.tree), [self.binary(blob) for blob in packed.blobs])

    def value(self, value: Any) -> Any:
        """The same of a value of the table."""
        if not self._shown:
            return value
        try:
            packed = values.encode(value)
            clean = self.packed(packed)
            return value if clean == packed else values.decode(clean)
        except values.Refused:
            return value  # it goes nowhere

    def told(self, item: Any) -> Any:
        """The same of an event, or of what is in one."""
        return self._clean(item) if self._shown else item

    def hearing(self, emit: Callable[[Delta], None]) -> Hearing:
        """What hears a reply as it comes, and tells it on."""
        return Hearing(self, emit)

    def begun(self, text: str) -> int:
        """How many of the last characters may be the beginning of a secret."""
        if not self._shown:
            return 0
        most = min(len(text), max(map(len, self._shown)) - 1)
        return next((n for n in range(most, 0, -1) if any(form.startswith(text[-n:]) for form in self._shown)), 0)

    def _found(self) -> re.Pattern[str]:
        if self._pattern is None or self._pattern[0] != len(self._shown):
            forms = sorted(self._shown, key=len, reverse=True)
            self._pattern = len(self._shown), re.compile("|".join(map(re.escape, forms)))
        return self._pattern[1]

    def _tree(self, tree: Any) -> Any:
        match tree:
            case str():
                return self.text(tree)
            case {"$bytes": str(body)} if len(tree) == 1:
                return {"$bytes": base64.b64encode(self.binary(base64.b64decode(body))).decode()}
            case list():
                return [self._tree(one) for one in tree]
            case dict():
                return {self.text(key): self._tree(one) for key, one in tree.items()}
            case _:
                return tree

    def _clean(self, item: Any) -> Any:
        if item is None or isinstance(item, int | float | Sealed):
            return item
        if isinstance(item, str):
            return self.text(item)
        if isinstance(item, bytes):
            return self.binary(item)
        if isinstance(item, tuple | list):
            clean = type(item)(map(self._clean, item))
            return clean if any(a is not b for a, b in zip(clean, item, strict=True)) else item
        if isinstance(item, dict) and all(isinstance(key, str) for key in item):
            return {self.text(key): self._clean(one) for key, one in item.items()}
        if dataclasses.is_dataclass(item) and not isinstance(item, type):
            held = {field.name: getattr(item, field.name) for field in dataclasses.fields(item)}
            changed = {name: new for name, one in held.items() if (new := self._clean(one)) is not one and new != one}
            return dataclasses.replace(item, **changed) if changed else item
        return self.value(item)


class Hearing:
    """Tells a reply on as it comes, but for the end of it that may become a secret."""

    def __init__(self, vault: Vault, emit: Callable[[Delta], None]) -> None:
        self._vault = vault
        self._emit = emit
        self._held: dict[type[TextDelta | ReasoningDelta], str] = {}

    def __call__(self, delta: Delta) -> None:
        if isinstance(delta, TextDelta | ReasoningDelta):
            kind = type(delta)
            text = self._vault.text(self._held.pop(kind, "") + delta.text)
            begun = self._vault.begun(text)
            if begun:
                self._held[kind] = text[-begun:]
                text = text[:-begun]
            if text:
                self._emit(dataclasses.replace(delta, text=text))
            return
        if isinstance(delta, Discarded):
            self._held.clear()
        self.end()
        self._emit(self._vault.told(delta))

    def end(self) -> None:
        """It is over: what was held was no secret."""
        for kind, text in self._held.items():
            self._emit(kind(text))
        self._held.clear()


def named(given: Mapping[str, Any], above: str = "") -> dict[str, Secret]:
    """The secrets in these variables, by the place each stands at: `token`, `auth.password`, `keys.0`."""
    found: dict[str, Secret] = {}
    for key, value in given.items():
        place = f"{above}{key}"
        if isinstance(value, Secret):
            found[place] = value
        elif isinstance(value, dict):
            found |= named(value, f"{place}.")
        elif isinstance(value, list | tuple):
            found |= named({str(n): one for n, one in enumerate(value)}, f"{place}.")
    return found


def sealed_in(value: Any) -> set[str]:
    """The names of the secrets in a value."""
    match value:
        case Sealed():
            return {value.name}
        case dict():
            return set().union(*map(sealed_in, value.values()))
        case list() | tuple():
            return set().union(*map(sealed_in, value))
        case _:
            return set()


def beside(value: Any) -> str:
    """What a model is told of a variable beside its preview."""
    return " (its value is not in here: give it to a tool as it is)" if isinstance(value, Sealed) else ""


def _sealed(value: Any, place: str) -> Any:
    if isinstance(value, Secret):
        return Sealed(place)
    if type(value) is dict and named(value):
        return {key: _sealed(one, f"{place}.{key}") for key, one in value.items()}
    if type(value) in (list, tuple) and named({"": value}):
        return type(value)(_sealed(one, f"{place}.{n}") for n, one in enumerate(value))
    return value


def _forms(secret: str) -> set[str]:
    """As it is, as Python, JSON and URLs write it, and in base64."""
    written = {secret, repr(secret)[1:-1], json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
    coded = base64.b64encode(secret.encode("utf-8", "surrogatepass")).decode().rstrip("=")
    return {*written, quote(secret, errors="replace"), quote(secret, safe="", errors="replace"), coded}
