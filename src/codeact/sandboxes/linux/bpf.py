"""A table of system calls to a seccomp program: classic BPF, laid out as a binary tree of ranges.

A table maps a number to an action, or to a `Check` of the call's arguments. Everything else, another architecture and
x32 included, meets the default action. The program is written from its end, so that every jump already knows how far it
goes (classic BPF only jumps forward).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

ALLOW = 0x7FFF0000  # SECCOMP_RET_ALLOW, see seccomp(2)
_ERRNO = 0x00050000  # SECCOMP_RET_ERRNO

_LOAD = 0x20  # ld [k]
_AND = 0x54  # and #k
_JUMP = 0x05  # ja k
_EQUAL = 0x15  # jeq #k
_AT_LEAST = 0x35  # jge #k
_RETURN = 0x06  # ret #k
_NUMBER, _ARCH, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data
_LONGEST = 255  # a conditional jump's reach


def refuse(errno: int) -> int:
    """The action that answers a call with this errno, without executing it; 0 says that it was done."""
    return _ERRNO | errno


@dataclass(frozen=True, slots=True)
class Is:
    """That `argument` (from 0), under `mask`, is one of `values`.

    The kernel reads an int from the low half of the register, whatever stands above; a pointer or a long is `wide`.
    """

    argument: int
    values: tuple[int, ...]
    mask: int = 0xFFFFFFFF
    wide: bool = False


@dataclass(frozen=True, slots=True)
class Check:
    """Allow a call, or do `then`, when all the conditions of one of the `cases` hold; give `otherwise` when not."""

    cases: tuple[tuple[Is, ...], ...]
    otherwise: int
    then: int = ALLOW


Rule: TypeAlias = int | Check


class _Writer:
    """Instructions from the last to the first; a place is counted from the end."""

    def __init__(self) -> None:
        self._lines: list[bytes] = []
        self._returns: dict[int, int] = {}

    def program(self) -> bytes:
        return b"".join(reversed(self._lines))

    def answer(self, action: int) -> int:
        """Where the program ends with this action."""
        if action not in self._returns:
            self._returns[action] = self._write(_RETURN, action)
        return self._returns[action]

    def before(self, place: int, code: int, k: int) -> int:
        """An instruction after which the program goes on at `place`."""
        if place != len(self._lines) - 1:
            self._jump(place)
        return self._write(code, k)

    def branch(self, code: int, k: int, yes: int, no: int) -> int:
        """A conditional jump to one of two places."""
        yes, no = self._near(yes, 1), self._near(no, 0)
        here = len(self._lines)
        return self._write(code, k, here - yes - 1, here - no - 1)

    def _near(self, place: int, between: int) -> int:
        """A place that leads there, and is in reach when so many instructions come between."""
        if len(self._lines) - place - 1 + between <= _LONGEST:
            return place
        return self._jump(place)

    def _jump(self, place: int) -> int:
        return self._write(_JUMP, len(self._lines) - place - 1)

    def _write(self, code: int, k: int, yes: int = 0, no: int = 0) -> int:
        self._lines.append(struct.pack("=HBBI", code, yes, no, k))
        return len(self._lines) - 1


def assemble(table: Mapping[int, Rule], *, arch: int, default: int, foreign: int) -> bytes:
    """The program, as an array of struct sock_filter. `foreign` answers every call of another architecture, and x32."""
    writer = _Writer()
    for action in (foreign, default, ALLOW):
        writer.answer(action)
    ranges: list[tuple[int, int]] = []  # (first number, place that answers it)
    for number, rule in _ranges(table, default, foreign):
        ranges.append((number, writer.answer(rule) if isinstance(rule, int) else _check(writer, rule)))
    numbers = writer.before(_tree(writer, ranges), _LOAD, _NUMBER)
    writer.before(writer.branch(_EQUAL, arch, numbers, writer.answer(foreign)), _LOAD, _ARCH)
    return writer.program()


def _ranges(table: Mapping[int, Rule], default: int, foreign: int) -> list[tuple[int, Rule]]:
    """The table as the first numbers of runs that are answered alike."""
    edges = sorted({0, 0x40000000, *table, *(number + 1 for number in table)})
    runs: list[tuple[int, Rule]] = []
    for number in edges:
        rule = table.get(number, default if number < 0x40000000 else foreign)
        if not runs or runs[-1][1] != rule:
            runs.append((number, rule))
    return runs


def _tree(writer: _Writer, ranges: list[tuple[int, int]]) -> int:
    if len(ranges) == 1:
        return ranges[0][1]
    middle = len(ranges) // 2
    right = _tree(writer, ranges[middle:])
    left = _tree(writer, ranges[:middle])
    return writer.branch(_AT_LEAST, ranges[middle][0], right, left)


def _check(writer: _Writer, check: Check) -> int:
    place = writer.answer(check.otherwise)
    for case in reversed(check.cases):
        place = _case(writer, case, writer.answer(check.then), place)
    return place


def _case(writer: _Writer, case: tuple[Is, ...], place: int, otherwise: int) -> int:
    for condition in reversed(case):
        place = _condition(writer, condition, place, otherwise)
    return place


def _condition(writer: _Writer, condition: Is, holds: int, otherwise: int) -> int:
    if condition.wide and len(condition.values) != 1:
        raise ValueError("a wide argument is compared with one value")
    low = _ARGUMENTS + 8 * condition.argument  # little-endian, as both our architectures are
    if condition.wide:
        high = writer.branch(_EQUAL, condition.values[0] >> 32, holds, otherwise)
        holds = writer.before(high, _LOAD, low + 4)
    place = otherwise
    for value in reversed(condition.values):
        place = writer.branch(_EQUAL, value & 0xFFFFFFFF, holds, place)
    if condition.mask != 0xFFFFFFFF:
        place = writer.before(place, _AND, condition.mask)
    return writer.before(place, _LOAD, low)
