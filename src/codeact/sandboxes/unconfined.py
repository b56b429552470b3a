"""No sandbox at all: a plain child process, for debugging the code that you trust. Only by its full name.

The limits of time, memory, output and calls hold; nothing else does. Every launch says so in a warning.
"""

from __future__ import annotations

import os
import sys
import warnings
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from ..core.errors import SandboxUnavailable, UsageError
from ..core.execution import Policy
from ..ports import Pipe, Sink
from .child import GUEST, Command, check, started


class UnconfinedWarning(UserWarning):
    """Code runs with all the rights of this process."""


class Unconfined:
    """A `Sandbox` that confines nothing."""

    name = "unconfined"

    def launch(self, policy: Policy, sink: Sink) -> AbstractAsyncContextManager[Pipe]:
        """A child process of the same user, with the same rights."""
        check(self.name, policy)
        if sys.platform == "win32":
            mend = "Take the sandbox `wasm`."
            raise SandboxUnavailable(self.name, "the guest is not written for a process of Windows", mend)
        warnings.warn(
            "the sandbox 'unconfined' confines nothing: code runs with all your rights", UnconfinedWarning, stacklevel=2
        )
        command = Command(
            self.name,
            (_executable(policy.python), "-I", str(GUEST / "relay.py")),
            "Name a Python by `python=`.",
            folder=str(GUEST),
            environ={"PATH": os.defpath},
        )
        return started(command, policy.limits, sink)


def _executable(python: str | None) -> str:
    if python is None:
        return sys.executable
    place = Path(python).expanduser()
    place = place / "bin" / "python" if place.is_dir() else place
    if not os.access(place, os.X_OK):
        raise UsageError(f"no Python there: {python!r}; name an interpreter or a virtual environment")
    return str(place.absolute())
