"""What is raised, drawn as a tree. What a model or its code did wrong is never here: that is a value the model reads.

CodeactError
├── UsageError                  a name, file, flag or setting that cannot be used; also a ValueError
├── SandboxUnavailable          a layer of the sandbox is missing here: nothing was run
├── InterpreterDied             the interpreter was found dead, or died while a run was resumed
├── SnapshotRefused             the interpreter cannot be copied now, or a copy of it is no more
├── ToolsUnavailable            a server of tools did not come up
├── ToolDefinitionError         a function that cannot be a tool; also a TypeError
├── ValueRefused                a value that does not cross the wall; also a TypeError
├── NoAnswer                    `RunResult.output` of a run that ended without an answer
├── StorageError                the journal cannot be written or read: the disk is full, the file is not there to write
│   └── JournalCorrupt          what is in it is not what was written
├── RunLocked                   another process is at work on this run
├── RunDiffers                  the run was made of other parts than those that are to go on with it
├── ReplayDivergence            a cell that was run again did not do what it had done: no call was made
├── BudgetExhausted             a budget leaves no room for a call; a run ends by it with the reason `budget`
├── AgentError                  an agent that code called ended without an answer
└── ModelError                  the model could not be asked; the run can go on later
    ├── ModelUnavailable        unreachable, overloaded, cut off or silent, also after the retries
    ├── ModelRejected           the server will not serve this request: key, model name, parameter
    ├── ContextOverflow         the prompt is longer than the model's context
    ├── ModelProtocolError      an answer that is not of the protocol
    └── ReplyActedOn            a reply that broke off cannot be asked for again: code of it has run
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from datetime import datetime
from typing import Any


class CodeactError(Exception):
    """The root of everything codeact raises on purpose."""


class UsageError(CodeactError, ValueError):
    """Something the user named or set cannot be used; the message says what, where and how to mend it."""


class SandboxUnavailable(CodeactError):
    """A layer that was asked for is not available on this machine, so nothing was run.

    `layer` is its name, `cause` what the kernel said (with the errno's name), `mend` what to do about it.
    """

    def __init__(self, layer: str, cause: str, mend: str) -> None:
        super().__init__(f"sandbox not available: {layer}: {cause}. {mend}")
        self.layer = layer
        self.cause = cause
        self.mend = mend


class InterpreterDied(CodeactError):
    """The interpreter was found dead when a variable was asked for: the next cell gets a fresh one. Or it died while a
    run was resumed, in a cell that was run again: nothing was called, and it can be resumed once more.
    """


class SnapshotRefused(CodeactError):
    """The interpreter cannot be copied here or now, or a copy of it is no more; the message says what to do."""


class ToolsUnavailable(CodeactError):
    """Servers that tools come from did not come up; the message says of each which it is and why."""


class ToolDefinitionError(CodeactError, TypeError):
    """A function that cannot be offered as a tool; the message names the parameter and the mend."""


class ValueRefused(CodeactError, TypeError):
    """A value that does not cross the wall; the message names its path, such as `$.rows[3].fn`, and a way round."""


class NoAnswer(CodeactError):
    """The run ended without an answer; `stop_reason` says why."""

    def __init__(self, stop_reason: str, detail: str = "") -> None:
        super().__init__(f"the run ended without an answer: {stop_reason}" + (f": {detail}" if detail else ""))
        self.stop_reason = stop_reason


class StorageError(CodeactError):
    """The journal cannot be written or read. What could not be kept was not done, and the run can go on later."""


class JournalCorrupt(StorageError):
    """A journal does not hold what was written to it; the message names the entry, and those before it are whole."""


class RunLocked(CodeactError):
    """Another process is at work on this run: `pid` on `host`, `since` (seconds since the epoch; 0 is not known)."""

    def __init__(self, run: str, pid: int, host: str, since: float) -> None:
        who = f"process {pid} on {host}" if pid else "another process"
        super().__init__(f"the run {run} is in use by {who}{_since(since)}: wait for it to end, or end it")
        self.run = run
        self.pid = pid
        self.host = host
        self.since = since


def _since(moment: float) -> str:
    """When that was, by the clock of whoever reads it."""
    try:
        return f" since {datetime.fromtimestamp(moment):%Y-%m-%d %H:%M:%S}" if moment > 0 else ""
    except (ValueError, OverflowError, OSError):
        return ""


class RunDiffers(CodeactError):
    """A run is to go on with other parts than it was made of; `differences` says of each what was and what is."""

    def __init__(self, run: str, differences: Iterable[str]) -> None:
        self.differences = tuple(differences)
        listed = "".join(f"\n- {one}" for one in self.differences)
        super().__init__(f"the run {run} was made of other parts:{listed}\nMend that, or resume it with `anyway`")


class ReplayDivergence(CodeactError):
    """A cell that was run again, to have its variables, did not do what it had done. No call was made, nothing written.

    `cell` is its number, `what` is compared, `expected` what the journal says of it, `seen` what it was now.
    """

    def __init__(self, cell: int, what: str, expected: str, seen: str) -> None:
        super().__init__(
            f"cell {cell} did not run again as it had: {what} was {expected}, and is {seen} now. "
            "Resume it with `fresh` to go on without its variables"
        )
        self.cell = cell
        self.what = what
        self.expected = expected
        self.seen = seen


class BudgetExhausted(CodeactError):
    """A budget leaves no room for a reply of a model, or for a call of a tool. It never leaves `run`: the task ends
    with the stop reason `budget`. `kind` is what is used up, `spent` of `limit`.
    """

    def __init__(self, message: str, kind: Any, spent: float, limit: float) -> None:
        super().__init__(message)
        self.kind = kind
        self.spent = spent
        self.limit = limit


class AgentError(CodeactError):
    """An agent that code called ended without an answer; the message begins with its name and the stop reason."""

    def __init__(self, agent: str, stop_reason: str, detail: str = "") -> None:
        super().__init__(f"{agent} ended without an answer: {stop_reason}" + (f": {detail}" if detail else ""))
        self.agent = agent
        self.stop_reason = stop_reason


class ModelError(CodeactError):
    """The model could not be asked. The events so far stay, and the run can go on later."""


class ModelUnavailable(ModelError):
    """The server cannot be reached, is overloaded, was cut off, or stayed silent; the retries are used up.

    `retry_after` is the wait in seconds that the server asked for, None where it asked for none.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ModelRejected(ModelError):
    """The server will not serve this request however often it is asked: the key, the model's name, a parameter."""


class ContextOverflow(ModelError):
    """The prompt is longer than the model's context."""


class ModelProtocolError(ModelError):
    """The server's answer is not of the protocol."""


class ReplyActedOn(ModelError):
    """A reply broke off, and code of it has run already: it is not asked for again.

    Raised by `emit` when a model tells it `Discarded`. A wrapper that asks again lets it pass.
    """


def nearest(name: str, known: Iterable[str]) -> str:
    """A ready half sentence `; did you mean 'x'?`, or nothing when no known name is near."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""
