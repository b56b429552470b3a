"""Ways out, tried on the real kernel at both levels: one test each, by its id, and the host intact after every one.

The table is `containment_checks.py`. The import policy is off, but in ip-*. A check passes only when its cell ran.
"""

from __future__ import annotations

import ast
import builtins
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from canaries import Canaries
from containment_checks import CHECKS, Check
from sessions import FREE, session_at

from codeact.core.execution import Imports, Limits, Outcome, Policy
from codeact.sandboxes.linux.report import GAPS_OF_PLAIN

FEW = Imports(("math", "random", "gc", "builtins", "sys"), base=False)  # for ip-*
SHORT = Limits(seconds=0.5, grace=0.2, memory=1 << 29)

# What stands open at plain, where the layers that would stop it are absent: the outcome, and the gap that names it.
OPEN_AT_PLAIN: dict[str, tuple[Any, str]] = {
    "pr-03": ("/proc/kallsyms", "stat() and readlink()"),
    "pr-05": (True, "the machine's name"),
    "fw-10": ("mapped", "mapped as executable"),
}
# Open there for root alone, and only where nobody else can read the Python that is to run.
OPEN_AT_PLAIN_FOR_ROOT = {"pr-07": (True, "the guest is the user")}


@pytest.mark.parametrize("check", [pytest.param(check, id=check.id) for check in CHECKS])
async def test_way_out(check: Check, level: str, host: Canaries) -> None:
    async with session_at(level, host, policy_of(check)) as session:
        code = check.source
        if not check.id.startswith("ip-"):
            await session.prepare()
            code = code.replace("'/tmp", f"'{await session.value('os.getcwd()')}")
        outcome = await session.run(code)
        assert host.secret not in repr(outcome)
        gap = _gap(check) if level == "plain" else None
        if gap is None:
            assert held(check, outcome), outcome
        else:
            assert gap[0] in _listed(outcome.value), outcome
            assert any(gap[1] in text for text in GAPS_OF_PLAIN)
        after = await session.run("print(6 * 7)")  # in this guest, or in the one that replaced it
        assert (after.ok, after.stdout) == (True, "42\n")


def policy_of(check: Check) -> Policy:
    limits = SHORT if check.kill else FREE.limits
    return replace(FREE, limits=limits, imports=FEW if check.id.startswith("ip-") else FREE.imports)


def held(check: Check, outcome: Outcome) -> bool:
    """Whether the outcome is one of those that the check accepts."""
    if outcome.ended in ("timeout", "memory", "signal", "exit"):
        return outcome.ended in check.dies
    if outcome.error is not None:
        return any(name in check.raises for name in _bases(outcome.error.type))
    value = None if outcome.value is None else _literal(outcome.value)
    if check.most is not None:
        return isinstance(value, int) and value <= check.most
    return any(value == accepted and type(value) is type(accepted) for accepted in check.values)


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text  # no literal: some object, which no check accepts


def _bases(name: str) -> list[str]:
    kind = getattr(builtins, {"ImportPolicyError": "ImportError", "gaierror": "OSError"}.get(name, name), None)
    return [name, *(base.__name__ for base in kind.__mro__)] if isinstance(kind, type) else [name, "Exception"]


def _gap(check: Check) -> tuple[Any, str] | None:
    if check.id in OPEN_AT_PLAIN_FOR_ROOT and os.geteuid() == 0 and not _readable_by_all(sys.base_prefix):
        return OPEN_AT_PLAIN_FOR_ROOT[check.id]
    return OPEN_AT_PLAIN.get(check.id)


def _readable_by_all(path: str) -> bool:
    return all(os.stat(folder).st_mode & 0o001 for folder in (path, *Path(path).parents))


def _listed(value: str | None) -> list[Any]:
    found = ast.literal_eval(str(value))
    return found if isinstance(found, list) else [found]


def test_every_id_is_there_once() -> None:
    assert len({check.id for check in CHECKS}) == len(CHECKS) >= 77
    assert {check.id for check in CHECKS} >= OPEN_AT_PLAIN.keys() | OPEN_AT_PLAIN_FOR_ROOT.keys()
