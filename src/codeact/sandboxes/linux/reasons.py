"""Why a layer is refused, and the line that mends it: from the layer's name, the errno, and what this machine says."""

from __future__ import annotations

from pathlib import Path

_APPARMOR = Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")
_SWITCH = Path("/proc/sys/kernel/unprivileged_userns_clone")
_MOST = Path("/proc/sys/user/max_user_namespaces")
_PODMAN = Path("/run/.containerenv")  # Podman puts it into each of its containers
_MEND_CONTAINER = "docker run --security-opt seccomp=unconfined --security-opt apparmor=unconfined ..."
_MEND_PODMAN = "podman run --security-opt seccomp=unconfined ..."
_MEND_APPARMOR = "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0"
_MEND_SWITCH = "sudo sysctl kernel.unprivileged_userns_clone=1"
_MEND_MOST = "sudo sysctl user.max_user_namespaces=15000"
_MEND_CGROUP = "systemd-run --user --pty --property=Delegate=yes --property=DelegateSubgroup=host codeact ..."
_MEND_LANDLOCK = "a kernel from 5.13 on with CONFIG_SECURITY_LANDLOCK=y, booted with landlock in its lsm= line"
TRIED = frozenset({_MEND_PODMAN})  # the lines that we executed, and saw mend it


def explain(name: str, code: str) -> tuple[str, str | None]:
    """The likely cause of a refusal in words, and the line that mends it. Also for `SandboxUnavailable`."""
    match name, code:
        case "cgroup", "EACCES" if Path("/run/systemd/system").exists():
            return "our control group is not ours to divide", _MEND_CGROUP
        case "cgroup", "EACCES":
            return "our control group is not ours to divide", None
        case "cgroup", _:
            return "a group that could be made when the launcher started cannot be made any more", None
        case "descriptors", "EINVAL" | "EMFILE":
            return "this process may open fewer files than a session needs", "ulimit -n 1024"
        case "launcher" | "session", _:
            return "that tells nothing of what this machine gives, so nothing weaker was tried", None
        case "landlock", "EOPNOTSUPP":
            return "it is built into the kernel and not switched on at boot", _MEND_LANDLOCK
        case "landlock", _:
            return "the kernel is older than 5.13 or built without it, or a container's filter hides it", _MEND_LANDLOCK
        case "seccomp", _:
            return "the kernel has no filters (CONFIG_SECCOMP_FILTER), or a container forbids them", _container()
        case "folder", "EACCES":
            return "", "run codeact as its owner, or open the folder and those above it to others by chmod"
        case "folder", "ENOSYS" | "EPERM":
            return "the kernel is older than 5.12, or a container's filter forbids it", None
        case "folder", _:
            return "", None
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
            return "a container's filter forbids it, as the default of Docker and of Podman does", _container()
        case _, "ENOSYS":
            return "the kernel is too old for it, or a container's filter hides it", None
        case _:
            return "", None


def _container() -> str:
    return _MEND_PODMAN if _PODMAN.exists() else _MEND_CONTAINER


def _text(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:
        return ""
