"""What to do next is a function of the events: tables of a session's past and its next step."""

from __future__ import annotations

from functools import reduce

import pytest

from codeact.core.events import (
    CodeRan,
    CodeStarted,
    Event,
    InterpreterLost,
    InterpreterRestored,
    ModelAsked,
    ModelFailed,
    ModelReplied,
    Noted,
    RunStarted,
    SandboxReady,
    TaskEnded,
    TaskGiven,
    ToolCalled,
    ToolReturned,
)
from codeact.core.execution import Answer, CellError, Gone, Limits, Outcome, Returned
from codeact.core.loop import Ask, Run, Step, Stop, next_step
from codeact.core.messages import Reply, Usage
from codeact.core.prompt import prompt
from codeact.core.repetition import repeats
from codeact.core.state import State, after

LIMITS = Limits(steps=4)
START: list[Event] = [RunStarted("m", "linux", limits=LIMITS), SandboxReady("full", "3.11.7"), TaskGiven("Add.")]
ERROR = CellError("ValueError", "no", "Traceback ...\nValueError: no")


def said(code: str, step: int = 1) -> list[Event]:
    return [ModelAsked(step), ModelReplied(Reply(f"So.\n```python\n{code}\n```"))]


def ran(cell: int, outcome: Outcome, source: str = "x") -> list[Event]:
    return [CodeStarted(cell, source, bytes(16)), CodeRan(cell, outcome)]


def prose(step: int, text: str = "I think so.") -> list[Event]:
    return [ModelAsked(step), ModelReplied(Reply(text))]


def whole(step: int, code: str, outcome: Outcome) -> list[Event]:
    return said(code, step) + ran(step, outcome, code + "\n")


OK = Outcome("done", stdout="1\n")

STORIES: list[tuple[str, list[Event], Step]] = [
    ("a task is given", START, Ask(1)),
    ("the model was asked and answered in code", START + said("x = 1"), Run(1, "x = 1\n")),
    ("the code ran", START + whole(1, "x = 1", OK), Ask(2)),
    ("the code raised", START + whole(1, "x", Outcome("done", error=ERROR)), Ask(2)),
    ("the code answered", START + whole(1, "x", Outcome("final_answer", answer=Answer(7))), Stop("final_answer", 7)),
    ("the answer is None", START + whole(1, "x", Outcome("final_answer", answer=Answer(None))), Stop("final_answer")),
    ("prose alone", START + prose(1), Ask(2)),
    (
        "prose three times",
        START + prose(1) + prose(2) + prose(3),
        Stop("stalled", detail="3 replies in a row held nothing to run"),
    ),
    ("prose, code, prose, prose", START + prose(1) + whole(2, "x", OK)[:2] + ran(1, OK) + prose(3), Ask(4)),
    (
        "the last step found code: it still runs",
        START + prose(1) + whole(2, "a", OK) + prose(3) + said("b", 4),
        Run(3, "b\n"),
    ),
    (
        "the steps are used up",
        START + whole(1, "a", OK) + whole(2, "b", OK) + whole(3, "c", OK) + whole(4, "d", OK),
        Stop("max_steps", detail="no answer after 4 steps"),
    ),
    (
        "the provider's filter stopped it",
        [*START, ModelAsked(1), ModelReplied(Reply("I must not.", finish="content_filter"))],
        Stop("refused", detail="I must not."),
    ),
    ("the model failed", [*START, ModelAsked(1), ModelFailed("ModelUnavailable", "down")], Ask(2)),
    (
        "a second task starts anew",
        [
            *START,
            *whole(1, "x", Outcome("final_answer", answer=Answer(7))),
            TaskEnded("final_answer", 7),
            TaskGiven("And?"),
        ],
        Ask(1),
    ),
    (
        "tools in between change nothing",
        [
            *START,
            *said("x"),
            CodeStarted(1, "x", bytes(16)),
            ToolCalled("k", 1, "t", {}),
            ToolReturned("k", Returned(1)),
            CodeRan(1, OK),
        ],
        Ask(2),
    ),
]


@pytest.mark.parametrize(("events", "step"), [story[1:] for story in STORIES], ids=[story[0] for story in STORIES])
def test_the_next_step_follows_from_what_happened(events: list[Event], step: Step) -> None:
    assert next_step(reduce(after, events, State()), LIMITS) == step


def test_a_model_in_a_loop_is_told_and_then_stopped() -> None:
    limits = Limits(steps=100)
    state = reduce(after, START, State())
    for step in range(1, 6):
        assert next_step(state, limits) == Ask(step)
        state = reduce(after, whole(step, "check()", OK), state)
    assert "same outcome 5 times" in state.messages[-1].text
    assert next_step(state, limits) == Stop("stalled", detail="the same action had the same outcome 5 times in a row")


def test_polling_is_not_a_loop_while_what_it_sees_changes() -> None:
    state = reduce(after, START, State())
    for step in range(1, 9):
        state = reduce(after, whole(step, "check()", Outcome("done", stdout=f"{step} %\n")), state)
    assert isinstance(next_step(state, Limits(steps=100)), Ask)


@pytest.mark.parametrize(
    ("cells", "times"),
    [("", 1), ("a", 1), ("ab", 1), ("aa", 2), ("baaa", 3), ("abab", 2), ("cababab", 3), ("aab", 1), ("abcabc", 1)],
)
def test_repeats_counts_one_cell_or_two_in_turn(cells: str, times: int) -> None:
    assert repeats(tuple((cell, "") for cell in cells)) == times


def test_the_prompt_only_ever_grows_at_its_end() -> None:
    state = State()
    seen: tuple[object, ...] = ()
    events = [*START, *whole(1, "x", OK), *prose(2), *whole(3, "y", Outcome("done", error=ERROR)), Noted("n")]
    for event in events:
        state = after(state, event)
        if state.started.model:
            messages = prompt(state).messages
            assert messages[: len(seen)] == seen
            seen = messages
    assert [message.role for message in seen] == ["system", "user", *["assistant", "user"] * 3]


def test_alive_cells_are_those_whose_effects_are_in_the_namespace() -> None:
    state = reduce(after, START + whole(1, "a", OK) + whole(2, "b", Outcome("done", error=ERROR)), State())
    assert state.alive == (1, 2)
    lost = Outcome("signal", gone=Gone("SIGSEGV"), error=CellError("SandboxDied", "", ""))
    state = reduce(after, [*whole(3, "c", lost), InterpreterLost(Gone("SIGSEGV"))], state)
    assert state.alive == ()


def test_a_restored_interpreter_has_the_cells_up_to_its_copy_and_the_model_is_told_once() -> None:
    events = START + whole(1, "a", OK) + whole(2, "b", OK)
    gone = Gone("killed", 1, "a thread was running")
    died = Outcome("signal", gone=gone, error=CellError("SandboxDied", "", ""))
    state = reduce(after, [*events, *whole(3, "c", died), InterpreterRestored(gone)], State())
    assert state.alive == (1,) and state.news == ""
    assert "kept after cell 1" in str(state.messages[-1])
    state = reduce(after, whole(4, "d", OK), state)
    assert state.alive == (1, 4) and "kept after cell 1" not in str(state.messages[-1])
    between = after(state, InterpreterRestored(Gone("killed", 4)))
    assert between.alive == (1, 4) and "kept after cell 4" in between.news


def test_what_was_there_before_the_cell_is_kept_by_a_copy_from_just_before_it() -> None:
    assert Outcome("signal", gone=Gone("SIGSEGV", 2)).kept
    assert not Outcome("signal", gone=Gone("SIGSEGV", 2, "threads were running")).kept
    assert not Outcome("signal", gone=Gone("SIGSEGV")).kept


def test_usage_that_a_server_did_not_tell_stays_unknown() -> None:
    told = ModelReplied(Reply("a", usage=Usage(10, 2, 0)))
    silent = ModelReplied(Reply("a", usage=Usage()))
    state = reduce(after, [*START, told, told], State())
    assert state.usage == Usage(20, 4, 0, 2)
    assert after(state, silent).usage == Usage(None, None, None, 3)


def test_a_cut_reply_never_runs() -> None:
    cut = ModelReplied(Reply("```python\nremove_all()\n```", finish="length"))
    state = reduce(after, [*START, ModelAsked(1), cut], State())
    assert next_step(state, LIMITS) == Ask(2)
    assert "cut off" in state.messages[-1].text
