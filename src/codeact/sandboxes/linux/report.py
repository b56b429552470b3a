"""What this machine gives to the sandbox `linux`, in words that a person can act on. Nothing here is guessed."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

_HERE = Path(__file__).parent
_BOOT = """
import sys, types
package = types.ModuleType("codeact_linux")
package.__path__ = [sys.argv[1]]
sys.modules["codeact_linux"] = package
from codeact_linux import trial
trial.main()
"""


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer of the wall, and whether this machine lets us put it up.

    `errno` is the name of what the kernel answered, None where it was not asked; `mend` is a line to type, None where
    there is nothing to mend or no line does it; `tried` says whether we ever executed that line ourselves.
    """

    name: str
    ok: bool
    errno: str | None
    reason: str
    mend: str | None = None
    tried: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """The level that `linux` has here, None where nothing may run, and why."""

    level: Literal["full", "plain"] | None
    layers: tuple[Layer, ...]
    gaps: tuple[str, ...]
    landlock_abi: int = 0


GAPS_OF_PLAIN = (
    "stat() and readlink() answer for any path: names, sizes and times of files that cannot be opened",
    "process numbers are shared: that a process exists can be seen; it cannot be signalled, traced or read",
    "the guest is the user who started it, without capabilities; for root it is nobody where all can read the Python",
    "the machine's name, load and memory size are those of the host",
    "files of the scratch can be mapped as executable code",
    "the scratch is a folder of the host, bounded by looking at it every now and then",
    "chmod() and utime() answer that they were done and change nothing; there are no extended attributes",
)

_APPARMOR = Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")
_SWITCH = Path("/proc/sys/kernel/unprivileged_userns_clone")
_MOST = Path("/proc/sys/user/max_user_namespaces")
_MEND_CONTAINER = "docker run --security-opt seccomp=unconfined --security-opt apparmor=unconfined ..."
_MEND_APPARMOR = "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0"
_MEND_SWITCH = "sudo sysctl kernel.unprivileged_userns_clone=1"
_MEND_MOST = "sudo sysctl user.max_user_namespaces=15000"
_MEND_LANDLOCK = "a kernel from 5.13 on with CONFIG_SECURITY_LANDLOCK=y, booted with landlock in its lsm= line"


def inspect() -> Report:
    """Try each layer in a child that is thrown away; takes some 100 ms."""
    if sys.platform != "linux":
        reason = f"this is {platform.system()}: the layers are those of the Linux kernel"
        return Report(None, (Layer("kernel", False, None, reason, "codeact run --sandbox container ..."),), ())
    found = _try()
    of_full = [_layer(finding) for finding in found["full"]]
    of_both = [_layer(finding) for finding in found["both"]]
    level: Literal["full", "plain"] | None = None
    if all(layer.ok for layer in of_both):
        level = "full" if all(layer.ok for layer in of_full) else "plain"
    gaps = GAPS_OF_PLAIN if level == "plain" else ()
    return Report(level, (*of_full, *of_both, _cgroup()), gaps, found["landlock_abi"])


def _try() -> dict[str, Any]:
    command = [sys.executable, "-s", "-P", "-S", "-c", _BOOT, str(_HERE)]
    done = subprocess.run(command, env={}, stdin=subprocess.DEVNULL, capture_output=True, timeout=30, check=False)
    try:
        found: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        cause = (done.stderr.decode("utf-8", "replace").strip().splitlines() or [f"exit {done.returncode}"])[-1]
        return {"full": [], "both": [{"name": "python", "ok": False, "errno": None, "cause": cause}], "landlock_abi": 0}
    return found


def _layer(finding: dict[str, Any]) -> Layer:
    name, code = finding["name"], finding["errno"]
    if finding["ok"]:
        return Layer(name, True, None, "works")
    if code is None:
        return Layer(name, False, None, finding["cause"])
    why, mend = explain(name, code)
    return Layer(name, False, code, f"{finding['cause']}: {why}" if why else finding["cause"], mend)


def explain(name: str, code: str) -> tuple[str, str | None]:
    """The likely cause of a refusal in words, and the line that mends it. Also for `SandboxUnavailable`."""
    match name, code:
        case "landlock", "EOPNOTSUPP":
            return "it is built into the kernel and not switched on at boot", _MEND_LANDLOCK
        case "landlock", _:
            return "the kernel is older than 5.13 or built without it, or a container's filter hides it", _MEND_LANDLOCK
        case "seccomp", _:
            return "the kernel has no filters (CONFIG_SECCOMP_FILTER), or a container forbids them", _MEND_CONTAINER
        case "user", _:
            return "root may not become another user here (CAP_SETUID, CAP_SETGID)", "run codeact as an ordinary user"
        case "user namespace", "ENOSPC":
            return f"no user namespace is left to make (user.max_user_namespaces={_text(_MOST)})", _MEND_MOST
        case "user namespace", "EPERM" if _text(_SWITCH) == "0":
            return "ordinary users may make none (kernel.unprivileged_userns_clone=0)", _MEND_SWITCH
        case _, "EPERM" | "EACCES" if _text(_APPARMOR) == "1":
            cause = "AppArmor lets ordinary users make a user namespace and do nothing in it"
            return f"{cause} (kernel.apparmor_restrict_unprivileged_userns=1)", _MEND_APPARMOR
        case _, "EPERM" | "EACCES":
            return "a container's filter forbids it, as the default of Docker and of Podman does", _MEND_CONTAINER
        case _, "ENOSYS":
            return "the kernel is too old for it, or a container's filter hides it", None
        case _:
            return "", None


def _cgroup() -> Layer:
    """Not of the wall: memory and threads are bounded without it. Said, because people look for it."""
    if not Path("/sys/fs/cgroup/cgroup.controllers").exists():
        return Layer(
            "cgroup", False, None, "there is none of version 2; not needed: limits and the host's watch bound a guest"
        )
    try:
        own = Path("/proc/self/cgroup").read_text().strip().rpartition(":")[2]
        delegated = os.access(f"/sys/fs/cgroup{own}/cgroup.procs", os.W_OK)
    except OSError:
        delegated = False
    return Layer("cgroup", delegated, None, "delegated" if delegated else "not delegated to this user; not needed")


def _text(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:
        return ""
