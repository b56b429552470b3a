"""The same seed, the same numbers: `random`, numpy's global generator, os.urandom and what is made of it, as uuid4.

A module that is imported in the middle of a cell is seeded the moment it is there.
"""

from __future__ import annotations

import _random
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

_WATCHED = ("random", "numpy.random")


class Seeds:
    """The randomness of a session; also a finder on sys.meta_path, which finds nothing but sees who comes."""

    def __init__(self) -> None:
        self._bytes = _random.Random(0)
        self._seed = 0
        self._looking = False
        os.urandom = self.urandom

    def begin(self, seed: str) -> None:
        """Seed what is there, for a cell; 32 hex digits."""
        self._seed = int(seed, 16)
        self._bytes.seed(self._seed ^ 0x5DEECE66D)
        if sys.meta_path[:1] != [self]:
            sys.meta_path.insert(0, self)
        for name in _WATCHED:
            module = sys.modules.get(name)
            if module is not None:
                self._sow(name, module)

    def urandom(self, size: int, /) -> bytes:
        """Return a bytes object containing random bytes; the same ones for the same seed of the cell."""
        if size < 0:
            raise ValueError("negative argument not allowed")
        return self._bytes.getrandbits(8 * size).to_bytes(size, "little") if size else b""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Ask the other finders, and have the module seeded once it is loaded."""
        if name not in _WATCHED or self._looking:
            return None
        self._looking = True
        try:
            spec = next(filter(None, (finder.find_spec(name, path, target) for finder in sys.meta_path)), None)
        finally:
            self._looking = False
        if spec is not None and spec.loader is not None:
            self._follow(name, spec.loader)
        return spec

    def _follow(self, name: str, loader: Any) -> None:
        load = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            # What the import itself draws is not taken from the cell's numbers: those stay the same without it.
            kept, self._bytes = self._bytes, _random.Random(self._seed)
            try:
                load(module)
            finally:
                self._bytes = kept
            self._sow(name, module)

        with suppress(AttributeError):  # a loader that cannot be followed: seeded from the next cell on
            loader.exec_module = exec_module

    def _sow(self, name: str, module: Any) -> None:
        try:
            if name == "random":
                module._urandom = self.urandom
                module.seed(self._seed)
            else:
                module.seed([self._seed >> shift & 0xFFFFFFFF for shift in (0, 32, 64, 96)])
        except Exception:  # a module of this name that a cell made, or one it broke: its own numbers
            pass
