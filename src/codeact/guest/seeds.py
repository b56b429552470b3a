"""The same seed, the same numbers: `random`, numpy's generators, os.urandom and what is made of it, as uuid4, secrets,
generators that were given no seed, and the names of temporary files.

A module that is imported in the middle of a cell is seeded the moment it is there.
"""

from __future__ import annotations

import _random
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from . import clock, databases, loops

_NUMPYS = 0x6E756D70
_FINDERS = tuple(sys.meta_path)
_WATCHED = ("random", "numpy.random", "tempfile", "uuid")
_FOLLOWED: dict[str, Callable[[Any], None]] = {
    "pandas": clock.follow_pandas,
    "concurrent.futures.thread": clock.follow_pools,
    "concurrent.futures._base": loops.follow_futures,
    "sqlite3.dbapi2": databases.follow_sqlite,
}


class Seeds:
    """The randomness of a session; also a finder on sys.meta_path, which finds nothing but sees who comes."""

    def __init__(self) -> None:
        self._seed = 0
        self._drawn: dict[int, _random.Random] = {}  # by the seed, what `urandom` gives, from when it is asked first
        self._looking = False
        self._followed: set[str] = set()
        os.urandom = self.urandom
        if hasattr(os, "getrandom"):
            os.getrandom = self._getrandom

    def begin(self, seed: str) -> None:
        """Seed what is there, for a cell; 32 hex digits."""
        self._seed = int(seed, 16)
        self._drawn = {}
        for name in _WATCHED:
            module = sys.modules.get(name)
            if module is not None:
                self._sow(name, module)

    def watch(self) -> None:
        """Be the first to see what a cell imports; what is there already is followed from here on."""
        if type(sys.meta_path) is not list:
            sys.meta_path = [*_FINDERS]
        if sys.meta_path[:1] != [self]:
            sys.meta_path.insert(0, self)
        for name in _FOLLOWED.keys() - self._followed:
            module = sys.modules.get(name)
            if module is not None:
                self._sow(name, module)

    def urandom(self, size: int, /) -> bytes:
        """Return a bytes object containing random bytes; the same ones for the same seed of the cell."""
        if size < 0:
            raise ValueError("negative argument not allowed")
        if not size:
            return b""
        made = self._drawn.get(self._seed)
        if made is None:  # of two threads that come at once, one has its own taken
            made = self._drawn.setdefault(self._seed, _random.Random(self._seed ^ 0x5DEECE66D))
        return made.getrandbits(8 * size).to_bytes(size, "little")

    def _getrandom(self, size: int, flags: int = 0) -> bytes:
        """Obtain a series of random bytes; the same ones for the same seed of the cell."""
        return self.urandom(size)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Ask the other finders, and have the module seeded once it is loaded."""
        if (name not in _WATCHED and name not in _FOLLOWED) or self._looking:
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
            kept, self._drawn = self._drawn, {self._seed: _random.Random(self._seed)}
            try:
                load(module)
            finally:
                self._drawn = kept
            self._sow(name, module)

        with suppress(AttributeError):  # a loader that cannot be followed: seeded from the next cell on
            loader.exec_module = exec_module

    def _sow(self, name: str, module: Any) -> None:
        try:
            if name in _FOLLOWED:
                if name not in self._followed:
                    self._followed.add(name)
                    _FOLLOWED[name](module)
            elif name == "random":
                module._urandom = self.urandom
                if name not in self._followed:
                    self._followed.add(name)
                    self._seed_the_seedless(module)
                _random.Random.seed(module._inst, self._seed)
                module._inst.gauss_next = None
            elif name == "tempfile":
                module._name_sequence = None  # its generator is made anew when a name is asked for
            elif name == "uuid":
                module._generate_time_safe = module._UuidCreate = None  # these look at the clock in C
                module._node = module._node or _random.Random(self._seed).getrandbits(48) | 1 << 40
            else:
                # The same generator as that of `random`: by the seed alone the two would draw the same numbers.
                module.seed([*(self._seed >> shift & 0xFFFFFFFF for shift in (0, 32, 64, 96)), _NUMPYS])
        except Exception:  # a module of this name that a cell made, or one it broke: its own numbers
            pass

    def _seed_the_seedless(self, module: Any) -> None:
        """`Random()` asks the system for a seed, in C."""
        real = module.Random.seed

        def seed(its: Any, a: Any = None, version: int = 2) -> None:
            real(its, int.from_bytes(self.urandom(32), "little") if a is None else a, version)

        seed.__doc__, seed.__qualname__, seed.__module__ = real.__doc__, real.__qualname__, real.__module__
        module.Random.seed = seed
        module.seed = module._inst.seed
