"""A check that is passed everywhere tests nothing: where nothing confines it, each must get out.

Each is run as root, unconfined, in a root to throw away (`bare.py`). Where that cannot be made every control is counted
as skipped, by its id.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from containment_checks import CHECKS, Check
from throwaway import missing

import codeact

CONTROLS = [check for check in CHECKS if not check.nocontrol]


@pytest.fixture(scope="module")
def bare() -> dict[str, dict[str, Any]]:
    """What came of each check."""
    why = missing()
    if why:
        pytest.skip(f"no check can be let out here: {why}")
    program = Path(__file__).with_name("bare.py")
    environ = {**os.environ, "PYTHONPATH": str(Path(codeact.__file__).parents[1])}
    done = subprocess.run([sys.executable, str(program)], env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {told["id"]: told for told in map(json.loads, done.stdout.splitlines())}


@pytest.mark.parametrize("check", [pytest.param(check, id=check.id) for check in CONTROLS])
def test_where_nothing_confines_it_it_gets_out(check: Check, bare: dict[str, dict[str, Any]]) -> None:
    assert not bare[check.id]["held"], bare[check.id]


def test_most_checks_have_a_control() -> None:
    assert len(CONTROLS) >= 40
    assert all(len(check.nocontrol) > 3 for check in CHECKS if check.nocontrol)
