"""What we ask of an interpreter and what we hear back: plain values, known to every floor above."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from . import hosts
from .errors import UsageError
from .messages import Image
from .reads import Reads

MIB = 1 << 20
INTERRUPTED = "Interrupted"  # the type of a failure that says nothing of its call's effect

Ended: TypeAlias = Literal["done", "final_answer", "timeout", "memory", "exit", "signal"]
Stream: TypeAlias = Literal["stdout", "stderr"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Every bound of a run, with its default. Seconds are seconds, sizes are bytes."""

    seconds: float = 30.0  # a cell; the clock of decision 3: wall time, but CPU time while a tool call is open
    memory: int = 1024 * MIB
    threads: int = 64
    scratch: int = 256 * MIB
    inodes: int = 10_000
    output: int = MIB  # kept of each stream of a cell, the first and the last half
    calls: int = 10_000  # tool calls of a cell
    open_calls: int = 32  # tool calls of a session at once
    connections: int = 64  # to hosts that may be reached, at once
    tool_seconds: float = 300.0
    grace: float = 1.0  # between an interrupt and a kill
    steps: int = 20  # replies of the model in a task
    depth: int = 3  # how many agents deep an agent may call others
    snapshots: int = 8  # copies of an interpreter at once, forks too
    snapshot_memory: int = 4096 * MIB  # of all that wait
    files: int = 100  # that are collected at once
    file_bytes: int = 64 * MIB  # of all of them
    context_tokens: int | None = None  # of a prompt; None: what the model tells, or what it refuses
    listing: int = 4_000  # characters of a prompt that declare tools; what does not fit is found by search

    def __post_init__(self) -> None:
        for name, (low, high, unit) in _BOUNDS.items():
            value = getattr(self, name)
            default = Limits.__dataclass_fields__[name].default
            if value is None and default is None:
                continue
            whole = not isinstance(default, float)
            if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
                kind = "a whole number" if whole else "a number"
                raise TypeError(f"{_SPOKEN.get(name, name)} must be {kind} of {unit}, not {value!r}")
            if not low <= value <= high:
                raise UsageError(f"{_SPOKEN.get(name, name)}={value!r}: from {low:,} to {high:,} {unit}")


_SPOKEN = {"steps": "max_steps"}
_DAY = 86_400
_BOUNDS: dict[str, tuple[float, float, str]] = {
    "seconds": (0.01, 30 * _DAY, "seconds"),
    "memory": (32 * MIB, 1 << 44, "bytes"),
    "threads": (1, 10_000, "threads"),
    "scratch": (1 * MIB, 1 << 44, "bytes"),
    "inodes": (16, 10_000_000, "inodes"),
    "output": (1024, 64 * MIB, "bytes"),
    "calls": (0, 10_000_000, "calls"),
    "open_calls": (1, 10_000, "calls"),
    "connections": (1, 1000, "connections"),
    "tool_seconds": (0.01, 30 * _DAY, "seconds"),
    "grace": (0.05, 600, "seconds"),
    "steps": (1, 1_000_000, "steps"),
    "depth": (0, 100, "agents"),
    "snapshots": (1, 1000, "snapshots"),
    "snapshot_memory": (1 * MIB, 1 << 44, "bytes"),
    "files": (0, 10_000, "files"),
    "file_bytes": (0, 1 << 34, "bytes"),
    "context_tokens": (256, 1 << 40, "tokens"),
    "listing": (0, 100_000_000, "characters"),
}


@dataclass(frozen=True, slots=True)
class Imports:
    """What a cell may import: the base set (most of the standard library) or not, these names beside it, or all."""

    names: tuple[str, ...] = ()  # top-level or dotted; submodules are included
    base: bool = True
    everything: bool = False


ALL = Imports(everything=True)
NONE = Imports(base=False)


def only(*names: str) -> Imports:
    """An import policy of exactly these modules, without the base set."""
    return Imports(names, base=False)


@dataclass(frozen=True, slots=True)
class Mount:
    """A folder of the host that code sees at its own path: to read, or, where `writable`, to change as well."""

    path: str
    writable: bool = False


@dataclass(frozen=True, slots=True)
class Policy:
    """What a sandbox has to hold: the limits, whose packages are visible, and what will be imported.

    A sandbox that cannot give what is asked here says so when it is launched, and runs nothing. `snapshots` alone is a
    wish: a pipe that can be copied is `Copying`, and where it is not, the interpreter says so when a copy is asked for.
    """

    limits: Limits = field(default_factory=Limits)
    python: str | None = None  # an interpreter or a virtual environment; None is the one that runs codeact
    imports: Imports = field(default_factory=Imports)
    mounts: tuple[Mount, ...] = ()
    network: tuple[str, ...] = ()  # hosts that may be reached, such as `api.github.com` or `*.example.org:443`
    snapshots: bool = False  # whether the interpreter shall be one that can be copied as it stands

    def __post_init__(self) -> None:
        object.__setattr__(self, "network", tuple(map(str, hosts.rules(self.network))))


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as model and guest know it; `signature` is Python source: `(city: str, unit: str = 'C') -> dict`.

    `group` names what it came with, such as a server with many tools; it is empty for a tool of its own.
    """

    name: str
    signature: str
    doc: str = ""
    parameters: tuple[Parameter, ...] = ()
    group: str = ""

    @property
    def path(self) -> str:
        """Its whole name, by which calls, approvals and events know it: `github.create_issue`, or `weather`."""
        return f"{self.group}.{self.name}" if self.group else self.name


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a tool: `kind` as `inspect` names it, `default` as source text, None where it is required."""

    name: str
    kind: Literal["POSITIONAL_ONLY", "POSITIONAL_OR_KEYWORD", "VAR_POSITIONAL", "KEYWORD_ONLY", "VAR_KEYWORD"]
    default: str | None = None


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that code asked for: its key, the cell it came from, its arguments by name, and those made before it.

    The key is the content of the call: run, cell, tool, arguments, and the how-manieth of its kind in the cell.
    `before` are the calls of the same cell that came before this one. Of another `kind` is what is asked about as if
    it were a call: a cell, or a plan. `agent` names the agent below whose code asks, where it is not the session's own.
    """

    key: str
    cell: int
    tool: str
    arguments: dict[str, Any]
    before: tuple[ToolCall, ...] = ()
    kind: Literal["tool", "cell", "plan"] = "tool"
    agent: str = ""

    @property
    def name(self) -> str:
        """The tool's name, behind that of the agent below whose code calls it."""
        return f"{self.agent}.{self.tool}" if self.agent else self.tool


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a call has no value: the class name and message of an exception that code can catch."""

    type: str
    message: str


@dataclass(frozen=True, slots=True)
class Returned:
    """The answer to a call: a value, or a failure."""

    value: Any = None
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class CellError:
    """The exception that ended a cell; `traceback` is CPython's own text, trimmed to the cell's frames."""

    type: str
    message: str
    traceback: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The value given to `final_answer`, boxed, so that an answer of None is still an answer."""

    value: Any


@dataclass(frozen=True, slots=True)
class Death:
    """How a guest's process ended: by itself (`exit`), by a signal not ours, or because of a limit that we enforced."""

    kind: Literal["exit", "signal", "memory", "killed"]
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Gone:
    """The interpreter is lost: why, in words for the model, and what stands in its place.

    `restored` is the cell after whose end a copy of it had been kept that goes on now (0: before the first cell); None
    says that a fresh one does, with no variables. `unkept` says why no later copy could be kept, where that is so: then
    the cells since `restored` are lost, else only the one that it died in.
    """

    why: str
    restored: int | None = None
    unkept: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a cell.

    `value` is the repr of a last expression, cut at 64 KiB (None when there is none or it is None), `preview` what a
    model is shown of it. `stdout` and `stderr` are whole up to the limit, then their first and last half with a line
    that counts what was cut; `dropped` is how many bytes that was, of both. `images` are the pictures that it drew.
    `gone` says that the interpreter did not survive, and what stands in its place; `seconds` is wall time. `clock` is
    what it read of the clock since its last call.
    """

    ended: Ended
    stdout: str = ""
    stderr: str = ""
    value: str | None = None
    preview: str | None = None
    error: CellError | None = None
    answer: Answer | None = None
    gone: Gone | None = None
    complete: int = 0  # top-level statements that ran to their end
    seconds: float = 0.0
    dropped: int = 0
    notes: tuple[str, ...] = ()
    images: tuple[Image, ...] = ()
    clock: Reads = ()

    @property
    def ok(self) -> bool:
        """Whether the cell ran to its end, or to its answer."""
        return self.error is None

    @property
    def kept(self) -> bool:
        """Whether the variables of before this cell are still there."""
        return self.gone is None or (self.gone.restored is not None and not self.gone.unkept)

    @property
    def final_answer(self) -> Any:
        """The value given to `final_answer`; None also when there was none, see `ended`."""
        return self.answer.value if self.answer is not None else None
