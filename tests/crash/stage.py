"""Where hosts live and are killed: a process that has imported everything forks one for each, so that a life is cheap.

It is a subreaper: whatever a killed host leaves behind becomes its child, so that nothing is left when it has none.
Most of what a host costs is the launcher of its sandbox, so the stage has one that it lends: its sessions end with the
host that ordered them. Who is to lose his sandbox, or is killed while it starts, has one of his own.

    with Stage() as stage:
        stage.play(place=str(folder), work="one", victim="host", point=17)
        stage.play(place=str(folder), work="one", goes_on=True)
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import itertools
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
if __name__ == "__main__":
    sys.path[:0] = [str(HERE), str(HERE.parents[1] / "src")]

SWITCH = "CODEACT_CRASHPOINT"
_SUBREAPER = 36  # prctl(2)
PATIENCE = 30.0  # seconds in which a host has to come to an end, and in which nothing of it may be left


class Stage:
    """The test's end of it. Whoever has little of the machine gives its hosts more `patience`."""

    def __init__(self, patience: float = PATIENCE) -> None:
        self._patience = patience

    def __enter__(self) -> Stage:
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "stage.py"), str(self._patience)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def play(self, **scene: Any) -> dict[str, Any]:
        """Have one host live and die. The answer says how it ended, and what was left of it."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(scene) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the stage has fallen"
        answer: dict[str, Any] = json.loads(line)
        return answer

    def __exit__(self, *exc: object) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()


def _serve() -> None:
    import anyio._backends._asyncio
    import anyio.lowlevel  # noqa: F401
    import lives  # noqa: F401
    import pydantic
    import witness
    import work  # and with it all that a host needs

    from codeact.sandboxes.linux import environment, launchers

    pydantic.TypeAdapter(str)  # the first one looks through all that is installed
    gc.collect()
    gc.freeze()  # so a host that collects writes to none of this
    ctypes.CDLL(None, use_errno=True).prctl(_SUBREAPER, 1, 0, 0, 0)
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as line:
        path = f"{folder}/ledger"
        line.bind(path)
        line.listen(64)
        ledger = os.fork()
        if ledger == 0:
            sys.stdin.close()
            witness.serve(line)
        lent = launchers.launcher(environment.find(None), launchers.SHIPPED)
        try:
            for words in sys.stdin:
                scene = json.loads(words)
                if scene.get("lent"):
                    with lent.lock:
                        lent._stand("plain")
                print(json.dumps(_played(scene, path, lent, work.RUN)), flush=True)
        finally:
            os.kill(ledger, signal.SIGKILL)
            lent.end()


def _played(scene: dict[str, Any], ledger: str, lent: Any, run: str) -> dict[str, Any]:
    began = time.monotonic()
    place = Path(scene["place"])
    spared = set(_below())
    line = None
    if scene.get("lent"):
        line, scene["spared"] = lent.control.dup(), [*spared]
    if "call" in scene:
        (place / "order").write_text(json.dumps({"spared": None, **scene}))
    host = os.fork()
    if host == 0:
        if line is not None:
            lent.control, lent.level = line, lent.level or "full"
        _live(scene, place, ledger, run)
    if line is not None:
        line.close()
    other = None
    if scene.get("victim") == "stopped":  # it hangs; somebody tidies up, and another host takes the run over
        os.waitpid(host, os.WUNTRACED)
        shutil.rmtree(place / "journal.db-locks")
        goes_on = {**scene, "goes_on": True, "victim": "host", "point": 0}
        other = _played(goes_on, ledger, lent, run)["status"]
        os.kill(host, signal.SIGCONT)
    status = _wait(host)
    left = _left(spared)
    trace = place / "trace"
    return {
        "status": status,
        "other": other,
        "left": left,
        "seconds": time.monotonic() - began,
        "points": trace.read_text().split("\n")[:-1] if trace.exists() else [],
    }


def _below() -> list[int]:
    import witness

    return witness.below(os.getpid())


def _wait(host: int) -> int | str:
    """How it ended: its status, or a signal's negative number; `hung` when it had to be ended."""
    with os.fdopen(os.pidfd_open(host)) as end:
        look = select.poll()
        look.register(end, select.POLLIN)
        hung = not look.poll(PATIENCE * 1000)
    if hung:
        os.kill(host, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(host, 0)[1])
    return "hung" if hung else status


def _left(spared: set[int]) -> list[str]:
    """Wait until nothing of the host is left; what does not go is named, and ended."""
    until = time.monotonic() + PATIENCE
    while True:
        for _ in iter(_reaped, (0, 0)):
            pass
        there = set(_below()) - spared
        if not there or time.monotonic() > until:
            break
        time.sleep(0.002)
    names = []
    for pid in there:
        try:
            names.append(Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode())
            os.kill(pid, signal.SIGKILL)
        except OSError:
            continue
    return names


def _reaped() -> tuple[int, int]:
    try:
        return os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return 0, 0


def _live(scene: dict[str, Any], place: Path, ledger: str, run: str) -> None:
    """Be a host, to the end. What it says of itself stands in its folder."""
    status = 1
    try:
        os.dup2(os.open(os.devnull, os.O_RDWR), 0)
        log = os.open(place / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        from codeact import crashpoints

        if "launcher" in scene:
            os.environ[SWITCH] = scene["launcher"]
        crashpoints.switch(_strike(scene, place))
        from lives import live

        asyncio.run(live(scene, place, ledger, run))
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)  # what it started ends with it


def _strike(scene: dict[str, Any], place: Path) -> Callable[[str], None] | None:
    """What happens at each point: one is written down each, or at the n-th the victim is killed."""
    import witness
    import work

    if scene.get("trace"):
        return lambda name: work.append(place / "trace", name)
    if "launcher" in scene:
        return _second_start(scene, place)
    if "point" not in scene:
        return None
    named, _, number = str(scene["point"]).rpartition("@")
    count = itertools.count(1)

    def strike(name: str) -> None:
        if named in ("", name) and next(count) == int(number):
            work.append(place / "struck", f"{scene['point']} {name}")
            witness.kill(scene["victim"], os.getpid(), scene.get("spared"))

    return strike


def _second_start(scene: dict[str, Any], place: Path) -> Callable[[str], None]:
    """Its launcher, or a session, died at its point as soon as there is another one; that one lives."""
    import witness
    import work

    starts: Counter[str] = Counter()

    def strike(name: str) -> None:
        starts[name] += 1
        if name in ("launcher starts", "order") and starts[name] == 2 and os.environ.pop(SWITCH, None):
            work.append(place / "struck", scene["launcher"])
            if scene["victim"] == "both":
                witness.kill("both", os.getpid())

    return strike


@contextmanager
def staged() -> Iterator[Stage]:
    """A stage for as long as it is needed."""
    with Stage() as stage:
        yield stage


if __name__ == "__main__":
    PATIENCE = float(sys.argv[1])
    _serve()
