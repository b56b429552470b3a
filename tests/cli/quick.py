"""A `codeact` for a shell's PATH that is a fork of a process which has imported it: what a page says is run by a shell.

with quick(folder):     in `folder` lie `codeact`, and `python`, which runs one program as a fork, too
"""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cli.command import CODEACT, _warm

_MOST = 1 << 20  # bytes of a request
_CLIENT = """\
#!{python} -IS
import json, os, socket, sys

line = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
line.connect({path!r})
answers, told = socket.socketpair()
asked = {{"words": [*{first!r}, *sys.argv[1:]], "home": os.getcwd(), "environment": dict(os.environ)}}
socket.send_fds(line, [json.dumps(asked).encode()], [0, 1, 2, told.fileno()])
told.close()
status = int(answers.makefile().readlines()[1])
sys.exit(status if status >= 0 else 128 - status)
"""


@contextmanager
def quick(folder: Path) -> Iterator[None]:
    """The programs, for as long as they are needed. The folder's path must be short enough for a socket's."""
    folder.mkdir(exist_ok=True)
    path = str(folder / "line")
    for name, first in (("codeact", [CODEACT]), ("python", [])):
        program = folder / name
        program.write_text(_CLIENT.format(python=sys.executable, path=path, first=first))
        program.chmod(0o755)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as line:
        line.bind(path)
        line.listen(16)
        threading.Thread(target=_pass_on, args=(line,), daemon=True).start()
        try:
            yield
        finally:
            line.shutdown(socket.SHUT_RDWR)


def _pass_on(line: socket.socket) -> None:
    """What each of them asks goes to the process that forks."""
    with suppress(OSError):  # it is closed
        while True:
            caller, _ = line.accept()
            with caller:
                asked, descriptors, _, _ = socket.recv_fds(caller, _MOST, 4)
                try:
                    socket.send_fds(_warm(), [asked], descriptors)
                finally:
                    for each in descriptors:
                        os.close(each)
