"""The launcher: exec-ed fresh, with an empty environment and one descriptor, it becomes the zygote of one Python.

It tries the one level that it was started for. When a layer of it cannot be had it says which and why, and ends: the
host decides what that means.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.machinery
import importlib.util
import json
import os
import resource
import signal
import socket
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from . import cgroups, deaths, folders, gate, inits, kernel, landlock, namespaces, preload, root, scratch, seccomp
from .folders import Folder
from .layers import Refused, layer
from .ring import Ring, open_ring
from .session import Wall, same_for_all
from .zygote import Zygote

_NOBODY = namespaces.Identity(65534, 65534, changes=True)


def run(control: int, without: frozenset[str] = frozenset()) -> None:
    """Serve on this descriptor until its other end is closed. `without` names layers that a test leaves out."""
    _own_signals()
    host = socket.socket(fileno=control)
    message = host.recv(1 << 20)
    if not message:
        return
    plan = json.loads(message)
    deaths.wish(plan["dies"])
    deaths.point("launcher begins")
    try:
        with _ring(without) as ring:
            if plan["level"] == "full":
                _become_full(host, plan, without, ring)
            else:
                _become_plain(host, plan, without, ring)
    except Refused as refusal:
        host.send(json.dumps({"failed": refusal.told()}).encode())
    if plan["level"] == "full":
        os._exit(0)  # number 1 of its namespace: all that it ever started ends with it


def _own_signals() -> None:
    """What the host blocks or ignores is inherited; here every signal is as Python has it."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    kept = (signal.SIGKILL, signal.SIGSTOP, signal.SIGPIPE, signal.SIGXFSZ)
    for number in signal.valid_signals() - set(kept):
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


@contextlib.contextmanager
def _ring(without: frozenset[str]) -> Iterator[Ring | None]:
    ring = None if "cgroup" in without else open_ring(cgroups.places())
    try:
        yield ring
    finally:
        if ring is not None:
            ring.close()


def _become_full(host: socket.socket, plan: dict[str, Any], without: frozenset[str], ring: Ring | None) -> None:
    abi = _filters()
    visible = tuple(filter(os.path.exists, plan["visible"]))
    shared = folders.from_plan(plan["folders"])
    hidden = tuple(root.below_scratch((*visible, *(folder.path for folder in shared))))
    with layer("proc"):
        proc = namespaces.open_proc()
    outside = namespaces.own(proc)
    nobody = namespaces.enter(proc, without)
    child = os.fork()
    if child:
        deaths.point("launcher forked")
        host.close()
        os._exit(abs(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])))
    kernel.die_with_parent()
    deaths.point("zygote begins")
    maker = inits.start(proc, host.fileno())
    deaths.point("maker started")
    root.build(visible, shared)
    deaths.point("root built")
    filters = {
        frozenset((*("network",) * network, *("snapshots",) * fork)): seccomp.program(
            level="full", fork=fork, network=network, landlock_abi=abi, pid=2
        )
        for network in (False, True)
        for fork in (False, True)
    }
    certificates = plan["certificates"]
    identity = _who(visible, shared, nobody, without)
    asks = gate.program()
    wall = Wall("full", visible, shared, hidden, identity, abi, proc, filters, certificates, asks, without, outside)
    ring = _that_holds(ring)
    serve, practise = _guest(plan)
    _serve(Zygote(host, wall, serve, practise, maker, None, ring), host, plan, ring)


def _become_plain(host: socket.socket, plan: dict[str, Any], without: frozenset[str], ring: Ring | None) -> None:
    abi = _filters()
    visible = tuple(filter(os.path.exists, plan["visible"]))
    shared = folders.from_plan(plan["folders"])
    for folder in shared:
        if folder.shut:
            named = os.path.join(folder.path, folder.shut[0].name)
            raise Refused("folder", "?", f"at the level plain {named} in a writable folder cannot be kept as it is")
    paths = {*_ways(visible), *_above(folder.path for folder in shared)}
    identity = _who(paths, shared, _NOBODY, without)
    reached = not identity.changes or all(map(_open_to_others, _ways((plan["scratch"],))))
    with layer("scratch"):
        ground = scratch.open_ground(plan["scratch"] if reached else "/tmp")
    with layer("proc"):
        proc = namespaces.open_proc()
    wall = Wall("plain", visible, shared, (), identity, abi, proc, None, plan["certificates"], without=without)
    ring = _that_holds(ring)
    try:
        serve, practise = _guest(plan)
        _serve(Zygote(host, wall, serve, practise, None, ground, ring), host, plan, ring)
    except BaseException:
        ground.close()
        raise


def _filters() -> int:
    """What no level does without. The answer is landlock's ABI."""
    abi = landlock.abi()
    if not abi:
        raise Refused("landlock", "ENOSYS", "this kernel has no landlock, or it is switched off or forbidden")
    if not seccomp.available():
        raise Refused("seccomp", "ENOSYS", "this kernel has no seccomp filters, or they are forbidden")
    return abi


def _who(
    paths: Iterable[str], shared: Iterable[Folder], nobody: namespaces.Identity, without: frozenset[str]
) -> namespaces.Identity:
    """Nobody where we are root and what must be visible is open to others; else oneself, without capabilities."""
    others = all(map(_open_to_others, paths)) and all(folder.to_all for folder in shared)
    if "user" not in without and os.geteuid() == 0 and others:
        return nobody
    return namespaces.Identity(os.geteuid(), os.getegid(), changes=False)


def _ways(paths: Iterable[str]) -> set[str]:
    """What the paths name, and every folder that is walked through on the way there."""
    found = set(paths)
    for path in paths:
        links, place = root.follow(path)
        found |= {str(folder) for each in (*links, place) for folder in Path(each).parents}
    return found


def _above(paths: Iterable[str]) -> set[str]:
    return {str(folder) for path in paths for folder in Path(path).parents}


def _open_to_others(path: str) -> bool:
    found = os.stat(path)
    wanted = 0o001 if stat.S_ISDIR(found.st_mode) else 0o004
    return found.st_mode & wanted == wanted


def _that_holds(ring: Ring | None) -> Ring | None:
    """None where nothing can be put into it. It is outside of the wall: that there is none is said, and no refusal."""
    return ring if ring is not None and ring.holds() else None


def _serve(zygote: Zygote, host: socket.socket, plan: dict[str, Any], ring: Ring | None) -> None:
    deaths.point("guest loaded")
    notes = preload.load(plan["preload"])
    zygote.rehearse()
    if plan["preload"] and zygote.threads() > 1:  # a fork, which the rehearsal was, ends those that may be
        raise Refused("preload", "?", f"threads are left of {', '.join(plan['preload'])}")
    told = {"stands": plan["level"], "notes": notes, "ring": ring.told if ring is not None else None}
    deaths.point("zygote stands")
    host.send(json.dumps(told).encode())
    deaths.point("zygote stood")
    zygote.run()


def _guest(plan: dict[str, Any]) -> tuple[Callable[[int], None], Callable[[], None]]:
    """Load the guest into what will be forked: the function that a session runs, and what is done before for all."""
    _, files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    kernel.few_arenas()
    same_for_all()
    sys.argv[:] = [""]
    sys.orig_argv[:] = [""]
    sys.prefix = sys.exec_prefix = plan["prefix"]
    sys.executable = plan["executable"]
    main = importlib.import_module(f"{_adopt('codeact_guest', plan['guest'])}.__main__")
    main.prepare(plan["site"])
    return main.serve, main.practise


def _adopt(name: str, folder: str) -> str:
    """Load a folder as a package of this name."""
    spec = importlib.util.spec_from_file_location(
        name, os.path.join(folder, "__init__.py"), submodule_search_locations=[folder]
    )
    assert spec is not None and spec.loader is not None
    package = importlib.util.module_from_spec(spec)
    sys.modules[name] = package
    spec.loader.exec_module(package)
    return name
