"""What to do about a layer that a machine does not give. Each is a line to type, or a sentence."""

from __future__ import annotations

_USERNS = (
    "In a container, start it with a seccomp profile that allows unshare and mount, or with "
    "--security-opt seccomp=unconfined; on Ubuntu 24.04: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
)
_MENDS = {
    "user namespace": _USERNS,
    "mount": _USERNS,
    "landlock": "Linux 5.13 or newer is needed, with landlock among the lsm= of its command line.",
    "seccomp": "A kernel with CONFIG_SECCOMP_FILTER is needed, and a container that does not forbid it.",
    "scratch": "Give a temporary folder that can be written: set TMPDIR.",
    "fork": "The limit of processes or of memory is reached: see ulimit -u and the cgroup of this process.",
    "launcher": "Run `codeact doctor` to see what this machine gives.",
}


def mend(layer: str, code: str) -> str:
    """The advice for this layer that failed with this errno."""
    if code in ("ENOSPC", "EUSERS") and "namespace" in layer:
        return "Too many namespaces are in use: sysctl -w user.max_user_namespaces=100000 (and its siblings)."
    return _MENDS.get(layer) or (_USERNS if "namespace" in layer or "root" in layer else _MENDS["launcher"])
