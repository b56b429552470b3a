"""Where a session stands after an event: a function of its events, and nothing else.

`after` keeps the rendered messages, append-only, so that a step costs the same whether it is the tenth or the
thousandth, and what the model saw yesterday is byte for byte the start of what it sees today.
"""

from __future__ import annotations

import json
from typing import assert_never

from . import actions, carriers, names, observations, plans, weight
from . import window as windows
from .acting import action_of
from .budget import cost
from .catalogue import call_of
from .changing import changed as replace
from .events import (
    ApprovalAsked,
    ApprovalGiven,
    AskedBeside,
    BudgetEnded,
    BudgetWarned,
    CallsAnswered,
    Charged,
    ClockRead,
    CodeContinued,
    CodeRan,
    CodeRefused,
    CodeStarted,
    Compacted,
    Connected,
    Disconnected,
    Event,
    FilesCollected,
    Forked,
    InputsGiven,
    InterpreterLost,
    InterpreterRestored,
    ModelAsked,
    ModelFailed,
    ModelReplied,
    Noted,
    PlanMade,
    Resumed,
    RunStarted,
    SandboxReady,
    Summarised,
    SummaryAsked,
    TaskEnded,
    TaskGiven,
    ToolCalled,
    ToolReturned,
    UserSaid,
)
from .execution import Answer, Gone
from .marking import marks
from .messages import NO_USAGE, Image, Message, Reply, Text, Usage, answered, say
from .repetition import RECENT, essence, repeats
from .standing import State as State
from .system import system_prompt
from .window import Mark

CUT_OFF = ("cancelled", "error", "paused")  # ends that a task can go on from


def after(state: State, event: Event) -> State:
    """The state once this has happened."""
    then = _after(_answered_now(state, event.reply) if isinstance(event, ModelReplied) else state, event)
    if len(then.messages) <= then.window.weighed:
        return then
    new = marks(event, state.messages, then.messages, () if then.said else state.said)
    return replace(then, window=windows.grown(then.window, then.messages, new))


def _after(state: State, event: Event) -> State:
    match event:
        case RunStarted():
            system = system_prompt(event)
            fixed = weight.of_text(system) + sum(map(weight.of_declaration, event.declarations))
            return replace(state, started=event, system=system, window=replace(state.window, fixed=fixed))
        case TaskGiven():
            state, cut = _left(state)
            fresh = replace(state, step=0, usage=NO_USAGE, idle=0, refusal=None, answer=None, ended=None)
            fresh = replace(fresh, cost=0.0, warned=(), spent=None)
            text = observations.task(event.task, event.variables, event.files)
            bound = tuple(dict.fromkeys((*state.bound, *(name for name, _ in event.variables))))
            given = state.given or bool(event.files)
            fresh = replace(fresh, recent=(), code=None, calls=(), running=None, stopped=None, unasked=None)
            fresh = replace(fresh, steps=event.steps, bound=bound, given=given)
            fresh = replace(fresh, asked="step", draft=None, plan="", planned=None, objections=())
            fresh = replace(fresh, window=replace(state.window, refusals=0))
            return _told(fresh, "\n\n".join(filter(None, (text, cut, state.news))))
        case ModelAsked():
            before = state if state.unasked is None else replace(state, unasked=None)
            return _asked(state, before, event)
        case ModelReplied() if state.asked == "plan":
            return _drafted(replace(state, unasked=None), event)
        case ModelReplied() if state.running is not None:
            return _written(replace(state, unasked=None), event, state.running.source)
        case ModelReplied():
            return _replied(state, event)
        case ApprovalGiven(tool="plan", decision="deny") if state.draft is not None:
            return replace(state, draft=None, objections=(*state.objections, event.reason))
        case PlanMade(_, plan):
            told = plans.stands(plan, changed=plan != state.draft)
            return _beside(replace(state, draft=None, plan=plan, planned=state.step, objections=()), told)
        case ApprovalGiven(tool="cell", decision="deny") if state.code is not None:
            text = observations.not_allowed(event.reason)
            return _told(replace(state, code=None, idle=0), text + _budget(state))
        case ApprovalGiven(tool="cell", decision="edit") if state.code is not None:
            source = str((event.arguments or {}).get("source", ""))
            note = observations.edited(source)
            return replace(state, code=replace(state.code, source=source, notes=(*state.code.notes, note)))
        case CodeRefused() if state.running is not None:
            notes = (*state.notes, observations.rest_not_run(event.complaints))
            return replace(state, refused=event.source, notes=notes)
        case CodeRefused():
            text = observations.not_run(event.complaints)
            return _told(replace(state, code=None, refused=event.source, idle=0), text + _budget(state))
        case CodeStarted():
            notes = state.code.notes if state.code is not None else ()
            return replace(
                state, code=None, notes=notes, cell=event.cell, running=event, outcome_lost=False, refused=None
            )
        case CodeContinued() if state.running is not None:
            return replace(state, running=replace(state.running, source=state.running.source + event.source))
        case CodeRan():
            return _ran(state, event)
        case CallsAnswered():
            return _answered(state, event)
        case InterpreterLost():
            # a loss in a cell was told with its outcome; one between cells is told with the next
            return _parted(replace(state, names=frozenset(), sure=True), event.gone, ())
        case InterpreterRestored():
            place = event.gone.restored or 0
            return _parted(state, event.gone, tuple(cell for cell in state.alive if cell <= place))
        case UserSaid(text):
            return replace(state, said=(*state.said, text))
        case TaskEnded():
            return replace(state, ended=event)
        case Resumed():
            return _resumed(state, event)
        case Forked(say=say, steps=steps):
            state = replace(_given_up(state), steps=steps or state.steps)
            return _reopened(state, say) if say else state
        case ModelFailed(type):
            state = _charged(state, Usage(), None)  # it may have cost something: nobody knows
            return replace(state, window=state.window.overflowed()) if type == "ContextOverflow" else state
        case AskedBeside():
            return replace(state, window=replace(state.window, gone=state.window.gone + 1))
        case Compacted(goal, cut):
            messages, window = (
                windows.cut(state.messages, state.window, goal)
                if cut
                else windows.pointed(state.messages, state.window, goal, state.alive, state.names)
            )
            return replace(state, messages=messages, window=window, unasked=None)
        case Summarised(upto, text, usage):
            known = state.names if state.alive else ()
            messages, window = windows.summed_up(state.messages, state.window, upto, text, known, state.plan)
            state = _charged(state, usage, cost(state.started.price, usage))
            return replace(state, messages=messages, window=window, unasked=None)
        case Charged():
            return _charged(state, event.usage, event.cost)
        case BudgetWarned():
            return replace(state, warned=(*state.warned, observations.nearly_spent(event)))
        case BudgetEnded():
            return replace(state, spent=event.why)
        case ApprovalAsked() | ApprovalGiven() | ClockRead() | CodeContinued() | Noted():
            return state
        case (
            InputsGiven()
            | SandboxReady()
            | ToolCalled()
            | ToolReturned()
            | Connected()
            | Disconnected()
            | FilesCollected()
            | SummaryAsked()
        ):
            return state
        case _:
            assert_never(event)


def _answered_now(state: State, reply: Reply) -> State:
    """What a reply tells of the prompt that it answers, whose pictures have been seen now."""
    counted = reply.usage.input_tokens if reply.usage.requests == 1 else None
    window = replace(state.window.compared(counted), told=reply.context or state.window.told, refusals=0)
    messages, window = windows.looked_at(state.messages, window)
    return replace(state, messages=messages, window=window)


def _parted(state: State, gone: Gone, alive: tuple[int, ...]) -> State:
    if state.outcome_lost:
        return replace(state, alive=alive, outcome_lost=False)
    again = _again(state) if gone.restored is None else ""
    news = "\n".join(filter(None, (observations.interpreter_lost(gone), again)))
    return replace(state, alive=alive, news=news)


def _resumed(state: State, event: Resumed) -> State:
    """As it stood before what was cut off: a question without a reply was never asked."""
    before = state.unasked
    if before is not None and state.running is None:
        state = replace(before, usage=state.usage, cost=state.cost, spent=state.spent, said=state.said, news=state.news)
    ended = None if state.ended is None or state.ended.stop_reason in CUT_OFF else state.ended
    state = replace(state, ended=ended, unasked=None, stopped=_stopped(state))
    if not event.fresh:
        return _otherwise(state, event.otherwise) if event.otherwise else state
    cut = state.running.cell if state.running is not None else None
    state = replace(state, running=None, stopped=None, names=frozenset(), sure=True, alive=(), outcome_lost=False)
    if state.started.action != "code":
        return state
    return _told(state, "\n".join(filter(None, (observations.begun_anew(cut), _again(state)))))


def _otherwise(state: State, cells: tuple[int, ...]) -> State:
    text = observations.another_order(cells)
    if state.running is None and state.messages[-1:] and state.messages[-1].role == "user":
        return _beside(state, text)
    return replace(state, news="\n".join(filter(None, (state.news, text))))  # the model has spoken, and is heard first


def _reopened(state: State, say: str) -> State:
    """The user said something behind a step: however that ended the task, it goes on."""
    state = replace(state, answer=None, refusal=None, ended=None, idle=0, recent=(), objections=(), asked="step")
    return _beside(state, observations.user_said(say))


def _charged(state: State, usage: Usage, cost: float | None) -> State:
    return replace(state, usage=state.usage + usage, cost=_costs(state, cost))


def _costs(state: State, more: float | None) -> float | None:
    return None if more is None or state.cost is None else state.cost + more


def _told(state: State, text: str, images: tuple[Image, ...] = ()) -> State:
    """The next thing that the user's side says, with what the user said meanwhile."""
    text, said = "\n".join((text, *state.warned)), [*map(observations.user_said, state.said)]
    messages = [Message("user", (Text("\n\n".join((text, *said))), *images))]
    if state.carried:
        messages = carriers.answers(state.carried, text, images)
        messages += [say("user", "\n\n".join(said))] if said else []
    return replace(state, messages=(*state.messages, *messages), carried=(), news="", said=(), warned=())


def _stopped(state: State) -> int | None:
    """How many statements of a cell were run whose task ended in the middle of it; None where that is not known."""
    return state.stopped if state.ended is None else state.ended.complete


def _left(state: State) -> tuple[State, str]:
    """What the last task's end cut off, to be told; calls that a provider knows of have to be answered before that."""
    running, native = state.running, state.started.action == "json"
    bound = names.names(running.source if running else "")
    state = replace(state, names=state.names | bound.bound, sure=state.sure and bound.sure)
    if running and _stopped(state) is not None:  # what it did until then stays
        state = replace(state, alive=(*state.alive, running.cell))
    unrun = observations.not_begun() if state.code or state.calls else ""
    told = observations.cut_off(running.cell) if running else observations.cut_off() if native else unrun
    left = state.calls if native else state.carried
    answers = [answered(call, told) for call in left]
    state = replace(state, messages=(*state.messages, *answers), carried=())
    return state, "" if native or answers else told


def _given_up(state: State) -> State:
    """Behind a task that was cut off in the middle of a cell whose work until then stays."""
    if state.running is None or _stopped(state) is None:
        return state
    state, told = _left(state)
    return replace(state, running=None, stopped=None, news="\n".join(filter(None, (state.news, told))))


def _beside(state: State, text: str) -> State:
    """Something that the user's side says beside the observations; news wait for the next of those."""
    text = "\n\n".join((text, *map(observations.user_said, state.said)))
    return replace(state, messages=(*state.messages, say("user", text)), said=())


def _asked(state: State, before: State, event: ModelAsked) -> State:
    step = event.step if event.purpose == "step" else state.step
    state = replace(state, asked=event.purpose, unasked=before, step=step)
    match event.purpose:
        case "step":
            return state
        case "plan":
            return _beside(state, plans.wanted(state.step, state.steps, state.plan, state.objections))
        case "answer":
            return _beside(state, plans.last_answer_wanted(state.started.action))
        case _:
            assert_never(event.purpose)


def _drafted(state: State, event: ModelReplied) -> State:
    reply, started = event.reply, state.started
    text = (reply.text if started.action == "json" else actions.read(reply, started.carrier).said).strip()
    messages = (*state.messages, say("assistant", text or "(nothing)"))
    state = _charged(replace(state, messages=messages), reply.usage, cost(state.started.price, reply.usage))
    if reply.finish == "content_filter":
        return replace(state, refusal=reply.text or "the provider's content filter stopped the reply")
    return replace(state, draft=text)


def _written(state: State, event: ModelReplied, ran: str) -> State:
    """A reply whose code ran while it was written: what of it did not run is left out, and the model is told why."""
    reply, carrier = event.reply, state.started.carrier
    action = actions.read(reply, carrier)
    whole = event.broken is None and isinstance(action, actions.Code) and action.source == ran
    said = action.said if whole else actions.until(reply.text, len(ran), carrier)
    notes = action.notes if whole and isinstance(action, actions.Code) else observations.cut_short(event.broken, action)
    return replace(
        state,
        messages=(*state.messages, say("assistant", said)),
        usage=state.usage + reply.usage,
        notes=(*state.notes, *notes),
        idle=0,
    )


def _replied(state: State, event: ModelReplied) -> State:
    reply = event.reply
    action = action_of(reply, state.started)
    heard = say("assistant", action.said or "(nothing)")
    total = _costs(state, cost(state.started.price, reply.usage))
    usage = state.usage + reply.usage
    state = replace(state, unasked=None, usage=usage, cost=total, messages=(*state.messages, heard))
    if reply.finish == "content_filter":
        return replace(state, refusal=reply.text or "the provider's content filter stopped the reply")
    words = state.started.action == "text" or (state.asked == "answer" and isinstance(action, actions.Nothing))
    if action.calls and not words:  # else all that counts of it is what it says
        spoken = Message("assistant", (Text(action.said),) if action.said else (), tool_calls=action.calls)
        state = replace(state, messages=(*state.messages[:-1], spoken))
    match action:
        case actions.Code(calls=carried):
            return replace(state, code=action, carried=carried, idle=0)
        case actions.Calls(calls, _, notes):
            return replace(state, calls=calls, notes=notes, idle=0)
        case actions.Nothing(kind, said=said) if state.asked == "answer":
            spoken_answer = kind == "prose" and state.started.answer is None
            return replace(state, answer=Answer(said) if spoken_answer else None)
        case actions.Nothing():
            state = replace(state, idle=state.idle + 1, carried=action.calls)
            told = observations.after_nothing(action, form=state.started.action, carrier=state.started.carrier)
            return _told(state, told + _budget(state))
        case _:
            assert_never(action)


def _ran(state: State, event: CodeRan) -> State:
    outcome, running = event.outcome, state.running
    fresh = outcome.gone is not None and outcome.gone.restored is None
    bound = names.names(running.source) if running else names.Names()
    complete = None if outcome.error is None else outcome.complete
    source = running.source if running else ""
    place, apart = len(state.messages) + max(len(state.carried) - 1, 0), bool(state.carried and state.said)
    mark = Mark(place, "result", () if apart else state.said, event.cell, source, complete, bound.bound)
    said = (Mark(place + 1, "words", state.said),) if apart else ()
    recent = (*state.recent, (running.source if running else "", essence(outcome)))[-RECENT:]
    state = replace(
        state,
        running=None,
        stopped=None,
        names=state.names | bound.bound,
        sure=state.sure and bound.sure,
        answer=outcome.answer or state.answer,
        alive=state.alive if outcome.gone else (*state.alive, event.cell),
        recent=recent,
        outcome_lost=outcome.gone is not None,
        window=replace(state.window, marks=(*state.window.marks, mark, *said)),
    )
    text = observations.after_cell(
        event.cell,
        outcome,
        limits=state.started.limits,
        delimiter=running.seed.hex()[:8] if running else "",
        known=map(call_of, state.started.tools),
        source=running.source if running else "",
        notes=[*state.notes, *filter(None, (state.news, _again(state) if fresh else ""))],
        repeated=repeats(recent),
    )
    return _told(state, text + _budget(state), outcome.images)


def _answered(state: State, event: CallsAnswered) -> State:
    calls = json.dumps([[one.call.name, one.call.arguments] for one in event.answers])
    recent = (*state.recent, (calls, "\0".join(one.text for one in event.answers)))[-RECENT:]
    answer = next((one.answer for one in event.answers if one.answer is not None), None)
    state = replace(state, calls=(), cell=event.cell, recent=recent, answer=state.answer or answer)
    told = [*state.notes, *([observations.same_again(repeats(recent))] if repeats(recent) > 2 else [])]
    note = "\n".join(["", *told, _budget(state).strip()]).rstrip()
    if state.started.action == "text":
        text = observations.after_calls(event.answers)
        return _told(state, text + note, tuple(image for one in event.answers for image in one.images))
    *others, last = event.answers
    note = "\n".join((note, *state.warned))
    answers = [answered(one.call, one.text, *one.images) for one in others]
    answers.append(answered(last.call, last.text + note, *last.images))
    state = replace(state, messages=(*state.messages, *answers), warned=())
    if not state.said:
        return state
    spoken = say("user", "\n\n".join(map(observations.user_said, state.said)))
    return replace(state, messages=(*state.messages, spoken), said=())


def _budget(state: State) -> str:
    left = state.steps - state.step
    note = observations.steps_left(left) if state.answer is None else ""
    return f"\n{note}" if note else ""


def _again(state: State) -> str:
    return observations.set_again(state.bound, state.given)
