"""Packages that the zygote imports and warms once, so that they are there in each session that is forked from it.

Known ones only: their import starts no thread that outlives a fork, keeps no descriptor and draws no randomness that a
session would share. OpenBLAS's threads end at every fork and come back in who uses them. One that is not installed is
left out; one that fails is left out and said; sessions import it themselves, or see it fail, as without any of this.

A preloaded package runs in the zygote, before there are filters. So there is no preload at the level plain, where the
zygote has nothing round it, and none of a package that the policy does not name.
"""

from __future__ import annotations

import importlib
import io
import sys
from collections.abc import Callable, Iterable
from typing import Any


def profile(names: Iterable[str]) -> tuple[str, ...]:
    """What is preloaded for a policy that names these modules."""
    wanted = {name.partition(".")[0] for name in names}
    return tuple(name for name in _WARM_UPS if name in wanted)


def load(names: Iterable[str]) -> list[str]:
    """Import and warm these; the answer is what went wrong, in words."""
    notes = []
    writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    for name in names:
        try:
            _WARM_UPS[name](importlib.import_module(name))
        except BaseException as error:
            if not (isinstance(error, ModuleNotFoundError) and error.name == name):
                notes.append(f"{name} is not preloaded: {type(error).__name__}: {error}")
    sys.dont_write_bytecode = writes
    openssl = sys.modules.get("_ssl")
    if openssl is not None:
        openssl.RAND_status()  # its start would cost each session 2.5 MB; it is seeded anew after the fork
    return notes


def _numpy(numpy: Any) -> None:
    square = numpy.arange(16.0).reshape(4, 4) + numpy.eye(4)
    numpy.linalg.solve(square, square @ square)
    repr((square.mean(axis=0), numpy.sort(square[0]), square > 1))


def _pandas(pandas: Any) -> None:
    table = pandas.read_csv(io.StringIO("a,b,c\nx,1,2020-01-01\ny,2.5,2020-01-02\nx,3,\n"), parse_dates=["c"])
    sums = table.groupby("a")["b"].agg(["sum", "mean"])
    joined = table.merge(sums, left_on="a", right_index=True).sort_values("b")
    repr((table, sums, joined, joined.describe(), joined[joined["b"] > 1].to_dict("records")))


_WARM_UPS: dict[str, Callable[[Any], None]] = {"numpy": _numpy, "pandas": _pandas}  # what others need comes first
