"""The import policy: a cell is checked before a line of it runs, and its own imports are guarded while it runs.

This is for clear errors and less noise, not a wall: the sandbox is the wall. Only imports by the cell's own code are
looked at; what is allowed may import whatever it needs.
"""

from __future__ import annotations

import ast
import builtins
import difflib
import importlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import FrameType
from typing import Any

from .advice import ADVICE, CONNECTING, LISTENING, OUTSIDE, WELL_KNOWN
from .guards import unguarded

_CATCHING = {"ImportPolicyError", "ModuleNotFoundError", "ImportError", "Exception", "BaseException"}


class ImportPolicyError(ModuleNotFoundError):
    """A module that cells may not import here; the message says what to do in its place."""


ImportPolicyError.__module__ = "builtins"


class Imports:
    """What cells may import: the base set or not, these names beside it with their submodules, or everything.

    Where some hosts may be reached, `network` names them, and the modules that connect are of the base set.
    A module that the session made itself, as a file in its scratch or an object in sys.modules, is always allowed.
    """

    _places: frozenset[str] = frozenset()

    @classmethod
    def look_round(cls) -> None:
        """Take notice of where packages lie, once for all sessions."""
        cls._places = _places()

    def __init__(self, names: Sequence[str] = (), base: bool = True, everything: bool = False) -> None:
        self.allow(names, base, everything)
        self._scratch = _real({os.getcwd(), os.environ.get("TMPDIR") or "/tmp"})
        self._installed = (self._places or _places()) - self._scratch

    def allow(self, names: Sequence[str], base: bool, everything: bool, network: Sequence[str] = ()) -> None:
        """Have it be this from here on."""
        self.names = frozenset(names)
        self._network = network
        self._outside = OUTSIDE - CONNECTING if network else OUTSIDE
        self.base = base
        self.everything = everything
        self.own: frozenset[str] = frozenset()  # ours, which are always there

    def allows(self, module: str) -> bool:
        """Whether the policy names this module, or a package that it is in."""
        steps = _steps(module)
        if self.everything or steps[0] in self.own or module in ("__future__", "__main__"):
            return True
        if any(step in self.names for step in steps):
            return True
        return self.base and steps[0] in sys.stdlib_module_names and not any(step in self._outside for step in steps)

    def refusal(self, module: str, names: tuple[str, ...] = ()) -> str | None:
        """Why `import module`, or `from module import names`, is refused, in words for the code's author, or None."""
        if self.allows(module):
            wanted = next((f"{module}.{name}" for name in names if f"{module}.{name}" in self._outside), None)
            return self._words(wanted) if wanted and not self.allows(wanted) else None
        if names and all(self.allows(f"{module}.{name}") for name in names):
            return None
        top = module.partition(".")[0]
        if not _is_known(top):
            spec = _find(top)
            if spec is None or self._is_own(spec):  # CPython says itself that there is none
                return None
        return self._words(module)

    def check(self, tree: ast.AST) -> list[str]:
        """The refusals of a cell. An import that its code is ready to see fail is left to run time."""
        refusals = (self.refusal(module, names) for module, names in _imports(tree))
        return list(dict.fromkeys(filter(None, refusals)))

    def guard(self, namespace: dict[str, Any]) -> None:
        """Stand before `__import__` and `importlib.import_module`, for the frames of this namespace."""
        builtins.__import__ = self._guarded(builtins.__import__, namespace)
        importlib.import_module = self._guarded_call(importlib.import_module, namespace)

    def _guarded(self, real: Callable[..., Any], namespace: dict[str, Any]) -> Callable[..., Any]:
        frame = sys._getframe

        def __import__(
            name: str,
            globals: dict[str, Any] | None = None,
            locals: dict[str, Any] | None = None,
            fromlist: Any = (),
            level: int = 0,
        ) -> Any:
            # C code such as strptime or pickle imports in the name of the frame that called it, with a list.
            if level == 0 and type(fromlist) is not list:
                asking = frame(1).f_globals if globals is None else globals
                if asking is namespace or _name_of(asking, frame(1)) == "__main__":
                    words = self.refusal(name, tuple(fromlist or ()))
                    if words:
                        raise ImportPolicyError(words, name=name)
                    try:
                        return real(name, globals, locals, fromlist, level)
                    except ModuleNotFoundError as error:
                        if error.name == name.partition(".")[0] and (near := self._near(error.name)):
                            error.add_note(near)
                        raise
            return real(name, globals, locals, fromlist, level)

        return __import__

    def _guarded_call(self, real: Callable[..., Any], namespace: dict[str, Any]) -> Callable[..., Any]:
        frame = sys._getframe

        def import_module(name: str, package: str | None = None) -> Any:
            """Import a module by its name."""
            if not name.startswith(".") and frame(1).f_globals is namespace:
                words = self.refusal(name)
                if words:
                    raise ImportPolicyError(words, name=name)
            return real(name, package)

        return import_module

    def _words(self, module: str) -> str:
        advice = next((ADVICE[step] for step in reversed(_steps(module)) if step in ADVICE), None)
        if self._network and advice == ADVICE["socket"]:
            advice = self._of_network(module)
        if advice is None:
            beside = ", ".join(sorted(self.names))
            allowed = " and ".join(filter(None, ("the standard library" if self.base else "", beside))) or "nothing"
            advice = "; ".join(filter(None, (f"allowed is {allowed}", self._near(module))))
        return f"{module} cannot be imported here: {advice}"

    def _of_network(self, module: str) -> str | None:
        """What to do in place of a module that would reach outside, where some of that can be reached."""
        if not LISTENING.isdisjoint(_steps(module)):
            return f"nothing can listen in here: connections go out alone, to {', '.join(self._network)}"
        return "use urllib.request in its place" if self.base else None

    def _near(self, module: str) -> str:
        known = sorted(self.names) + (sorted(sys.stdlib_module_names - self._outside) if self.base else [])
        near = difflib.get_close_matches(
            module, [name for name in known if name[:1] != "_" and name != module], n=1, cutoff=0.75
        )
        return f"did you mean {near[0]!r}?" if near else ""

    def _is_own(self, spec: ModuleSpec) -> bool:
        """Whether the session wrote this module."""
        places = [spec.origin] if spec.origin else list(spec.submodule_search_locations or ())
        real = [os.path.realpath(place) for place in places]
        return any(_under(place, self._scratch) and not _under(place, self._installed) for place in real)


def _name_of(asking: dict[str, Any], frame: FrameType | None) -> Any:
    """The module that asks; of code that has none, as a library makes and runs by `exec`, the one that runs it."""
    while "__name__" not in asking and frame is not None:
        asking, frame = frame.f_globals, frame.f_back
    return asking.get("__name__", "__main__")


def _places() -> frozenset[str]:
    return _real({sys.prefix, sys.base_prefix, *filter(None, sys.path)})


def _steps(module: str) -> list[str]:
    """`a.b.c` -> a, a.b, a.b.c"""
    parts = module.split(".")
    return [".".join(parts[: i + 1]) for i in range(len(parts))]


def _is_known(top: str) -> bool:
    return top in sys.stdlib_module_names or top in WELL_KNOWN


def _find(top: str) -> ModuleSpec | None:
    try:
        return PathFinder.find_spec(top)
    except Exception:  # a finder that a cell put there
        return None


def _real(places: set[str]) -> frozenset[str]:
    return frozenset(os.path.realpath(place) for place in places)


def _under(place: str, roots: frozenset[str]) -> bool:
    return any(place.startswith(root + os.sep) for root in roots)


def _imports(tree: ast.AST) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Every import of the source, as module and names, but those that its own code is ready to see fail."""
    for node in unguarded(tree, _CATCHING):
        if isinstance(node, ast.Import):
            yield from ((alias.name, ()) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module, tuple(alias.name for alias in node.names)
