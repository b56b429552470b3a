"""The installed command, run as a user would."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PATIENCE = 110.0  # seconds; a test has 120
CODEACT = str(Path(sys.executable).parent / "codeact")


@dataclass(frozen=True)
class Done:
    """How it ended and what it said."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Its output as lines of JSON."""
        return [json.loads(line) for line in self.out.splitlines()]


def environment(home: Path, **more: str) -> dict[str, str]:
    """A user's, with nothing of ours in it."""
    return {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8", "TERM": "xterm-256color", **more}


def codeact(*words: str, home: Path, stdin: bytes | None = None, cwd: Path | None = None, **more: str) -> Done:
    """Run `codeact WORDS`; without `stdin` there is nothing to read.

    Where nothing in the environment is Python's own, it is a fork of a process that has imported the command line: how
    the installed command starts is proved by those who start it themselves.
    """
    if any(name.startswith(("PYTHON", "LANG", "LC_", "TZ")) for name in more):
        done = subprocess.run(
            [CODEACT, *words],
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            timeout=_PATIENCE,
            check=False,
            cwd=cwd or home,
            env=environment(home, **more),
        )
        return Done(done.returncode, done.stdout.decode(), done.stderr.decode())
    asked = {"words": [CODEACT, *words], "home": str(cwd or home), "environment": environment(home, **more)}
    return _forked(json.dumps(asked).encode(), stdin)


@functools.cache
def _warm() -> socket.socket:
    """The line to the process that forks; it ends with this one."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        subprocess.Popen(
            [sys.executable, "-P", str(Path(__file__).with_name("warm.py")), str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            env=environment(Path("/")),
            start_new_session=True,  # no terminal to ask at
        )
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    return ours


def _forked(asked: bytes, stdin: bytes | None) -> Done:
    out, err = [b""], [b""]
    with contextlib.ExitStack() as stack:
        mine = {}
        theirs = []
        for stream, mode in (("in", "wb"), ("out", "rb"), ("err", "rb")):
            if stream == "in" and stdin is None:
                theirs.append(os.open(os.devnull, os.O_RDONLY))
                continue
            read, write = os.pipe()
            near, far = (write, read) if stream == "in" else (read, write)
            mine[stream] = stack.enter_context(open(near, mode))
            theirs.append(far)
        ends, told = socket.socketpair()
        stack.enter_context(ends)
        socket.send_fds(_warm(), [asked], [*theirs, told.fileno()])
        told.close()
        for far in theirs:
            os.close(far)
        ends.settimeout(_PATIENCE)
        answers = stack.enter_context(ends.makefile("rb"))
        pid = int(answers.readline())

        def give() -> None:
            with contextlib.suppress(BrokenPipeError), mine["in"]:
                mine["in"].write(stdin or b"")

        def take(stream: str, into: list[bytes]) -> None:
            into[0] = mine[stream].read()

        busy = [threading.Thread(target=give)] if "in" in mine else []
        busy += [threading.Thread(target=take, args=args) for args in (("out", out), ("err", err))]
        for thread in busy:
            thread.start()
        try:
            status = int(answers.readline())
        except TimeoutError:
            os.kill(pid, signal.SIGKILL)
            raise
        finally:
            for thread in busy:
                thread.join()
    return Done(status, out[0].decode(), err[0].decode())
