"""Where a session stands, as a value: all that the loop and the prompt go by."""

from __future__ import annotations

from dataclasses import dataclass, field

from . import actions
from .events import CodeStarted, Purpose, RunStarted, TaskEnded
from .execution import Answer
from .messages import NO_USAGE, Message, NativeCall, Usage
from .repetition import Fingerprint
from .window import Window


@dataclass(frozen=True, slots=True)
class State:
    """What a session knows of itself."""

    started: RunStarted = field(default_factory=lambda: RunStarted("", ""))
    system: str = ""
    messages: tuple[Message, ...] = ()
    step: int = 0  # replies of this task
    steps: int = 20  # that it may take
    bound: tuple[str, ...] = ()  # names that the user gave, and that every fresh interpreter is given again
    given: bool = False  # whether there are files of the user's, which every fresh interpreter has again
    usage: Usage = NO_USAGE  # of this task, and of all that was asked for it
    cost: float | None = 0.0  # of the same; None where it is not known
    cell: int = 0  # the last one started; they count through the session
    calls: tuple[NativeCall, ...] = ()  # found in the last reply, not yet made
    code: actions.Code | None = None  # found in the last reply, not yet started
    carried: tuple[NativeCall, ...] = ()  # that the last reply's code came in, not yet answered
    notes: tuple[str, ...] = ()  # on the reply that this code came from
    running: CodeStarted | None = None
    stopped: int | None = None  # statements of it that were run when its task was cut off, if one is taken up
    idle: int = 0  # replies in a row that held nothing to run
    refusal: str | None = None
    answer: Answer | None = None
    ended: TaskEnded | None = None
    refused: str | None = None  # the source of the cell that was looked at last and not run
    names: frozenset[str] = frozenset()  # that cells have bound, as far as their source shows
    sure: bool = True  # whether that is all of them
    alive: tuple[int, ...] = ()  # the cells whose effects are in the namespace
    recent: tuple[Fingerprint, ...] = ()
    outcome_lost: bool = False  # the last cell took the interpreter with it, and the model was told
    news: str = ""  # for the next observation
    said: tuple[str, ...] = ()  # by the user, and not read by the model yet
    asked: Purpose = "step"  # what the model was asked for last
    draft: str | None = None  # a plan that does not count yet
    plan: str = ""  # the one that counts
    planned: int | None = None  # the step after which it was made
    objections: tuple[str, ...] = ()  # to the plans that were made since
    window: Window = field(default_factory=Window)  # what of the messages is what, and how much room they take
    unasked: State | None = None  # where it stood before a question that has no reply yet
    warned: tuple[str, ...] = ()  # of the budget, and not read by the model yet
    spent: str | None = None  # which budget left no room
