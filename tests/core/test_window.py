"""What gives way where a prompt has no more room: pure functions of what happened."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codeact.core import weight
from codeact.core.events import (
    CallAnswered,
    CallsAnswered,
    CodeRan,
    CodeStarted,
    Compacted,
    Event,
    InterpreterLost,
    ModelAsked,
    ModelFailed,
    ModelReplied,
    PlanMade,
    RunStarted,
    Summarised,
    TaskGiven,
    UserSaid,
)
from codeact.core.execution import CellError, Gone, Limits, Outcome
from codeact.core.loop import Ask, Compact, Overflow, Step, Summarise, goes_on, next_step
from codeact.core.messages import Image, Message, NativeCall, Reply, Text, Usage, say
from codeact.core.names import made
from codeact.core.prompt import prompt, summary_prompt
from codeact.core.state import State, after

START: list[Event] = [RunStarted("m", "linux"), TaskGiven("Find the dearest lamp.")]
UNTOLD = Usage()
LINES = "a line of output, as code prints it\n" * 100  # 3,600 characters


def cell(number: int, source: str, outcome: Outcome | None = None, usage: Usage = UNTOLD) -> list[Event]:
    outcome = outcome or Outcome("done", stdout=LINES)
    reply = Reply(f"So.\n```python\n{source}\n```", usage=usage)
    started = CodeStarted(number, source, bytes([number % 256]) * 16)
    return [ModelAsked(number), ModelReplied(reply), started, CodeRan(number, outcome)]


def standing(*events: list[Event]) -> State:
    return reduce(after, [*START, *(event for some in events for event in some)], State())


def settled(state: State, limits: Limits) -> tuple[State, list[Step]]:
    """What the driver does until the model can be asked; its summaries are short."""
    done: list[Step] = []
    while True:
        match step := next_step(state, limits):
            case Compact(goal, cut):
                state = after(state, Compacted(goal, cut))
            case Summarise(upto):
                state = after(state, Summarised(upto, "The lamps are in `rows`.", Usage(9, 9, 0)))
            case _:
                return state, done
        done.append(step)


def texts(state: State) -> list[str]:
    return [message.text for message in state.messages]


def test_old_output_gives_way_to_the_names_that_hold_what_the_cell_made() -> None:
    cells = [cell(n, f"rows_{n} = list(range({n}))\nprint(rows_{n})") for n in range(1, 9)]
    state = standing(*cells)
    limits = Limits(context_tokens=state.window.tokens - 1)
    then, done = settled(state, limits)
    assert [type(step).__name__ for step in done] == ["Compact"]
    assert then.window.tokens <= limits.context_tokens // 2 + 1300  # type: ignore[operator]  # of one result
    assert then.messages[2].text == (
        "Cell 1 ran.\n[3,636 characters of what it put out are left out here. `rows_1` still holds what it made: "
        "print again what you need.]"
    )
    assert then.messages[-1] == state.messages[-1] and then.messages[0] == state.messages[0]
    replies = [message for message in state.messages if message.role == "assistant"]
    assert [message for message in then.messages if message.role == "assistant"] == replies


def test_output_gives_way_in_one_stride_and_the_start_of_the_prompt_stands_for_many_steps() -> None:
    state = standing()
    limits = Limits(context_tokens=8_000, steps=1000)
    broken = 0
    for number in range(1, 41):
        before = prompt(state).messages
        state = reduce(after, cell(number, f"x{number} = {number}"), state)
        state, _ = settled(state, limits)
        broken += prompt(state).messages[: len(before)] != before
        assert state.window.tokens <= 8_000
    assert broken <= 15


def test_a_variable_that_a_later_cell_bound_again_holds_nothing_of_the_old_one() -> None:
    state = standing(cell(1, "rows = 1\nlamps = 2"), cell(2, "rows = 3"), cell(3, "1"), cell(4, "2"))
    state = after(state, Compacted(0))
    assert "`lamps` still holds" in texts(state)[2]
    assert "`rows` still holds" in texts(state)[4]


def test_what_a_dead_interpreter_held_is_not_named() -> None:
    state = standing(cell(1, "rows = 1"), [InterpreterLost(Gone("killed"))], cell(2, "2"), cell(3, "3"))
    assert "still holds" not in texts(after(state, Compacted(0)))[2]


def test_a_cell_that_raised_holds_what_ran_before() -> None:
    error = CellError("KeyError", "'x'", "Traceback ...")
    outcome = Outcome("done", stdout=LINES, error=error, complete=1)
    state = standing(cell(1, "rows = 1\nlamps = rows['x']", outcome), cell(2, "2"), cell(3, "3"))
    told = texts(after(state, Compacted(0)))[2]
    assert told.startswith("Cell 1 raised KeyError. What it did before that is kept.\n[")
    assert "`rows` still holds" in told


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("import json\nrows = json.load(f)", ("rows",)),
        ("a, (b, *c) = rows\nd.e = 1\nf[0] = 2", ("a", "b", "c")),
        ("for row in rows:\n    total += row", ("row", "total")),
        ("def price(x):\n    y = x\nclass Lamp:\n    z = 1", ("price", "Lamp")),
        ("x = [i for i in rows]\nif (n := len(x)): pass", ("x", "n")),
        ("tmp = 1\nkeep = tmp\ndel tmp", ("keep",)),
        ("not python", ()),
    ],
)
def test_what_a_cell_makes_is_read_off_its_source(source: str, names: tuple[str, ...]) -> None:
    assert made(source) == names


def test_a_summary_takes_the_place_of_old_turns_and_the_words_of_the_user_stay() -> None:
    state = standing(
        cell(1, "rows = 1"),
        [UserSaid("Only brass ones.")],
        cell(2, "brass = 2"),
        *(cell(n, f"x{n} = {n}  # {'long ' * 400}") for n in range(3, 12)),
    )
    then, done = settled(state, Limits(context_tokens=5_000))
    assert [type(step).__name__ for step in done] == ["Compact", "Summarise"]
    told = texts(then)
    assert told[0] == "Find the dearest lamp."
    assert told[1] == "The user says:\nOnly brass ones."
    assert told[2].startswith(
        "[The conversation up to here is left out. What you wrote down of it:]\nThe lamps are in `rows`.\n[`brass`, "
    )
    assert then.messages[3].role == "assistant" and then.messages[3:] == state.messages[-len(then.messages[3:]) :]
    assert then.window.tokens <= 5_000
    assert then.usage == state.usage + Usage(9, 9, 0)
    assert prompt(then).answered == sum(message.role == "assistant" for message in state.messages) + 1


def test_output_that_is_short_does_not_give_way() -> None:
    long = [cell(n, f"x{n} = {n}  # {'long ' * 400}", Outcome("done", stdout="1\n")) for n in range(1, 9)]
    _, done = settled(standing(*long), Limits(context_tokens=5_000))
    assert [type(step).__name__ for step in done] == ["Summarise"]


def test_a_second_summary_takes_the_place_of_the_first() -> None:
    state = standing(*(cell(n, f"x = {n}") for n in range(1, 6)))
    first = after(state, Summarised(7, "First.", Usage()))
    then = reduce(after, [event for n in range(6, 9) for event in cell(n, f"x = {n}")], first)
    place = max(n for n, message in enumerate(then.messages) if message.role == "assistant")
    second = after(then, Summarised(place, "Second.", Usage()))
    assert [message.role for message in second.messages] == ["user", "user", "assistant", "user"]
    assert "Second." in texts(second)[1] and "First." not in "".join(texts(second))


def test_the_question_for_a_summary_begins_as_the_last_prompt_did() -> None:
    state = standing(*(cell(n, f"x = {n}") for n in range(1, 6)))
    asked = summary_prompt(state, 5)
    assert asked.messages[:6] == prompt(state).messages[:6]
    assert "Write down for yourself" in asked.messages[-1].text and len(asked.messages) == 7
    assert asked.answered == prompt(state).answered


def test_at_the_very_last_the_newest_result_is_cut_and_then_it_is_an_error() -> None:
    outcome = Outcome("done", stdout="x" * 20_000)
    state = standing(cell(1, "print('x' * 20_000)", outcome))
    limits = Limits(context_tokens=state.window.fixed + 1200)
    then, done = settled(state, limits)
    assert done[-1] == Compact(limits.context_tokens, cut=True)  # type: ignore[arg-type]
    assert "It is cut" in texts(then)[-1] and len(texts(then)[-1]) < 4_000
    assert next_step(then, limits) == Ask(2)
    small = next_step(standing(), Limits(context_tokens=300))
    assert isinstance(small, Overflow) and "context_tokens=300 are allowed" in small.detail


def test_what_natively_called_tools_gave_gives_way_too() -> None:
    calls = tuple(NativeCall(f"c{n}", "weather", "{}") for n in range(2))
    start: list[Event] = [RunStarted("m", "linux", action="json"), TaskGiven("Which is colder?")]
    turns: list[Event] = []
    for step in range(1, 6):
        answers = tuple(CallAnswered(call, f"{step}{LINES}") for call in calls)
        turns += [ModelAsked(step), ModelReplied(Reply("", tool_calls=calls)), CallsAnswered(step, answers)]
    state = reduce(after, [*start, *turns], State())
    then, done = settled(state, Limits(context_tokens=state.window.tokens - 1))
    assert [type(step).__name__ for step in done] == ["Compact"]
    assert then.messages[2] == Message(
        "tool",
        (Text("[3,601 characters of what this call gave are left out here: call again if you need them.]"),),
        answers="c0",
    )
    then = after(then, Summarised(7, "All cold.", Usage()))
    assert [message.role for message in then.messages] == ["user", "user", *["assistant", "tool", "tool"] * 3]


def test_a_picture_is_in_the_requests_until_a_reply_has_seen_it() -> None:
    outcome = Outcome("done", images=(Image(b"png", size=(640, 480)),))
    state = standing(cell(1, "plt.show()", outcome))
    assert isinstance(prompt(state).messages[-1].parts[-1], Image)
    asked = reduce(after, [ModelAsked(2), ModelFailed("ModelUnavailable", "down")], state)
    assert isinstance(prompt(asked).messages[-1].parts[-1], Image)
    before = prompt(state).messages
    then = reduce(after, cell(2, "1"), asked)
    assert prompt(then).messages[: len(before) - 1] == before[:-1]
    assert prompt(then).messages[len(before) - 1].text == (
        "Cell 1 ran.\n[image 1: 640x480]\n(This picture was shown once, when new. To look again, show it again.)"
    )
    assert not any(isinstance(part, Image) for message in prompt(then).messages for part in message.parts)
    assert then.window.weight == sum(map(weight.of_message, then.messages))


def test_a_refused_prompt_is_made_shorter_and_asked_once_more() -> None:
    state = standing(*(cell(n, f"x = {n}") for n in range(1, 9)))
    refused = after(state, ModelFailed("ContextOverflow", "too long"))
    assert goes_on(refused, Limits())
    then, done = settled(refused, Limits())
    assert [type(step).__name__ for step in done] == ["Compact"]
    assert then.window.tokens <= state.window.tokens * 3 / 4
    assert next_step(then, Limits()) == Ask(9)
    assert not goes_on(after(then, ModelFailed("ContextOverflow", "too long")), Limits())
    assert not goes_on(after(standing(), ModelFailed("ContextOverflow", "too long")), Limits())


def test_what_a_server_counts_corrects_our_guess_unless_it_is_no_count_of_this_prompt() -> None:
    state = standing()
    ours = state.window.tokens
    heard = reduce(after, cell(1, "x = 1", usage=Usage(ours // 2, 9, 0)), state)
    assert heard.window.scale == pytest.approx(0.5, rel=0.01)
    for counted in (Usage(11, 1, 0), Usage(None, 1), Usage(ours * 2, 1, 0, requests=2)):
        assert reduce(after, cell(1, "x = 1", usage=counted), state).window.scale == 1


def test_what_the_model_tells_of_itself_leaves_room_for_the_reply() -> None:
    state = standing([ModelAsked(1), ModelReplied(Reply("So.", context=16_384))])
    assert state.window.room(None) == 16_384 - 4_096
    assert state.window.room(4_000) == 4_000
    assert standing().window.room(None) is None


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        ("The quick brown fox jumps over the lazy dog. " * 10, 91, 180),
        ("for i in range(10):\n    total += rows[i]['price']\n", 16, 30),
        ("Zażółć gęślą jaźń", 8, 17),
        ("東京の天気は晴れです", 7, 12),
        ("", 0, 0),
    ],
)
def test_our_guess_of_tokens_is_rather_high(text: str, least: int, most: int) -> None:
    """`least` is what usual tokenizers count."""
    assert least <= weight.of_text(text) <= most


def test_the_weight_is_kept_as_messages_come() -> None:
    state = standing(*(cell(n, f"x = {n}") for n in range(1, 5)), [UserSaid("Go on.")], cell(5, "x = 5"))
    assert state.window.weight == sum(map(weight.of_message, state.messages))
    assert after(state, Compacted(10)).window.weighed == len(state.messages)
    assert say("user", "The user says:\nGo on.").text in texts(after(state, Compacted(0)))[-1]


def test_the_plan_that_counts_outlives_a_summary() -> None:
    plan = [ModelAsked(1, "plan"), ModelReplied(Reply("Read, then compare.")), PlanMade(1, "Read, then compare.")]
    state = standing(plan, *(cell(n, f"x = {n}") for n in range(1, 6)))
    told = texts(after(state, Summarised(9, "Nothing yet.", UNTOLD)))
    assert told[1].endswith("[The plan that counts is still this:]\nRead, then compare.")
    assert "The plan that counts" not in "".join(texts(after(state, Summarised(1, "Nothing.", UNTOLD))))


MOVES = st.lists(
    st.one_of(
        st.tuples(st.just("cell"), st.integers(0, 9_000), st.integers(0, 6_000)),
        st.tuples(st.just("calls"), st.integers(1, 3), st.integers(0, 6_000)),
        st.tuples(st.just("prose"), st.integers(0, 900), st.just(0)),
        st.tuples(st.just("say"), st.integers(1, 200), st.just(0)),
        st.tuples(st.just("task"), st.integers(1, 200), st.just(0)),
        st.tuples(st.just("picture"), st.integers(1, 3), st.just(0)),
        st.tuples(st.just("overflow"), st.just(0), st.just(0)),
    ),
    max_size=25,
)


@settings(max_examples=150, deadline=None)
@given(moves=MOVES, room=st.one_of(st.none(), st.integers(1_500, 12_000)), json=st.booleans())
def test_whatever_happens_the_words_of_the_user_stay_and_the_prompt_is_whole(
    moves: list[tuple[str, int, int]], room: int | None, json: bool
) -> None:
    state = reduce(after, [RunStarted("m", "linux", action="json" if json else "code"), TaskGiven("Task 0.")], State())
    limits, words, asked = Limits(context_tokens=room), ["Task 0."], 0
    for number, (kind, size, more) in enumerate(moves, 1):
        for event in happening(number, kind, size, more, json):
            asked += isinstance(event, ModelReplied)
            state = after(state, event)
        if kind in ("say", "task"):
            words.append(f"{kind} {number} " + "w" * size)
        state, done = settled(replace(state, code=None, calls=(), idle=0, recent=(), step=0), limits)
        asked += sum(isinstance(step, Summarise) for step in done)
        shown = prompt(state)
        heard = "\n".join(message.text for message in shown.messages) + "\n".join(state.said)
        assert [one for one in words if one not in heard] == []
        assert shown.answered == asked
        assert state.window.weight == sum(map(weight.of_message, state.messages))
        if not isinstance(next_step(state, limits), Overflow) and room is not None:
            assert state.window.tokens <= room
        open_calls: set[str] = set()
        for message in shown.messages:
            if message.role == "tool":
                assert message.answers in open_calls
                open_calls.discard(message.answers)
            else:
                assert not open_calls
                open_calls = {call.id for call in message.tool_calls}


def happening(number: int, kind: str, size: int, more: int, json: bool) -> list[Event]:
    match kind:
        case "cell" | "picture" if not json:
            pictures = (Image(b"png", size=(640, 480)),) * (size if kind == "picture" else 0)
            outcome = Outcome("done", stdout="o" * more, images=pictures)
            return cell(number, f"x{number} = '{'c' * (size if kind == 'cell' else 0)}'", outcome)
        case "calls" | "cell" | "picture" if json:
            calls = tuple(NativeCall(f"c{number}-{n}", "weather", "{}") for n in range(size % 3 + 1))
            answers = tuple(CallAnswered(call, "a" * more) for call in calls)
            return [ModelAsked(1), ModelReplied(Reply("", tool_calls=calls)), CallsAnswered(number, answers)]
        case "say":
            return [UserSaid(f"say {number} " + "w" * size)]
        case "task":
            return [TaskGiven(f"task {number} " + "w" * size)]
        case "overflow":
            return [ModelAsked(1), ModelFailed("ContextOverflow", "too long")]
        case _:
            return [ModelAsked(1), ModelReplied(Reply("p" * size))]
