"""Run a command as if on another machine: `emulate.py docker|ubuntu|old|hidden|nolandlock|noseccomp -- COMMAND ...`

A filter of system calls answers for the machine that is not here, and every child inherits it. What it cannot show:
that a capability is missing while the call is allowed, and a landlock of an older ABI.
"""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2] / "src"
if __name__ == "__main__":
    sys.path.insert(0, str(SOURCE))

from codeact.sandboxes.linux import bpf, seccomp, syscalls  # noqa: E402
from codeact.sandboxes.linux.bpf import ALLOW, Check, Is, refuse  # noqa: E402

_NEW_NAMESPACES = 0x7E020000
_EPERM, _ENOSYS = refuse(errno.EPERM), refuse(errno.ENOSYS)
_MOUNTING = (
    "mount",
    "umount2",
    "pivot_root",
    "open_tree",
    "move_mount",
    "fsopen",
    "fsconfig",
    "fsmount",
    "mount_setattr",
)
_LANDLOCK = ("landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self")
_NO_NAMESPACE = Check(((Is(0, (0,), mask=_NEW_NAMESPACES),),), _EPERM)

MACHINES: dict[str, dict[str, bpf.Rule]] = {
    # moby's default profile, as it is without CAP_SYS_ADMIN
    "docker": {
        **dict.fromkeys((*_MOUNTING, "setns"), _EPERM),
        **dict.fromkeys(("unshare", "clone"), _NO_NAMESPACE),
        "clone3": _ENOSYS,
    },
    # kernel.apparmor_restrict_unprivileged_userns=1: the namespace is there, and nothing may be done in it
    "ubuntu": dict.fromkeys(_MOUNTING, _EPERM),
    # before 5.9: no landlock, none of the new calls for mounts
    "old": dict.fromkeys((*_LANDLOCK, "open_tree", "move_mount", "mount_setattr", "close_range"), _ENOSYS),
    # 5.13, or a container's filter that is older than its kernel: landlock, and none of the new calls
    "hidden": dict.fromkeys(("open_tree", "move_mount", "mount_setattr", "close_range", "faccessat2"), _ENOSYS),
    "nolandlock": dict.fromkeys(_LANDLOCK, _ENOSYS),
    "noseccomp": {
        "seccomp": _ENOSYS,
        "prctl": Check(((Is(0, tuple(n for n in range(80) if n not in (21, 22))),),), refuse(errno.EINVAL)),
    },
}


def become(machine: str) -> None:
    """Let this process, and all that it starts, see that machine."""
    rules = {syscalls.NUMBERS[name]: rule for name, rule in MACHINES[machine].items()}
    program = bpf.assemble(rules, arch=syscalls.MACHINES[syscalls.MACHINE], default=ALLOW, foreign=ALLOW)
    syscalls.call("prctl", 38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS
    seccomp.install(program)


def on(machine: str, *command: str) -> list[str]:
    """The command that runs this command on that machine."""
    return [sys.executable, __file__, machine, "--", *command]


if __name__ == "__main__":
    if len(sys.argv) < 4 or sys.argv[1] not in MACHINES or sys.argv[2] != "--":
        sys.exit(__doc__)
    become(sys.argv[1])
    os.execvp(sys.argv[3], sys.argv[3:])
