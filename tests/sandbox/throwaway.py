"""A root to throw away: everything of this machine is there, and what is changed in it is gone with its last process.

Also what stands in for the launcher's entry where a test leaves layers out: a file that `ablated` writes. No option of
the product leads here.
"""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import machine

HERE = Path(__file__).resolve().parent

_ENTRY = """
import sys
sys.path.insert(0, {here!r})
import throwaway
sys.path.pop(0)
throwaway.launch(int(sys.argv[1]), frozenset({without!r}), {plain!r}, {secret!r}, {sockets!r})
"""


def enter(sockets: Iterable[str] = (), *, own: int = 0) -> None:
    """Make the root and go there. `own` are kinds of namespaces to have beside that of mounts.

    It is an overlay whose changes lie in memory. A socket is only reached by the very file that it was bound to.
    """
    if "codeact_linux" not in sys.modules:
        machine.adopt()
    kernel = machine.module("kernel")
    kernel.unshare(kernel.NEWNS | own)
    kernel.mount("none", "/", flags=kernel.MS_REC | kernel.MS_PRIVATE)
    stage = "/sys"  # there on every machine, and nothing below it is wanted
    kernel.mount("tmpfs", stage, "tmpfs")
    for name in ("changed", "work", "root"):
        os.mkdir(f"{stage}/{name}")
    root = f"{stage}/root"
    kernel.mount("overlay", root, "overlay", data=f"lowerdir=/,upperdir={stage}/changed,workdir={stage}/work")
    for path in ("/proc", "/dev", *sockets):
        kernel.mount(path, root + path, flags=kernel.MS_BIND | kernel.MS_REC)
    if os.path.isdir("/dev/shm"):
        kernel.mount("tmpfs", root + "/dev/shm", "tmpfs")
    kernel.enter_root(root)


def launch(control: int, without: frozenset[str], plain: bool, secret: str, sockets: list[str]) -> None:
    """Be a launcher in a root to throw away, on a machine that refuses namespaces where `plain` says so."""
    enter(sockets)
    if plain:
        machine.refuse("unshare", code=errno.EPERM)
    if "env" in without:
        vars(machine.module("layers"))["inherited"] = secret  # a heap that was forked from the host's has it too
    machine.module("launcher").run(control, without)


def ablated(folder: Path, without: frozenset[str], plain: bool, secret: str, sockets: Iterable[str]) -> Path:
    """The entry of a launcher that leaves these layers out, written into the folder."""
    entry = folder / f"{len(os.listdir(folder))}.py"
    known = dict(here=str(HERE), without=sorted(without), plain=plain, secret=secret, sockets=list(sockets))
    entry.write_text(_ENTRY.format(**known))
    return entry


def missing() -> str:
    """Why such a root cannot be made here; empty where it can."""
    if os.geteuid() != 0:
        return "only root can make a root to throw away"
    code = "import throwaway; throwaway.enter()"
    tried = subprocess.run([sys.executable, "-c", code], cwd=HERE, capture_output=True, text=True, check=False)
    return tried.stderr.strip().rpartition("\n")[2]
