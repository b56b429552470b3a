"""Where a launcher, and what it forks, can be made to die, by whoever proves that a run outlives it.

The points of the host cannot be asked here, where nothing of codeact is imported: the wish comes with the plan, and
names the n-th time at one of these, `zygote stands@2`. That of a session is the n-th session.
"""

from __future__ import annotations

import contextlib
import os
import signal

OF_A_SESSION = ("session begins", "session confined", "session told")
POINTS = (
    "launcher begins",
    "launcher forked",
    "zygote begins",
    "maker started",
    "root built",
    "guest loaded",
    "zygote stands",
    "zygote stood",
    "order taken",
    "init ordered",
    "init made",
    "session forks",
    "session forked",
    *OF_A_SESSION,
    "fork asked",
    "fork answered",
    "session killed",
    "session buried",
)
_wished = _counted = ""
_number = _reached = 0


def wish(words: str) -> None:
    """Die there, as these words say; words that name no point of ours are another's."""
    global _wished, _counted, _number  # noqa: PLW0603 - the one truth that a point looks at
    name, _, number = words.rpartition("@")
    if name in POINTS and number.isascii() and number.isdecimal():
        _wished, _number = name, int(number)
        _counted = "session forks" if name in OF_A_SESSION else name  # by who forks them: each reaches it once


def point(name: str) -> None:
    """A point of this name is reached."""
    global _reached  # noqa: PLW0603
    if not _wished:
        return
    if name == _counted:
        _reached += 1
    if name == _wished and _reached == _number:
        with contextlib.suppress(OSError):  # a locked session may signal nobody
            os.kill(os.getpid(), signal.SIGKILL)
        os._exit(137)  # the first process of a namespace cannot be killed from inside of it
