"""What the doctor says of a machine: this one, and others that a filter of system calls plays."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from typing import Any

import pytest
from emulate import MACHINES, on

from codeact.sandboxes.linux import report
from codeact.sandboxes.linux.reasons import explain

_ASK = """
import asyncio, dataclasses, json
from codeact.cells import Cells
from codeact.core.errors import SandboxUnavailable
from codeact.core.execution import Policy
from codeact.sandboxes.linux import LinuxSandbox
from codeact.sandboxes.linux.report import inspect

async def does(require):
    try:
        async with Cells(LinuxSandbox(require), Policy()) as cells:
            return cells.level
    except SandboxUnavailable as unavailable:
        return unavailable.layer

done = {require: asyncio.run(does(require)) for require in ("plain", "full")}
print(json.dumps(dataclasses.asdict(inspect()) | {"done": done}))
"""


@cache
def reported(machine: str | None) -> dict[str, Any]:
    """The report as it is made on this machine, and what the sandbox does there: its level, or the layer it lacks."""
    command = [sys.executable, "-c", _ASK]
    done = subprocess.run(on(machine, *command) if machine else command, capture_output=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _layer(machine: str, name: str) -> dict[str, Any]:
    return next(layer for layer in reported(machine)["layers"] if layer["name"] == name)


# machine, level, the layer that is missing, its errno, a word of the reason, a word of the mend
OTHERS = [
    ("docker", "plain", "user namespace", "EPERM", "Docker", "docker run --security-opt seccomp=unconfined"),
    ("ubuntu", "plain", "mount", "EPERM", "forbids", "docker run"),
    ("old", None, "landlock", "ENOSYS", "5.13", "CONFIG_SECURITY_LANDLOCK"),
    ("nolandlock", None, "landlock", "ENOSYS", "5.13", "lsm="),
    ("noseccomp", None, "seccomp", "ENOSYS", "CONFIG_SECCOMP_FILTER", "seccomp"),
]


@pytest.mark.parametrize(("machine", "level", "name", "errno", "reason", "mend"), OTHERS)
def test_a_missing_layer_is_named_with_its_errno_its_cause_and_a_mend_that_is_called_untried(
    machine: str, level: str | None, name: str, errno: str, reason: str, mend: str
) -> None:
    assert reported(machine)["level"] == level
    layer = _layer(machine, name)
    assert (layer["ok"], layer["errno"], layer["tried"]) == (False, errno, False)
    assert reason in layer["reason"] and mend in layer["mend"]


def test_what_comes_after_a_missing_layer_was_not_reached_and_is_not_blamed() -> None:
    layer = _layer("docker", "pivot_root")
    assert (layer["ok"], layer["errno"], layer["mend"]) == (False, None, None)
    assert "not reached: user namespace" in layer["reason"]


def test_what_is_there_is_reported_although_something_else_is_not() -> None:
    assert all(_layer("docker", name)["ok"] for name in ("landlock", "seccomp", "rlimits", "no_new_privs"))
    assert all(_layer("ubuntu", name)["ok"] for name in ("user namespace", "pid namespace", "network namespace"))


def test_the_gaps_of_plain_are_listed_and_full_has_none() -> None:
    gaps = " ".join(reported("docker")["gaps"])
    for word in ("stat()", "process numbers", "name", "chmod()", "scratch"):
        assert word in gaps
    assert reported("nolandlock")["gaps"] == []
    if reported(None)["level"] == "full":
        assert reported(None)["gaps"] == []


@pytest.mark.parametrize("machine", [None, *MACHINES])
def test_the_report_says_what_the_sandbox_then_does(machine: str | None) -> None:
    level, done = reported(machine)["level"], reported(machine)["done"]
    missing = {layer["name"] for layer in reported(machine)["layers"] if not layer["ok"]}
    assert done["plain"] == level if level else done["plain"] in missing
    assert done["full"] == "full" if level == "full" else done["full"] in missing


@pytest.mark.parametrize("machine", [None, "docker"])
def test_a_locked_guest_has_tried_its_own_doors(machine: str | None) -> None:
    if reported(machine)["level"] is None:
        pytest.skip("nothing runs on this machine; its report says why")
    probes = {probe["name"]: probe["held"] for probe in reported(machine)["probes"]}
    assert {"read", "write", "list", "signal", "calls", "fork", "capabilities", "descriptors"} <= probes.keys()
    assert all(probes.values())
    assert reported("nolandlock")["probes"] == []


# layer, errno -> what the explanation speaks of, where no file of /proc says otherwise
EXPLAINED = [
    ("user namespace", "ENOSPC", "max_user_namespaces"),
    ("landlock", "EOPNOTSUPP", "not switched on at boot"),
    ("landlock", "EPERM", "a container's filter hides it"),
    ("user", "EPERM", "CAP_SETUID"),
    ("mount", "ENOSYS", "too old"),
    ("descriptors", "EINVAL", "fewer files than a session needs"),
]


@pytest.mark.parametrize(("layer", "errno", "words"), EXPLAINED)
def test_an_errno_is_explained(layer: str, errno: str, words: str) -> None:
    why, _ = explain(layer, errno)
    assert words in why


def test_an_errno_that_nobody_foresaw_is_not_explained_away() -> None:
    assert explain("rlimits", "EINVAL") == ("", None)


def test_the_report_of_this_machine_names_every_layer() -> None:
    found = report.inspect()
    assert {layer.name for layer in found.layers} >= {"user namespace", "mount", "landlock", "seccomp", "rlimits"}
    assert found.level in ("full", "plain", None)
