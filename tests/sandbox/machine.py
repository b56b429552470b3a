"""The launcher on another machine, or with a fault: a link to this file is named after one of those below.

It stands where the launcher's entry stands, in the launcher's process; no option of the product leads here.
"""

import errno
import importlib
import importlib.machinery
import importlib.util
import os
import sys
from pathlib import Path

LINUX = Path(__file__).resolve().parents[2] / "src" / "codeact" / "sandboxes" / "linux"


def adopt():
    spec = importlib.machinery.ModuleSpec("codeact_linux", None, is_package=True)
    spec.submodule_search_locations = [str(LINUX)]
    sys.modules["codeact_linux"] = importlib.util.module_from_spec(spec)


def module(name):
    return importlib.import_module(f"codeact_linux.{name}")


def refuse(*names, code):
    """From here on the kernel gives these calls this errno."""
    bpf, syscalls = module("bpf"), module("syscalls")
    rules = {syscalls.NUMBERS[name]: bpf.refuse(code) for name in names}
    program = bpf.assemble(rules, arch=syscalls.MACHINES[syscalls.MACHINE], default=bpf.ALLOW, foreign=bpf.ALLOW)
    module("kernel").no_new_privileges()
    module("seccomp").install(program)


def sabotage(room, name):
    """A layer that says it was put up and was not."""
    setattr(module(room), name, lambda *_, **__: None)


def without_kind(name):
    """A kernel that says it made a namespace of this kind and did not."""
    kernel = module("kernel")
    real, flag = kernel.unshare, getattr(kernel, name)
    kernel.unshare = lambda flags: real(flags & ~flag) if flags & ~flag else None


def without_file(path):
    """A machine on which this file is not there."""
    real = os.open

    def opened(name, *arguments, **named):
        if name == path:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        return real(name, *arguments, **named)

    os.open = opened


def without_tmpfs():
    """A machine where everything can be mounted but that."""
    kernel = module("kernel")
    real = kernel.mount

    def mounted(source, target, kind="", flags=0, data=""):
        if kind == "tmpfs":
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
        real(source, target, kind, flags, data)

    kernel.mount = mounted


def old_kernel():
    """5.13, the first with landlock, behind a filter that hides what came shortly before it."""
    refuse("open_tree", "move_mount", "mount_setattr", "close_range", "openat2", "faccessat2", code=errno.ENOSYS)
    module("landlock").abi = lambda: 1


def no_watch_of_forks(code):
    """A kernel, or a box around this one, that gives no listener for system calls."""
    gate = module("gate")
    real = gate.seccomp.install

    def install(program, *flags):
        if flags:
            raise OSError(code, os.strerror(code))
        return real(program)

    gate.seccomp.install = install


MACHINES = {
    "no_watch_of_forks": lambda: no_watch_of_forks(errno.EINVAL),
    "another_watches": lambda: no_watch_of_forks(errno.EBUSY),
    "old_kernel": old_kernel,
    "old_filter": lambda: refuse("close_range", "faccessat2", "openat2", code=errno.EPERM),
    "no_null": lambda: without_file("/dev/null"),
    "no_tmpfs": without_tmpfs,
    "no_user_namespace": lambda: without_kind("NEWUSER"),
    "no_mount_namespace": lambda: without_kind("NEWNS"),
    "no_pid_namespace": lambda: without_kind("NEWPID"),
    "no_network_namespace": lambda: without_kind("NEWNET"),
    "no_ipc_namespace": lambda: without_kind("NEWIPC"),
    "no_uts_namespace": lambda: without_kind("NEWUTS"),
    "the_root_stays": lambda: sabotage("kernel", "enter_root"),
    "nothing_is_hidden": lambda: sabotage("root", "build"),
    "the_scratch_is_not_mounted": lambda: sabotage("root", "mount_scratch"),
    "limits_are_not_set": lambda: sabotage("session", "_limit"),
    "new_privileges_stay": lambda: sabotage("kernel", "no_new_privileges"),
    "descriptors_stay": lambda: sabotage("kernel", "close_from"),
    "the_user_stays": lambda: sabotage("namespaces", "leave_root"),
    "no_namespaces": lambda: refuse("unshare", code=errno.EPERM),
    "short_of_memory": lambda: refuse("mount", code=errno.ENOMEM),
    "no_mounts": lambda: refuse("mount", code=errno.EPERM),
    "no_landlock": lambda: refuse("landlock_create_ruleset", code=errno.ENOSYS),
    "no_seccomp": lambda: refuse("seccomp", code=errno.ENOSYS),
    "seccomp_fails_silently": lambda: sabotage("seccomp", "install"),
    "landlock_fails_silently": lambda: sabotage("landlock", "restrict"),
    "capabilities_stay": lambda: sabotage("kernel", "drop_capabilities"),
}

LEFT_OUT = {"limits_left_out": frozenset({"rlimit"})}

if __name__ == "__main__":
    adopt()
    name = Path(sys.argv[0]).stem
    MACHINES.get(name, lambda: None)()
    module("launcher").run(int(sys.argv[1]), LEFT_OUT.get(name, frozenset()))
