"""What a run and those below it wait for is a function of their events: each run is read by itself."""

from __future__ import annotations

import pytest

from codeact.core.branch import run_of
from codeact.core.events import (
    ApprovalAsked,
    ApprovalGiven,
    CallsAnswered,
    CodeRan,
    Entry,
    Event,
    Resumed,
    TaskEnded,
    TaskGiven,
    ToolCalled,
    ToolReturned,
)
from codeact.core.execution import INTERRUPTED, Failure, Outcome, Returned
from codeact.core.waiting import asked_in, called_in, read

ANN, BOB = run_of("ann"), run_of("bob")
CALLED: list[tuple[str, Event]] = [
    ("top", ToolCalled("ann", 1, "clerk", {})),
    ("top", ToolCalled("bob", 1, "clerk", {})),
]
ANN_ASKS = (ANN, ApprovalAsked("a", 1, "pay", {}))
BOB_ASKS = (BOB, ApprovalAsked("b", 1, "pay", {}))
STOPPED = Returned(failure=Failure(INTERRUPTED, "it was stopped"))

STORIES: list[tuple[str, list[tuple[str, Event]], str, str]] = [
    ("two agents side by side ask", [*CALLED, ANN_ASKS, BOB_ASKS], "ab", ""),
    ("one ends, and the other still asks", [*CALLED, ANN_ASKS, (BOB, TaskEnded("final_answer", 1))], "a", ""),
    ("one is answered", [*CALLED, ANN_ASKS, BOB_ASKS, (ANN, ApprovalGiven("a", "pay", "allow"))], "b", ""),
    ("a call is over whose agent asked", [*CALLED, ANN_ASKS, ("top", ToolReturned("ann", Returned(1)))], "", ""),
    ("a call was stopped whose agent asked", [*CALLED, ANN_ASKS, ("top", ToolReturned("ann", STOPPED))], "a", ""),
    ("the cell is over that asked agents", [*CALLED, ANN_ASKS, BOB_ASKS, ("top", CodeRan(1, Outcome("done")))], "", ""),
    ("a cell of an agent is over", [*CALLED, ANN_ASKS, BOB_ASKS, (ANN, CodeRan(1, Outcome("timeout")))], "b", ""),
    ("the task was cut off", [*CALLED, ANN_ASKS, ("top", TaskEnded("cancelled"))], "a", ""),
    ("another task came", [*CALLED, ANN_ASKS, ("top", TaskEnded("cancelled")), ("top", TaskGiven("Else"))], "", ""),
    ("it went on with nothing", [*CALLED, ANN_ASKS, ("top", Resumed(fresh=True))], "", ""),
    ("an action was asked for", [("top", ApprovalAsked("a", 2, "pay", {})), ("top", CallsAnswered(2, ()))], "", ""),
    ("a call of an agent is open", [*CALLED, (ANN, ToolCalled("x", 1, "pay", {})), (BOB, TaskGiven("b"))], "", "x"),
]


@pytest.mark.parametrize(("what", "story", "asked", "called"), STORIES, ids=[one[0] for one in STORIES])
def test_what_is_waited_for(what: str, story: list[tuple[str, Event]], asked: str, called: str) -> None:
    entries = [Entry(n, float(n), run, event, None if run == "top" else "top") for n, (run, event) in enumerate(story)]
    runs = read(entries)
    assert "".join(sorted(asked_in(runs))) == asked
    if called:
        assert [one.key for one in called_in(runs)] == [called]
