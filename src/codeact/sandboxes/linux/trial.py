"""What this machine gives, found by doing it: each layer is really put up, in a child that is thrown away.

Runs in a fresh Python of its own (`report.py` starts it), where there is one thread, and prints JSON.
"""

from __future__ import annotations

import errno
import json
import os
import resource
from collections.abc import Callable, Sequence
from typing import TypeAlias

from . import kernel, landlock, namespaces, root, seccomp, syscalls
from .layers import Refused, layer

Finding: TypeAlias = dict[str, "str | bool | None"]

# In the order of putting them up: one that fails keeps those after it from being tried.
_NAMESPACES = tuple(f"{kind} namespace" for kind in ("user", "mount", "pid", "network", "ipc", "uts"))
_OF_FULL = (*_NAMESPACES, "mount", "pivot_root", "scratch")


def main() -> None:
    """Try everything and print what was found."""
    of_both = {
        "user": _user,
        "capabilities": _capabilities,
        "no_new_privs": _no_new_privileges,
        "landlock": _landlock,
        "seccomp": _seccomp,
        "rlimits": _rlimits,
    }
    full = _after(_OF_FULL, _in_child(_namespaces))
    both = [_after((name,), _in_child(attempt))[0] for name, attempt in of_both.items()]
    print(json.dumps({"full": full, "both": both, "landlock_abi": landlock.abi()}))


def _after(names: Sequence[str], refused: dict[str, str] | None) -> list[Finding]:
    """What is known of the layers that were put up in this order until one, or none, was refused."""
    if refused is None:
        return [{"name": name, "ok": True, "errno": None, "cause": ""} for name in names]
    failed = names.index(refused["layer"]) if refused["layer"] in names else 0
    late = f"not reached: {names[failed]} comes first"
    return [
        *({"name": name, "ok": True, "errno": None, "cause": ""} for name in names[:failed]),
        {"name": names[failed], "ok": False, "errno": refused["code"], "cause": refused["cause"]},
        *({"name": name, "ok": False, "errno": None, "cause": late} for name in names[failed + 1 :]),
    ]


def _in_child(attempt: Callable[[], None]) -> dict[str, str] | None:
    """Do it in a child: None when it went well, else what was refused."""
    theirs, ours = os.pipe()
    child = os.fork()
    if child == 0:
        _report(attempt, ours)
    os.close(ours)
    with open(theirs, "rb") as said:
        answer = said.read()
    os.waitpid(child, 0)
    refused: dict[str, str] | None = (
        json.loads(answer) if answer else {"layer": "", "code": "?", "cause": "the child died"}
    )
    return refused


def _report(attempt: Callable[[], None], to: int) -> None:
    refused: dict[str, str] | None = {"layer": "", "code": "?", "cause": "it did not end"}
    try:
        attempt()
        refused = None
    except Refused as refusal:
        refused = refusal.told()
    except OSError as error:
        refused = {"layer": "", "code": errno.errorcode.get(error.errno or 0, "?"), "cause": error.strerror or ""}
    except BaseException as error:
        refused = {"layer": "", "code": "?", "cause": f"{type(error).__name__}: {error}"}
    finally:
        os.write(to, json.dumps(refused).encode())
        os._exit(0)


def _namespaces() -> None:
    proc = namespaces.open_proc()
    identity = namespaces.enter(proc)
    refused = _in_child(lambda: _world(identity))
    if refused is not None:
        raise Refused(refused["layer"] or "pid namespace", refused["code"], refused["cause"])


def _world(identity: namespaces.Identity) -> None:
    with layer("pid namespace"):
        if os.getpid() != 1:
            raise OSError(errno.EINVAL, f"the first process in it has number {os.getpid()}")
    root.build([os.path.dirname(os.__file__)])
    with layer("scratch"):
        root.mount_scratch(1 << 20, 10, identity.uid, ())


def _user() -> None:
    """Root has to become somebody else; anybody else may stay who they are."""
    if os.geteuid() == 0:
        namespaces.leave_root(65534, 65534)


def _capabilities() -> None:
    kernel.drop_capabilities()


def _no_new_privileges() -> None:
    kernel.no_new_privileges()


def _landlock() -> None:
    abi = landlock.abi()
    if abi < 1:
        syscalls.call("landlock_create_ruleset", None, 0, 1)  # its errno tells absent from switched off
    kernel.no_new_privileges()
    landlock.restrict(read=[os.path.dirname(os.__file__)], abi=abi)
    try:
        os.listdir("/")
    except OSError:
        return
    raise OSError(errno.EINVAL, "it was put up and does not hold")


def _seccomp() -> None:
    program = seccomp.program(level="plain", landlock_abi=landlock.abi(), pid=os.getpid())
    kernel.no_new_privileges()
    seccomp.install(program)
    try:
        child = os.fork()
    except OSError:
        return
    if child == 0:
        os._exit(0)
    raise OSError(errno.EINVAL, "it was put up and does not hold")


def _rlimits() -> None:
    for kind in (
        resource.RLIMIT_DATA,
        resource.RLIMIT_AS,
        resource.RLIMIT_NPROC,
        resource.RLIMIT_NOFILE,
        resource.RLIMIT_FSIZE,
    ):
        _, highest = resource.getrlimit(kind)
        bound = (1 << 40) if highest == resource.RLIM_INFINITY else highest
        resource.setrlimit(kind, (bound, bound))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
