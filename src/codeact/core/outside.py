"""What is not in here, or is full, read off an error that only the kernel has put into words; and what to do instead.

The kernel says "Operation not permitted" of whatever it refuses. Who reads that tries again with other rights; who is
told what it was about goes another way.
"""

from __future__ import annotations

import re

from .execution import CellError, Limits
from .quantities import size

_NO_HOST = re.compile(r"\[Errno -[23]\] |Temporary failure in name resolution|Name or service not known")
_SOCKET = re.compile(r"\bsocket\.py\", line|socket\.socket\(")
_PROCESS = re.compile(r"_fork_exec\(|posix_spawn|\bfork(?:pty)?\(|\bexec[lv]p?e?\(|/multiprocessing/|SemLock\(")
_NETWORK = "There is no network in here but to hosts that you were told of: call one of the tools."


def advice(error: CellError, limits: Limits) -> list[str]:
    """A line for the model, where there is more to say than the error does."""
    words = error.message
    if "can't start new thread" in words:
        return [
            f"At most {limits.threads} threads may run at once, and each needs memory: wait for them, or use fewer."
        ]
    if "[Errno 28]" in words or "[Errno 27]" in words:
        room = f"{size(limits.scratch)} and {limits.inodes:,} files"
        return [f"All files together may have {room}: remove what you do not need."]
    if "[Errno 24]" in words:
        return ["Close what you have opened, as by `with`."]
    if _NO_HOST.search(words):
        return [_NETWORK]
    if not re.search(r"\[Errno (?:1|2|38)\] ", words):
        return []
    if _PROCESS.search(error.traceback):
        return ["No other process can be started in here: use Python itself; threads and asyncio work."]
    return [_NETWORK] if "[Errno 1] " in words and _SOCKET.search(error.traceback) else []
