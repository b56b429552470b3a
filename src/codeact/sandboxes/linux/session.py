"""From a fork of the zygote to a locked guest: one layer after the other, each named if it fails, then no way back."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import os
import random
import resource
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from . import deaths, folders, gate, kernel, landlock, namespaces, probes, root, seccomp
from .folders import Folder
from .layers import Refused, layer

_CHANNEL, _LIFE, _PROC = 3, 4, 5  # after 0, 1 and 2; the last two are closed before the guest begins
_NETWORK = 6  # where hosts may be reached
OF_A_COPY = 4  # threads and processes, ended ones too, that count for one beside those that the cell may have
_AT_PLAIN = "at the level plain a copy could outlive its session: snapshots need the level full"
_HIGH = 64  # above all of these
_FILES = 1024 + 3  # three more, which the guest keeps out of the way above the cell's own
# Addresses that are no memory yet, or a file's: libraries, and what allocators and threads set aside. With pandas,
# scikit-learn and polars it is half a gigabyte. What is shared and written to is counted by who watches from outside.
_RESERVED = 1 << 30
_OF_ITS_OWN = kernel.NEWUSER | kernel.NEWNS | kernel.NEWNET | kernel.NEWIPC | kernel.NEWUTS | kernel.NEWCGROUP
_OTHERS = 1024  # at the level plain the kernel counts all threads of the user: room for sessions that start later
_VARIABLES = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "PYTHONHASHSEED": "0"}


@dataclass(frozen=True, slots=True)
class Wall:
    """What holds for all sessions of a launcher. `without` is empty but in tests of single layers."""

    level: seccomp.Level
    visible: tuple[str, ...]
    shared: tuple[Folder, ...]
    below_scratch: tuple[str, ...]  # the visible ones that a scratch at its path would hide
    identity: namespaces.Identity
    landlock_abi: int
    proc: int
    filters: Mapping[frozenset[str], bytes] | None  # seccomp's, by features; None where they have to know the pid
    certificates: str | None  # a file, of those that are visible
    gate: bytes | None = None  # the program that asks about forks; None where none can ever pass
    without: frozenset[str] = frozenset()
    outside: Mapping[str, str] = field(default_factory=dict)  # the host's namespaces by kind: none may be a session's

    @property
    def features(self) -> frozenset[str]:
        """What every session of it may beside what is usual."""
        return frozenset({"writable"} if any(folder.writable for folder in self.shared) else ())


@dataclass(frozen=True, slots=True)
class Order:
    """A session to be made: its bounds and its descriptors. `network` is the line on which it asks for connections.

    `copies` is how many there may be of it, if any; `gate` the zygote's line on which it hands over the gate of forks.
    """

    memory: int
    threads: int
    scratch: int
    inodes: int
    channel: int
    stdout: int
    stderr: int
    life: int
    network: int | None = None
    copies: int = 0
    gate: int | None = None

    @property
    def of_guest(self) -> tuple[int, ...]:
        """The descriptors that the guest keeps."""
        return (self.channel, self.stdout, self.stderr, *(() if self.network is None else (self.network,)))

    @property
    def features(self) -> frozenset[str]:
        """What this session may beside what every session may; they stand on its level."""
        given = {"network": self.network is not None, "snapshots": self.gate is not None}
        return frozenset(name for name, is_given in given.items() if is_given)


def same_for_all() -> None:
    """In the process that sessions are forked from: what of its surroundings they all have."""
    os.environ.clear()
    os.environ.update(_VARIABLES, HOME=root.SCRATCH, TMPDIR=root.SCRATCH)


def live(
    wall: Wall,
    order: Order,
    serve: Callable[..., None],
    folder: str,
    parent: int,
    enter: Callable[[], None] | None,
) -> NoReturn:
    """Become the session and never return. A failure before the guest begins is told to the host.

    `folder` is where its scratch is, `parent` the zygote, with whom it ends; `enter` puts it into its control group.
    """
    status, line = 70, order.life
    try:
        deaths.point("session begins")
        if enter is not None:
            with layer("cgroup"):
                enter()
        _keep_descriptors(wall, order)
        line = _LIFE
        ready = _confine(wall, order, folder, parent)
        deaths.point("session confined")
        os.write(_LIFE, json.dumps({"ready": ready}).encode())
        os.close(_LIFE)
        deaths.point("session told")
        if order.network is None:
            serve(_CHANNEL)
        else:
            serve(_CHANNEL, network=_NETWORK)
        status = 0
    except Refused as refusal:
        os.write(line, json.dumps({"failed": refusal.told()}).encode())
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def _keep_descriptors(wall: Wall, order: Order) -> None:
    with layer("descriptors"):
        null = os.open("/dev/null", os.O_RDWR)
        wanted = [null, order.stdout, order.stderr, order.channel, order.life, wall.proc]
        wanted += [each for each in (order.network, order.gate) if each is not None]
        for place, high in enumerate([fcntl.fcntl(descriptor, fcntl.F_DUPFD, _HIGH) for descriptor in wanted]):
            os.dup2(high, place)
        _make_room()
        kernel.close_from(_HIGH if "fd" in wall.without else len(wanted), _PROC)


def _make_room() -> None:
    """Let the kernel's table of descriptors grow now: with a second thread it would wait some 10 ms for that."""
    try:
        fcntl.fcntl(0, fcntl.F_DUPFD, _FILES - 1)
    except OSError:
        return  # a limit of the host's is lower: so is the table


def _confine(wall: Wall, order: Order, folder: str, parent: int) -> dict[str, Any]:
    """All layers, from the outermost. What is said of the process is read while that can be done."""
    without = wall.without
    if wall.level == "full":
        _separate(wall, order)
    else:
        _change_user(wall, parent)
    with layer("scratch"):
        os.chdir(folder)
    _begin_anew(wall, order, folder)
    told = _introduce(wall)
    if "rlimit" not in without:
        with layer("rlimits"):
            _limit(wall, order)
    os.close(_PROC)
    if wall.identity.changes:
        kernel.own_proc_files(False)  # nobody's other processes on this machine are not to read its memory
    if "caps" not in without:
        with layer("capabilities"):
            kernel.drop_capabilities()
    with layer("no_new_privs"):
        kernel.no_new_privileges()
    if "landlock" not in without:
        _restrict(wall, folder)
    features, obstacle = _put_up_gate(wall, order)
    if "seccomp" not in without:
        with layer("seccomp"):
            seccomp.install(_filters(wall, features))
    if not without:
        _try_the_doors(wall, order, folder, parent)
    return told | {"level": "+".join((wall.level, *sorted(features | wall.features))), "obstacle": obstacle}


def _restrict(wall: Wall, folder: str) -> None:
    with contextlib.ExitStack() as stack:
        shared = {each: stack.enter_context(folders.held(each)) for each in wall.shared}
        with layer("landlock"):
            landlock.restrict(
                read=(*wall.visible, *(place for each, place in shared.items() if not each.writable)),
                read_files=root.DEVICES,
                write=(folder, *(place for each, place in shared.items() if each.writable)),
                abi=wall.landlock_abi,
            )


def _put_up_gate(wall: Wall, order: Order) -> tuple[frozenset[str], str]:
    """What the session has in the end, and why it cannot be copied, if it was to be."""
    if order.gate is None or wall.gate is None or "seccomp" in wall.without:
        return order.features - {"snapshots"}, _AT_PLAIN if order.copies else ""
    obstacle = gate.put_up(wall.gate, _NETWORK + (order.network is not None))
    return order.features - ({"snapshots"} if obstacle else set()), obstacle


def _filters(wall: Wall, features: frozenset[str]) -> bytes:
    if wall.filters is not None:
        return wall.filters[features]
    network = "network" in features
    return seccomp.program(level=wall.level, network=network, landlock_abi=wall.landlock_abi, pid=os.getpid())


def _try_the_doors(wall: Wall, order: Order, folder: str, parent: int) -> None:
    """The self-test. A layer that was put up and does not hold is a layer that is missing."""
    targets = probes.Targets(
        wall.level,
        folder,
        frozenset((_CHANNEL, _LIFE) if order.network is None else (_CHANNEL, _LIFE, _NETWORK)),
        others=(parent,) if wall.level == "plain" else (),
        unwritable=tuple(filter(os.path.isdir, wall.visible)),
    )
    if wall.level == "full":  # where the mounts hide all the rest, it alone tells whether landlock is there
        targets = dataclasses.replace(targets, files=(*targets.files, root.CANARY))
    for shared in wall.shared:
        if not folders.fits(shared):
            whose = "root without its rights" if wall.identity.is_root else f"user {wall.identity.uid}"
            raise Refused("folder", "EACCES", f"code runs as {whose}, to whom {shared.path} is not open")
    for probe in probes.canaries(targets):
        if not probe.held and not (probe.name == "user" and wall.identity.is_root):
            raise Refused(probe.layer, "?", f"the self-test {probe.name!r} failed: {probe.detail}")


def _separate(wall: Wall, order: Order) -> None:
    with layer("user namespace"):
        if wall.identity.changes:
            namespaces.leave_root(wall.identity.uid, wall.identity.gid)
        kernel.unshare(_OF_ITS_OWN & ~(kernel.NEWNET if "net" in wall.without else 0))
        namespaces.map_oneself(_PROC, wall.identity.uid, wall.identity.gid)
    for kind, name in namespaces.own(_PROC).items():
        if name == wall.outside.get(kind) and not wall.without:
            raise Refused(f"{kind} namespace", "?", "it is the host's own, although the kernel said that it was not")
    if not os.path.lexists(root.CANARY):
        raise Refused("pivot_root", "?", "the root is not ours, although the kernel said that it was")
    with layer("scratch"):
        root.mount_scratch(order.scratch, order.inodes, namespaces.SESSION_ID, wall.below_scratch)


def _change_user(wall: Wall, parent: int) -> None:
    if wall.identity.changes:
        with layer("user"):
            namespaces.leave_root(wall.identity.uid, wall.identity.gid)
    if os.getuid() != wall.identity.uid:
        raise Refused("user", "?", f"it is still {os.getuid()}, although the kernel said that it was not")
    with layer("life"):
        kernel.die_with_parent()
        if os.getppid() != parent:
            os._exit(70)


def _introduce(wall: Wall) -> dict[str, Any]:
    """Who this is to the host: its pid there, and when it began, so that another of this pid is not taken for it."""
    with layer("proc"):
        stat = namespaces.read_proc(_PROC, "self/stat")
        _volunteer()
    return {"pid": int(stat.split(" ", 1)[0]), "began": int(stat.rpartition(")")[2].split()[19])}


def _volunteer() -> None:
    """When memory runs out on the machine, the kernel takes a session before anything of its owner's."""
    try:
        namespaces.write_proc(_PROC, "self/oom_score_adj", "1000")
    except OSError:
        return  # a kindness to the host, not a wall: some containers mount /proc read-only


def _begin_anew(wall: Wall, order: Order, folder: str) -> None:
    """What a fork shares with its parent and must not, and what of it is not as it is in every session."""
    if folder != root.SCRATCH:
        os.environ.update(HOME=folder, TMPDIR=folder)
    if order.network is not None and wall.certificates is not None:
        os.environ["SSL_CERT_FILE"] = os.environ["REQUESTS_CA_BUNDLE"] = wall.certificates
    os.umask(0o022)
    random.seed()
    openssl = sys.modules.get("_ssl")
    if openssl is not None:
        openssl.RAND_add(os.urandom(32), 32.0)


def _limit(wall: Wall, order: Order) -> None:
    pages = [int(field) * resource.getpagesize() for field in namespaces.read_proc(_PROC, "self/statm").split()]
    mapped, written = pages[0], pages[5]  # all of its addresses, and those of its own that it may write to
    running = 0 if wall.level == "full" else namespaces.threads_of(_PROC, os.getuid()) + _OTHERS
    for kind, bound in (
        (resource.RLIMIT_DATA, order.memory + written),
        (resource.RLIMIT_AS, order.memory + mapped + _RESERVED),
        (resource.RLIMIT_NPROC, order.threads + OF_A_COPY * order.copies + running),
        (resource.RLIMIT_NOFILE, _FILES),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, order.scratch),
        (resource.RLIMIT_MEMLOCK, 0),
    ):
        _, highest = resource.getrlimit(kind)
        set_to = bound if highest == resource.RLIM_INFINITY else min(bound, highest)
        resource.setrlimit(kind, (set_to, set_to))
