"""What happened, in the past tense: a closed union of frozen values. A session is a list of these.

Pairs stand around every wait; a pair left open is exactly what was cut off. Events carry no random id and no clock:
those are the journal's, in `Entry`. A Delta is the live kind: what passes meanwhile, and may be lost.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from .actions import Carrier, Form
from .budget import Budget, Price
from .deltas import Discarded as Discarded
from .deltas import OutputDelta as OutputDelta
from .deltas import ReasoningDelta as ReasoningDelta
from .deltas import TextDelta as TextDelta
from .deltas import Waiting as Waiting
from .execution import Answer, Gone, Imports, Limits, Mount, Outcome, Returned, ToolSpec
from .files import File, LeftOut
from .lessons import Size
from .messages import Image, NativeCall, Reply, ToolDeclaration, Usage
from .reads import ClockRead as ClockRead
from .spending import BudgetEnded as BudgetEnded
from .spending import BudgetWarned as BudgetWarned
from .spending import Charged as Charged

StopReason: TypeAlias = Literal[
    "final_answer", "max_steps", "budget", "stalled", "cancelled", "refused", "error", "paused"
]
STOPPED = "was stopped there"  # of a reply: where its code ended before it did
Purpose: TypeAlias = Literal["step", "plan", "answer"]  # what the model is asked for: to act, to plan, a last answer


@dataclass(frozen=True, slots=True)
class RunStarted:
    """A session opened: all that it was made of."""

    model: str
    sandbox: str
    tools: tuple[ToolSpec, ...] = ()
    imports: Imports = field(default_factory=Imports)
    limits: Limits = field(default_factory=Limits)
    instructions: str = ""
    python: str | None = None
    version: str = ""
    action: Form = "code"
    carrier: Carrier = "fence"  # of code
    lesson: Size = "standard"  # how much the model is told of how to act
    parts: tuple[tuple[str, str], ...] = ()  # of the prompt, that the user wrote anew
    declarations: tuple[ToolDeclaration, ...] = ()  # of the tools, where they are called in the provider's own form
    answer: ToolSpec | None = None  # `final_answer`, where its value is of a type
    network: tuple[str, ...] = ()
    mounts: tuple[Mount, ...] = ()
    eager: bool = False  # whether code runs while the model is still writing
    planning_interval: int | None = None  # steps from one plan to the next
    last_answer: bool = False  # whether the model is asked for an answer when its steps are used up
    budget: Budget | None = None  # of each task
    price: Price | None = None  # of the model's tokens, where the user gave it
    origin: tuple[str, ...] = ()  # the folder and the words that it was begun by on a command line
    agent: str = ""  # its name, where it has one


@dataclass(frozen=True, slots=True)
class SandboxReady:
    """A fresh interpreter stands, confined to this level, of this Python version."""

    level: str
    python: str


@dataclass(frozen=True, slots=True)
class TaskGiven:
    """The user gave a task; `variables` are the names bound for it, each with a short preview, `steps` its replies.

    `files` are the names of those put into `inputs` for it, each with what it is, in words.
    """

    task: str
    variables: tuple[tuple[str, str], ...] = ()
    steps: int = 20
    files: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class InputsGiven:
    """The user gave variables by value, and files: an interpreter that is built again is given them again."""

    variables: dict[str, Any] = field(default_factory=dict)
    files: tuple[File, ...] = ()


@dataclass(frozen=True, slots=True)
class TaskEnded:
    """The task is over. `output` counts only with the reason `final_answer`.

    `last` boxes an answer asked for when the steps were used up; `complete` counts what had run of a cell cut off.
    """

    stop_reason: StopReason
    output: Any = None
    error_type: str | None = None
    error: str | None = None
    last: Answer | None = None
    complete: int | None = None


@dataclass(frozen=True, slots=True)
class UserSaid:
    """The user said something in the middle of a task, or between two: the model reads it next."""

    text: str


@dataclass(frozen=True, slots=True)
class ModelAsked:
    """The model was asked for reply number `step` of this task, from 1; or, before that step, for something else."""

    step: int
    purpose: Purpose = "step"


@dataclass(frozen=True, slots=True)
class ModelReplied:
    """The model answered. `broken` says why its reply ended before it was whole, where code of it ran meanwhile."""

    reply: Reply
    broken: str | None = None


@dataclass(frozen=True, slots=True)
class ModelFailed:
    """The model could not be asked; `partial` is what had streamed before."""

    type: str
    message: str
    partial: str = ""


@dataclass(frozen=True, slots=True)
class PlanMade:
    """From step number `step` on this plan counts: the model's, or what somebody made of it."""

    step: int
    plan: str


@dataclass(frozen=True, slots=True)
class CodeRefused:
    """A cell was looked at and not run, or more of one: what is wrong with it for certain, in words for the model."""

    source: str
    complaints: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CodeStarted:
    """A cell is about to run, or what there is of it while the model is still writing.

    `seed` is what its random numbers grow from. Cells count from 1 in a session.
    """

    cell: int
    source: str
    seed: bytes


@dataclass(frozen=True, slots=True)
class CodeContinued:
    """More of a cell that runs while the model is writing it: these lines, right behind those before, are next."""

    cell: int
    source: str


@dataclass(frozen=True, slots=True)
class CodeRan:
    """A cell is over."""

    cell: int
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class ApprovalAsked:
    """Somebody is asked whether a call may run, or a cell (`tool` is `cell`, its argument `source`), or a plan."""

    key: str
    cell: int
    tool: str
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ApprovalGiven:
    """They decided. `arguments` are those that it runs with, where they were edited."""

    key: str
    tool: str
    decision: Literal["allow", "allow for the session", "deny", "edit"]
    reason: str = ""
    arguments: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class ToolCalled:
    """A tool is about to be called: its arguments are valid, and stand here by name, as they were asked.

    `edited` are those that it is called with in their place, where somebody changed them.
    """

    key: str
    cell: int
    tool: str
    arguments: dict[str, Any]
    edited: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class ToolReturned:
    """A tool gave its value, or failed."""

    key: str
    returned: Returned


@dataclass(frozen=True, slots=True)
class Connected:
    """Code asked for a host: `address` is what was dialled, `refused` why there is no connection, if there is none.

    `connection` counts from 1 in an interpreter. Nothing has passed yet; a name that is none stands escaped.
    """

    connection: int
    host: str
    port: int
    address: str | None = None
    refused: str | None = None


@dataclass(frozen=True, slots=True)
class Disconnected:
    """A connection that stood is over: how many bytes went out, and came in."""

    connection: int
    sent: int
    received: int


@dataclass(frozen=True, slots=True)
class CallAnswered:
    """What a model reads of one of its calls; `answer` boxes the value of an accepted `final_answer`."""

    call: NativeCall
    text: str
    images: tuple[Image, ...] = ()
    answer: Answer | None = None
    failed: bool = False


@dataclass(frozen=True, slots=True)
class CallsAnswered:
    """The tools that a reply called in its provider's own form have all answered, action number `cell`."""

    cell: int
    answers: tuple[CallAnswered, ...]


@dataclass(frozen=True, slots=True)
class InterpreterLost:
    """The interpreter is gone, with all its variables."""

    gone: Gone


@dataclass(frozen=True, slots=True)
class InterpreterRestored:
    """The interpreter was lost, and a copy of it that stands where it stood after the cell `gone.restored` goes on."""

    gone: Gone


@dataclass(frozen=True, slots=True)
class Forked:
    """A run went on from here beside the one that all before happened in: the run of that one.

    `at` is the step of it that this is behind, counted through that run; None is where it stood just then. `say` is
    what the user said there, which the model reads next, so that how the step ended the task does not count. `steps`
    are the replies that the task may take now, where that was changed.
    """

    run: str
    at: int | None = None
    say: str = ""
    steps: int | None = None


@dataclass(frozen=True, slots=True)
class Resumed:
    """A run that was cut off, or had ended without an answer, goes on with its interpreter built again, or a `fresh`
    one. The cells of `otherwise` did the same in another order."""

    fresh: bool = False
    otherwise: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class FilesCollected:
    """The files that code saved under `outputs/` in this task, and what was left out of them."""

    files: tuple[File, ...]
    left_out: tuple[LeftOut, ...] = ()


@dataclass(frozen=True, slots=True)
class AskedBeside:
    """A tool call put a question of its own to the agent's model."""

    key: str


@dataclass(frozen=True, slots=True)
class Compacted:
    """Results of old cells gave way to pointers, so that the prompt has about `goal` tokens.

    `cut` says that there were none left, and a part of the newest one gave way.
    """

    goal: int
    cut: bool = False


@dataclass(frozen=True, slots=True)
class SummaryAsked:
    """The model was asked to sum up the conversation before message number `upto`, from 0."""

    upto: int


@dataclass(frozen=True, slots=True)
class Summarised:
    """What it wrote, which stands in place of that from now on; nothing where it could not be asked so much."""

    upto: int
    text: str
    usage: Usage


@dataclass(frozen=True, slots=True)
class Noted:
    """Something worth knowing that changes nothing."""

    text: str


Event: TypeAlias = (
    RunStarted
    | SandboxReady
    | InputsGiven
    | TaskGiven
    | TaskEnded
    | UserSaid
    | ModelAsked
    | ModelReplied
    | ModelFailed
    | PlanMade
    | CodeRefused
    | CodeStarted
    | CodeContinued
    | ClockRead
    | CodeRan
    | ApprovalAsked
    | ApprovalGiven
    | ToolCalled
    | ToolReturned
    | Charged
    | BudgetWarned
    | BudgetEnded
    | Connected
    | Disconnected
    | CallsAnswered
    | InterpreterLost
    | InterpreterRestored
    | Forked
    | Resumed
    | FilesCollected
    | AskedBeside
    | Compacted
    | SummaryAsked
    | Summarised
    | Noted
)


@dataclass(frozen=True, slots=True)
class Entry:
    """An event in its place: sequence number from 0, seconds since the epoch, the run, and the run that called it."""

    seq: int
    at: float
    run: str
    event: Event
    parent: str | None = None


@dataclass(frozen=True, slots=True)
class Nested:
    """News of an agent that was called by code: `item` happened in its `run`, for the tool call `key` of this one.

    Told as it happens; it stands in the events of its own run alone. One that wraps an event is never dropped.
    """

    run: str
    agent: str
    key: str
    item: Event | Delta


Delta: TypeAlias = TextDelta | ReasoningDelta | OutputDelta | Waiting | Discarded | Nested
