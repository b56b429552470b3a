"""Times and sizes as a person would say them."""

from __future__ import annotations

from .execution import MIB


def seconds(number: float) -> str:
    """`0.4 s`, `30 s`"""
    return f"{number:.0f} s" if number >= 10 or number == int(number) else f"{number:.1f} s"


def size(number: int) -> str:
    """`512 MiB`, `1.5 GiB`"""
    return f"{number / (1024 * MIB):.4g} GiB" if number >= 1024 * MIB else f"{number / MIB:.4g} MiB"
