"""A machine that refuses a layer, or says that it put one up and did not: the start is refused, and the layer named.

Each row is one layer. `linux-full` never steps down; `linux` runs at plain where all of plain is there, else nowhere.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from emulate import on
from talk import at, sandbox, session

from codeact.core.errors import SandboxUnavailable

BIN = Path(sys.executable).parent

# the fault, a word of the layer that linux-full names, and what is left to linux: its level, or the layer it names
REFUSED = [
    ("no_namespaces", "user namespace", "plain"),
    ("no_mounts", "mount", "plain"),
    ("no_tmpfs", "mount", "plain"),
    ("short_of_memory", "mount", "mount"),  # that may be over in a moment: it is no machine without mounts
    ("no_landlock", "landlock", "landlock"),
    ("no_seccomp", "seccomp", "seccomp"),
    ("no_null", "descriptors", "descriptors"),
]
SILENT = [
    ("no_user_namespace", "user namespace", "plain"),
    ("no_mount_namespace", "mount", "plain"),
    ("no_pid_namespace", "fork", "plain"),
    ("no_network_namespace", "network namespace", "plain"),
    ("no_ipc_namespace", "ipc namespace", "plain"),
    ("no_uts_namespace", "uts namespace", "plain"),
    ("the_root_stays", "pivot_root", "plain"),
    ("nothing_is_hidden", "pivot_root", "plain"),
    ("the_scratch_is_not_mounted", "scratch", "plain"),
    ("seccomp_fails_silently", "seccomp", "seccomp"),
    ("landlock_fails_silently", "landlock", "landlock"),
    ("limits_are_not_set", "rlimits", "rlimits"),
    ("descriptors_stay", "descriptors", "descriptors"),
]
OF_ROOT = [
    ("capabilities_stay", "capabilities", "capabilities"),
    ("new_privileges_stay", "landlock", "landlock"),  # which the kernel then refuses to put up for nobody
]


@pytest.mark.parametrize(("fault", "named", "left"), [*REFUSED, *SILENT])
async def test_st_01_st_02_st_04_a_layer_that_is_missing_is_named_and_nothing_is_run(
    fault: str, named: str, left: str
) -> None:
    await _is_refused(fault, named, left)


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user has no rights that could stay")
@pytest.mark.parametrize(("fault", "named", "left"), OF_ROOT)
async def test_st_04_a_right_of_root_that_stays_is_named_and_nothing_is_run(fault: str, named: str, left: str) -> None:
    await _is_refused(fault, named, left)


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user stays who he is")
async def test_st_04_a_root_that_cannot_become_another_user_is_never_taken_for_one() -> None:
    at("full")
    with pytest.raises(SandboxUnavailable, match="user"):
        async with session(sandbox("the_user_stays", require="full")):
            pass


async def _is_refused(fault: str, named: str, left: str) -> None:
    at("full")  # the machine without the fault
    with pytest.raises(SandboxUnavailable) as caught:
        async with session(sandbox(fault, require="full")):
            pass
    assert named in caught.value.layer
    if left == "plain":
        async with session(sandbox(fault)) as ask:
            assert ask.pipe.level == "plain"
        return
    with pytest.raises(SandboxUnavailable) as caught:
        async with session(sandbox(fault)):
            pass
    assert left in caught.value.layer


@pytest.mark.parametrize(("machine", "level"), [("old_filter", "full"), ("old_kernel", "plain")])
async def test_where_newer_calls_are_hidden_sessions_start_all_the_same(machine: str, level: str) -> None:
    at("full")
    async with session(sandbox(machine)) as ask:
        assert ask.pipe.level == level
        assert await ask("result = 6 * 7") == 42


def test_st_01_the_demo_runs_on_a_machine_older_than_the_newer_calls(tmp_path: Path) -> None:
    command = on("hidden", str(BIN / "codeact"), "demo")
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "plain" in done.stdout + done.stderr
