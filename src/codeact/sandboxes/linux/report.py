"""What this machine gives to the sandbox `linux`, in words that a person can act on. Nothing here is guessed."""

from __future__ import annotations

import json
import os
import platform
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from ...core.errors import SandboxUnavailable
from .environment import find
from .launchers import SHIPPED, Launcher, Parts
from .probes import Probe
from .reasons import TRIED, explain

_HERE = Path(__file__).parent
_PATIENCE = 20.0  # seconds for a guest to try its doors: it takes some milliseconds
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


Level: TypeAlias = Literal["full", "plain"] | None


@dataclass(frozen=True, slots=True)
class Report:
    """The level that `linux` has here, None where nothing may run, and why.

    `probes` are the ways out that a locked guest of this level tried just now; `gaps` are those it was not held from.
    """

    level: Level
    layers: tuple[Layer, ...]
    probes: tuple[Probe, ...] = ()
    gaps: tuple[str, ...] = ()
    landlock_abi: int = 0


@dataclass(frozen=True, slots=True)
class _Session:
    """What came of a real session: its level, what it tried, and the layer that kept it from being more."""

    level: Level
    probes: tuple[Probe, ...]
    lacks: Layer | None
    ring: str | None = None


GAPS_OF_PLAIN = (
    "stat() and readlink() answer for any path: names, sizes and times of files that cannot be opened",
    "process numbers are shared: that a process exists can be seen; it cannot be signalled, traced or read",
    "the guest is the user who started it, without capabilities; for root it is nobody where all can read the Python",
    "the machine's name, load and memory size are those of the host",
    "files of the scratch can be mapped as executable code",
    "the scratch is a folder of the host, bounded by looking at it every now and then",
    "chmod() and utime() answer that they were done and change nothing; there are no extended attributes",
)


def inspect() -> Report:
    """Try each layer in a child that is thrown away, then a whole session; takes some 300 ms."""
    if sys.platform != "linux":
        reason = f"this is {platform.system()}: the layers are those of the Linux kernel"
        return Report(None, (Layer("kernel", False, None, reason, "codeact run --sandbox container ..."),))
    found = _try()
    layers = [_layer(finding) for finding in (*found["full"], *found["both"])]
    session = _start() if all(layer.ok for layer in layers[len(found["full"]) :]) else _Session(None, (), None)
    if session.lacks is not None and all(layer.ok or layer.name != session.lacks.name for layer in layers):
        layers.append(session.lacks)  # the trials did not show it; the session did
    gaps = GAPS_OF_PLAIN if session.level == "plain" else ()
    layers.append(_cgroup(session.ring, session.level is not None))
    return Report(session.level, tuple(layers), session.probes, gaps, found["landlock_abi"])


def _start() -> _Session:
    """Make a session as every session is made, with a guest that tries its own doors."""
    launcher = Launcher(find(None), Parts(SHIPPED.entry, _HERE / "selftest"))
    bounds = {"memory": 256 << 20, "threads": 8, "scratch": 1 << 20, "inodes": 100}
    ours, channel = socket.socketpair()
    line, life = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        with ours, line:
            with channel, life, open(os.devnull, "wb") as null:
                outputs = dict.fromkeys(("stdout", "stderr"), null.fileno())
                descriptors = {"channel": channel.fileno(), **outputs, "life": life.fileno()}
                launcher.order(bounds, descriptors, "plain")
            level: Level = "full" if launcher.level == "full" else "plain"
            others = [os.getpid()] if level == "plain" else []  # at full the numbers are another world's
            ours.settimeout(_PATIENCE)
            ours.sendall(json.dumps({"level": level, "others": others, "unwritable": ["/usr/lib"]}).encode())
            said = b"".join(iter(lambda: ours.recv(1 << 16), b""))
            probes = tuple(Probe(**fields) for fields in json.loads(said))
    except SandboxUnavailable as lacks:
        return _Session(None, (), Layer(lacks.layer, False, None, lacks.cause, lacks.mend))
    except (OSError, ValueError, TypeError) as error:
        return _Session(None, (), Layer("session", False, None, f"it did not answer: {error}"))
    finally:
        shortfall, ring = launcher.shortfall, launcher.ring
        launcher.end()
    if shortfall is None:
        return _Session(level, probes, None, ring)
    failed = {"name": shortfall.layer, "ok": False, "errno": shortfall.code, "cause": shortfall.cause}
    return _Session(level, probes, _layer(failed), ring)


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
    reason = f"{finding['cause']}: {why}" if why else finding["cause"]
    return Layer(name, False, code, reason, mend, mend in TRIED)


def _cgroup(ring: str | None, session: bool) -> Layer:
    """Not of the wall: what it bounds is bounded without it. It stands outside of the levels, round every session."""
    if ring is not None:
        return Layer("cgroup", True, None, f"round every session, above its other bounds: {ring}")
    if not session:
        return Layer("cgroup", False, None, "not tried: no session could be made")
    reason = "no group may be made below our own; not needed: limits and the host's watch bound a guest without it"
    return Layer("cgroup", False, None, reason, explain("cgroup", "EACCES")[1])
