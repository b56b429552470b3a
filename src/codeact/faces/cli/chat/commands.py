"""What begins with a slash: words for the chat, not for the model."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from codeact import shell
from codeact.core.errors import CodeactError, UsageError, nearest
from codeact.core.events import TaskGiven
from codeact.core.program import program
from codeact.core.untrusted import escaped, inline

from .talk import Talk

_WIDE = 70


async def obey(talk: Talk, said: str) -> bool:
    """Do what was said; False where that ends the conversation."""
    name, _, rest = said.partition(" ")
    if name in ("/exit", "/quit"):
        return False
    command = COMMANDS.get(name)
    if command is None:
        near = nearest(name, [*COMMANDS, "/exit"]) or "."
        talk.tell(f"there is no {inline(name, 40)}{near} /help lists the commands")
        return True
    error = await talk.stoppable(_done(command(talk, rest.strip())))
    if isinstance(error, CodeactError):
        talk.tell(f"{name}: {error}")
    return True


async def _done(work: Awaitable[None]) -> None:
    try:
        await work
    except OSError as error:
        raise UsageError(f"{error.filename}: {error.strerror or error}") from None


async def _help(talk: Talk, rest: str) -> None:
    for name, does in _DOES.items():
        talk.tell(f"{name:<13} {does}", plain=True)
    talk.tell('A line that ends with \\ goes on in the next, and so does all from """ to """. // begins a line with /.')
    talk.tell("What you type while the model works, it reads beside what comes of its code.")


async def _undo(talk: Talk, rest: str) -> None:
    turn = await talk.undo()
    if turn is None:
        talk.tell("there is no turn to take back")
        return
    talk.tell(f"taken back: {inline(turn.task, _WIDE)}")
    talk.tell("what was said and all variables are as they were before it")
    if turn.called:
        called = ", ".join(f"{tool}()" for tool in turn.called)
        talk.tell(f"what its tools did outside is done: {inline(called, 200)}")


async def _vars(talk: Talk, rest: str) -> None:
    found = await talk.session.variables()
    if not found:
        talk.tell("there are no variables yet")
    wide = max((len(name) for name, _, _ in found), default=0)
    kinds = max((len(kind) for _, kind, _ in found), default=0)
    for name, kind, seen in found:
        named = f"{escaped(name):<{min(wide, 24)}}  {escaped(kind):<{min(kinds, 16)}}"
        talk.tell(f"{named}  {inline(seen, 100)}", plain=True)


async def _save(talk: Talk, rest: str) -> None:
    talk.tell(f"the code that ran is in {_saved(talk, rest)}; the conversation is the run {talk.session.run_id[:12]}")


def _saved(talk: Talk, rest: str) -> Path:
    """Write the program, and say where; what is there is not overwritten."""
    try:
        words = shell.split(rest)
    except ValueError as error:
        raise UsageError(f"{error}: {rest}") from None
    if len(words) > 1:
        raise UsageError("it takes one file; put a name with spaces in quotes")
    run = talk.session.run_id
    place = Path(words[0] if words else f"chat-{run[:8]}.py").expanduser()
    if place.suffix != ".py":
        place = place.with_name(place.name + ".py")
    said = [event.task for event in talk.session.events if isinstance(event, TaskGiven)]
    head = [f"# What ran in a conversation, the run {run}. Go on with it: codeact chat --resume {run[:12]}"]
    head += [f"# {number}. {inline(task, 100)}" for number, task in enumerate(said, 1)]
    with open(place, "x", encoding="utf-8") as file:
        file.write("\n".join(head) + "\n\n" + program(talk.session.events))
    return place


async def _model(talk: Talk, rest: str) -> None:
    if rest:
        raise UsageError("a conversation stays with its model: leave, and begin with --model")
    talk.tell(talk.agent.model.name)


_DOES = {
    "/undo": "take the last turn back: what was said, and all variables",
    "/vars": "the variables, each with its kind and what it is",
    "/save [FILE]": "write the code that ran as a program",
    "/model": "who answers",
    "/help": "this",
    "/exit": "leave; so does Ctrl-D",
}
COMMANDS: dict[str, Callable[[Talk, str], Awaitable[None]]] = {
    "/undo": _undo,
    "/vars": _vars,
    "/save": _save,
    "/model": _model,
    "/help": _help,
}
