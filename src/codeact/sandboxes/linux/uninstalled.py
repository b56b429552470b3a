"""Packages that code may import and that are not there: said when a session begins, before a model builds on them."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from ...core.execution import Policy
from .environment import Environment, path_lines


class ImportsWarning(UserWarning):
    """What code may import is not installed where code would look for it."""


def warn_of(policy: Policy, environment: Environment) -> None:
    """Tell of the modules that a policy names and that this Python does not have; of each once in a process."""
    here = tuple(mount.path for mount in policy.mounts)
    for name in dict.fromkeys(name.partition(".")[0] for name in policy.imports.names):
        if not any(_lies_in(place, name) for place in (*environment.site, *here)):
            _tell(environment, name)


@cache
def _tell(environment: Environment, name: str) -> None:
    if name in sys.stdlib_module_names or any(_has(place, name) for place in _places(environment)):
        return
    text = (
        f"imports: {name!r} is not installed in {environment.executable}: name its package in packages=[...], "
        "on the command line by --with, or install it there"
    )
    warnings.warn_explicit(text, ImportsWarning, "codeact", 0, registry={})


def _lies_in(place: str, name: str) -> bool:
    """What nearly always is asked: a folder, or a file of Python."""
    return os.path.isdir(f"{place}/{name}") or os.path.isfile(f"{place}/{name}.py")


def _has(place: str, name: str) -> bool:
    """The same, and what was compiled: no name of it is that of our own Python alone."""
    return _lies_in(place, name) or any(file.suffix in (".so", ".pyc") for file in Path(place).glob(f"{name}.*"))


def _places(environment: Environment) -> Iterator[str]:
    """Where a guest looks: what is installed, what path lines name, and the standard library of that Python."""
    for place in environment.site:
        yield from (place, *path_lines(place))
    version = ".".join(map(str, environment.version[:2]))
    for place in environment.visible:
        yield from (place, f"{place}/python{version}", f"{place}/python{version}/lib-dynload")
