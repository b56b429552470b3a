"""The launcher on another machine, or with a fault: a link to this file is named after one of those below.

It stands where the launcher's entry stands, in the launcher's process; no option of the product leads here.
"""

import errno
import importlib
import importlib.machinery
import importlib.util
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


MACHINES = {
    "no_namespaces": lambda: refuse("unshare", code=errno.EPERM),
    "no_mounts": lambda: refuse("mount", code=errno.EPERM),
    "no_landlock": lambda: refuse("landlock_create_ruleset", code=errno.ENOSYS),
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
