"""A guest wherever a command leads: on another machine, in a box, in a virtual machine that you have.

    Command(["ssh", "-T", "box", "python3"])

The last words of the command are a Python from 3.11 on, and its standard input and output must come through as they
are: no terminal, no login banner in between that answers. Nothing of codeact has to be there, the guest is sent. How
well the code is confined is what the place gives; codeact adds its limits of time, memory, output and calls.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager

from .. import shell
from ..core.errors import UsageError
from ..core.execution import Policy
from ..ports import Pipe, Sink
from . import child


class Command:
    """A `Sandbox` behind an argument vector, which runs without a shell, with your environment."""

    name = "command"

    def __init__(self, argv: Sequence[str]) -> None:
        if isinstance(argv, str) or not all(isinstance(word, str) for word in argv):
            raise TypeError(f"the words of a command are a list of strings, not {argv!r}")
        if not argv:
            raise UsageError("a command has at least one word: Command(['ssh', '-T', 'box', 'python3'])")
        if argv[-1] == "-":
            raise UsageError("a command ends with its Python: leave out the last word, '-'")
        self._argv = tuple(argv)

    @classmethod
    def of(cls, words: str) -> Command:
        """What `ssh -T box python3` names, with a shell's quotes and nothing else of a shell."""
        try:
            return cls(shell.split(words))
        except ValueError as error:  # also UsageError
            raise UsageError(f"not a command: {words!r}: {error}") from None

    def launch(self, policy: Policy, sink: Sink) -> AbstractAsyncContextManager[Pipe]:
        """See `Sandbox`."""
        child.check(self.name, policy)
        if policy.python is not None:
            raise UsageError(
                "the sandbox 'command' has the Python that its command names; leave out `python` and `packages`"
            )
        mend = f"Try it by hand: {shlex.join((*self._argv, '-c', 'print(1)'))}"
        return child.started(child.Command(self.name, (*self._argv, *child.INTERACTIVE), mend), policy.limits, sink)
