"""The host's end of the launchers: one process for each Python and what is preloaded in it, started when first needed,
and again when it died.

Bound to no event loop: what is here blocks, behind a lock, and is called from a worker thread. Sessions end with their
launcher, and launchers with the host, also when either is killed.
"""

from __future__ import annotations

import atexit
import dataclasses
import json
import logging
import os
import socket
import subprocess
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...core.errors import SandboxUnavailable
from ...crashpoints import asked_for, crashpoint
from .environment import Environment
from .folders import Folder
from .layers import Refused
from .reasons import explain

_PATIENCE = 60.0  # seconds for a launcher to stand: a cold disk, a busy machine
_FAREWELL = 5.0
_SHORT = ("EAGAIN", "EINTR", "EMFILE", "ENFILE", "ENOMEM")
_KEPT = 4  # launchers with folders that nobody uses
_HERE = Path(__file__).resolve().parent
_log = logging.getLogger("codeact")


@dataclass(frozen=True, slots=True)
class Parts:
    """What the launcher's process executes and which guest it loads. Only tests name others."""

    entry: Path = _HERE / "entry.py"
    guest: Path = _HERE.parent.parent / "guest"


SHIPPED = Parts()


@dataclass(eq=False)
class Launcher:
    """A launcher's process and what it said."""

    environment: Environment
    parts: Parts
    preload: tuple[str, ...] = ()
    folders: tuple[Folder, ...] = ()
    users: set[object] = field(default_factory=set)  # sessions that are open
    lock: threading.Lock = field(default_factory=threading.Lock)
    control: socket.socket | None = None
    process: subprocess.Popen[bytes] | None = None
    level: str | None = None
    shortfall: Refused | None = None  # why it is not the full level
    ring: str | None = None  # what a control group round each session bounds
    was_full: bool = False  # it has stood so: what was begun at full goes on at nothing weaker

    def order(self, asked: dict[str, int], descriptors: dict[str, int], required: str) -> None:
        """Have a session made. Raises SandboxUnavailable when the machine does not give the required level."""
        message = json.dumps({**asked, "descriptors": list(descriptors)}).encode()
        with self.lock:
            self._stand(required)
            for attempt in (1, 2):
                assert self.control is not None
                try:
                    crashpoint("order")
                    socket.send_fds(self.control, [message], list(descriptors.values()))
                    crashpoint("ordered")
                    return
                except OSError:
                    self._end()
                    if attempt == 2:
                        raise
                    self._stand(required)

    def end(self) -> None:
        """End the process and all its sessions, and leave no zombie."""
        with self.lock:
            self._end()

    def forget(self) -> None:
        """In a forked copy of the host: it is the parent's, and must not be kept alive from here."""
        self.lock = threading.Lock()
        if self.control is not None:
            self.control.close()
        if self.process is not None:
            self.process.returncode = 0  # nobody's child here
        self.control = self.process = self.level = None

    def _stand(self, required: str) -> None:
        if self.process is not None and self.process.poll() is not None:
            self._end()
        if self.control is None:
            self.shortfall = self._start_full()
            if self.shortfall is not None and required == "plain":
                if self.was_full or _decides_all(self.shortfall):
                    raise unavailable(self.shortfall)
                missing = self._start("plain")
                if missing is not None:
                    raise unavailable(missing)
        if required == "full" and self.shortfall is not None:
            raise unavailable(self.shortfall)

    def _start_full(self) -> Refused | None:
        """The same as `_start`, of the strongest level. What died, or came short for a moment, is started once more."""
        missing = self._start("full", self.preload)
        if self.preload and missing is not None and missing.layer in ("launcher", "preload"):
            _log.info("sandbox: nothing is preloaded: %s", missing.cause)
            missing = self._start("full")
        elif missing is not None and _says_nothing(missing):
            missing = self._start("full")
        self.was_full = self.was_full or missing is None
        return missing

    def _start(self, level: str, preload: tuple[str, ...] = ()) -> Refused | None:
        """Start the process for this level; the answer is what it lacks."""
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.control.settimeout(_PATIENCE)
        with open(os.memfd_create("trouble"), "rb", buffering=0) as trouble:
            try:
                crashpoint("launcher starts")
                with theirs:
                    self.process = _execute(self.environment.executable, self.parts.entry, theirs, trouble.fileno())
                threading.Thread(target=self.process.wait, name="codeact-launcher", daemon=True).start()  # no zombie
                crashpoint("launcher started")
                self.control.send(json.dumps({**self._plan(level), "preload": preload}).encode())
                word = json.loads(self.control.recv(1 << 16) or b"{}")
            except (OSError, ValueError) as error:
                word = {"failed": {"layer": "launcher", "code": "?", "cause": f"it did not answer: {error}"}}
            if word.get("stands") == level:
                crashpoint("launcher stands")
                self.level, self.ring = level, word["ring"]
                for note in word.get("notes", ()):
                    _log.info("sandbox: %s", note)
                return None
            self._end()
            said = os.pread(trouble.fileno(), 1 << 16, 0).decode("utf-8", "replace").strip()[-2000:]
        died = {"layer": "launcher", "code": "?", "cause": f"it ended: {said}" if said else "it ended"}
        return Refused(**(word.get("failed") or died))

    def _plan(self, level: str) -> dict[str, Any]:
        found = self.environment
        return {
            "level": level,
            "prefix": found.prefix,
            "executable": found.executable,
            "visible": [*found.visible, str(self.parts.guest)],
            "site": found.site,
            "guest": str(self.parts.guest),
            "folders": [dataclasses.asdict(one) for one in self.folders],
            "scratch": tempfile.gettempdir(),
            "certificates": found.certificates,
            "dies": asked_for(),
        }

    def _end(self) -> None:
        if self.control is not None:
            self.control.close()
        if self.process is not None:
            try:
                self.process.wait(_FAREWELL)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.control = self.process = self.level = None


def _says_nothing(refused: Refused) -> bool:
    """Of the machine: who died has told of no layer, and what was short may not be so the next time."""
    return refused.layer in ("launcher", "session") or refused.code in _SHORT


def _decides_all(refused: Refused) -> bool:
    """Whether nothing weaker is to be had for that: no level gives such a folder, and a death is no refusal."""
    return refused.layer == "folder" or _says_nothing(refused)


def _execute(executable: str, entry: Path, control: socket.socket, trouble: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [executable, "-s", "-P", "-S", str(entry), str(control.fileno())],
        env={"PYTHONHASHSEED": "0"},
        pass_fds=[control.fileno()],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=trouble,
        cwd="/",
        start_new_session=True,
    )


def unavailable(refused: Refused) -> SandboxUnavailable:
    """The error that says what this machine does not give, why, and what to do."""
    why, mend = explain(refused.layer, refused.code)
    cause = f"{refused.cause}: {why}" if why else refused.cause
    return SandboxUnavailable(refused.layer, cause, f"To mend it: {mend}" if mend else "`codeact doctor` tells more.")


# setdefault and pop are atomic: no lock that a fork could break
_launchers: dict[tuple[Environment, Parts, tuple[str, ...], tuple[Folder, ...]], Launcher] = {}


def launcher(
    environment: Environment, parts: Parts, preload: tuple[str, ...] = (), folders: tuple[Folder, ...] = ()
) -> Launcher:
    """The one for this Python, this preload and these folders; not started yet, perhaps."""
    key = environment, parts, preload, folders
    return _launchers.get(key) or _launchers.setdefault(key, Launcher(*key))


def end_idle() -> None:
    """Of the launchers that show folders few are kept when nobody uses them."""
    idle = [(key, each) for key, each in list(_launchers.items()) if each.folders and not each.users]
    for key, each in idle[: max(0, len(idle) - _KEPT)]:
        _launchers.pop(key, None)
        each.end()


def _end_all() -> None:
    for each in list(_launchers.values()):
        each.end()


def _forget_all() -> None:
    for each in _launchers.values():
        each.forget()


atexit.register(_end_all)
os.register_at_fork(after_in_child=_forget_all)
