"""A process that has imported the command line, and forks one for each command that a test types: a start for a tenth.
A program that is typed with its path is run the same way.

    python warm.py LINE    on the descriptor LINE come words, a folder and an environment as JSON, and four descriptors:
                           standard input, output and error, and a socket on which the pid and the exit code are told

What is proved of the start itself, of signals and of terminals takes the installed command.
"""

from __future__ import annotations

import gc
import json
import os
import select
import socket
import sys
import time
from importlib import import_module
from runpy import run_path

_MOST = 1 << 20  # bytes of a request
_OFTEN = ("codeact.sandboxes.linux", "codeact.models.openai", "codeact.journals.sqlite", "anyio._backends._asyncio")


def main(line: socket.socket) -> int:
    """Answer until the other end is closed; in a fork: be the command, and give its exit code."""
    import pydantic

    from codeact import assemble  # noqa: F401  # and with it all that a command needs
    from codeact.faces import cli

    for room in cli._ROOMS.values():
        import_module(room, cli.__name__)
    for one in _OFTEN:
        import_module(one)
    pydantic.TypeAdapter(str)  # the first one looks through all that is installed
    gc.freeze()  # so a command that collects writes to none of this
    running: dict[int, tuple[int, socket.socket]] = {}  # by its pidfd: the pid, and where its end is told
    while True:
        for ready in select.select([line, *running], [], [])[0]:
            if ready is not line:
                pid, told = running.pop(ready)
                os.close(ready)
                with told:
                    told.sendall(b"%d\n" % os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
                continue
            asked, descriptors, _, _ = socket.recv_fds(line, _MOST, 4)
            if not asked:
                return 0
            *streams, answers = descriptors
            told = socket.socket(fileno=answers)
            if b'"--mcp"' in asked:
                import_module("mcp")  # which takes longer than all the rest
            if b"mcp_own.py" in asked:
                import_module("mcp.server.mcpserver")
            pid = os.fork()
            if pid == 0:
                for end, (_, other) in running.items():
                    os.close(end)
                    other.close()
                told.close()
                line.close()
                words = _become(json.loads(asked), streams)
                if words[0].endswith(".py"):
                    run_path(words[0], run_name="__main__")
                    return 0
                return cli.main()
            for stream in streams:
                os.close(stream)
            told.sendall(b"%d\n" % pid)
            running[os.pidfd_open(pid)] = (pid, told)


def _become(asked: dict[str, object], streams: list[int]) -> list[str]:
    """Take the words, the folder, the environment and the streams of a command, or of a program."""
    words, home, environment = asked["words"], asked["home"], asked["environment"]
    assert isinstance(words, list) and isinstance(home, str) and isinstance(environment, dict)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    os.chdir(home)
    sys.argv = words
    sys.path[0] = os.path.dirname(words[0])
    sys.stdin = open(0, encoding="utf-8", errors="surrogateescape", closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", encoding="utf-8", errors="surrogateescape", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
    sys.__stdin__, sys.__stdout__, sys.__stderr__ = sys.stdin, sys.stdout, sys.stderr  # type: ignore[misc]
    return words


if __name__ == "__main__":
    sys.exit(main(socket.socket(fileno=int(sys.argv[1]))))
