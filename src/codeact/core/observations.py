"""What the model is told of what happened: where, what is still there, what to do. Plain and short, for tokens cost.

Our own words stand free. What came out of the code stands between `<stdout 5f3a9c01>` and `</stdout 5f3a9c01>`, with a
word that the host drew for this turn, so that nothing printed can pass for us.
"""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections.abc import Iterable, Sequence
from typing import assert_never

from . import carriers, misnamed, outside
from .actions import Carrier, Code, Form, Nothing
from .budget import in_words, number_of
from .events import CallAnswered
from .execution import CellError, Gone, Limits, Outcome
from .messages import Image
from .quantities import seconds, size
from .spending import BudgetWarned
from .untrusted import bounded, inline

SHOWN = 6_000  # characters of each stream and of the value
TRACEBACK = 4_000
LAST_STEPS = 3

_ALL_KEPT = "All variables are kept"
_ALL_GONE = (
    "All variables, functions, imports and files are gone; a fresh interpreter is ready. Define again what you need."
)
_AGAIN = "Do that again where you need it."
_LESS_MEMORY = "Work in smaller parts, and `del` what you do not need."


def task(text: str, variables: Sequence[tuple[str, str]] = (), files: Sequence[tuple[str, str]] = ()) -> str:
    """A task, word for word, and what is there for it: names with a preview of each, files with what each is."""
    lines = [text]
    if variables:
        lines += ["", "These variables are set:"]
        lines += [f"- {name}: {inline(preview, 400)}" for name, preview in variables]
    if files:
        lines += ["", "These files are there to read:"]
        lines += [f"- inputs/{name}: {inline(what, 400)}" for name, what in files]
    return "\n".join(lines)


def after_cell(
    cell: int,
    outcome: Outcome,
    *,
    limits: Limits,
    delimiter: str,
    known: Iterable[str] = (),
    source: str = "",
    notes: Sequence[str] = (),
    repeated: int = 1,
) -> str:
    """What came of a cell.

    `known` is how code calls its tools, to guess what a wrong name meant; `source` is the cell's; `notes` are the
    host's, such as those of `Code`; `repeated` counts how often the same cell had the same outcome.
    """
    lines = [_what_happened(cell, outcome, limits)]
    for name, text in (("stdout", outcome.stdout), ("stderr", outcome.stderr)):
        if text.strip():
            lines.append(_data(name, bounded(text.strip("\n"), SHOWN), delimiter))
    if outcome.dropped:
        lines.append(
            f"It printed {outcome.dropped:,} bytes more than can be kept: print less, or store it in a variable."
        )
    shown = outcome.value if outcome.preview is None else outcome.preview
    if shown is not None:
        lines.append(_data("value", bounded(shown, SHOWN), delimiter))
    lines += [pictured(number, image) for number, image in enumerate(outcome.images, 1)]
    if outcome.error is not None and outcome.gone is None:
        text = outcome.error.traceback or f"{outcome.error.type}: {outcome.error.message}"
        lines.append(_data("error", bounded(text.strip("\n"), TRACEBACK), delimiter))
    if outcome.notes:
        lines.append(_data("notes", "\n".join(inline(note) for note in outcome.notes[:10]), delimiter))
    lines.extend(_advice(outcome, limits, known, source))
    lines.extend(notes)
    if repeated > 2:
        lines.append(same_again(repeated))
    return "\n".join(line for line in lines if line)


def _what_happened(cell: int, outcome: Outcome, limits: Limits) -> str:
    """The first line: how the cell ended; and the second, where the interpreter did not outlive it."""
    gone, time, memory = outcome.gone, seconds(limits.seconds), size(limits.memory)
    match outcome.ended:
        case "done":
            first = (
                _done(cell, outcome) if gone is None else f"Cell {cell} ran, but the interpreter did not outlive it."
            )
        case "final_answer":
            first = f"Cell {cell} gave the final answer."
        case "timeout" if gone is None:
            first = f"Cell {cell} was stopped at the limit of {time}. {_ALL_KEPT}, with what it had assigned by then."
        case "timeout":
            first = f"Cell {cell} did not stop at the limit of {time}, so the interpreter was ended."
        case "memory" if gone is None:
            first = f"Cell {cell} was stopped at the memory limit of {memory}. {_ALL_KEPT}, the large ones too."
        case "memory":
            first = f"Cell {cell} went over the memory limit of {memory}, so the interpreter was ended."
        case "exit":
            first = f"Cell {cell} ended the interpreter" + (f": {_why(gone)}." if gone else ".")
        case "signal":
            first = f"Cell {cell} crashed" + (f": {_why(gone)}." if gone else ".")
        case _:
            assert_never(outcome.ended)
    return f"{first}\n{_what_stands(gone, cell)}" if gone else first


def _what_stands(gone: Gone, cell: int | None = None) -> str:
    """What the model still has after a loss: in the cell of this number, or between two."""
    if gone.restored is None:
        why = f"No copy of it could be kept: {inline(gone.unkept).rstrip('.')}.\n" if gone.unkept else ""
        return why + _ALL_GONE
    then = f"after cell {gone.restored}" if gone.restored else "before the first cell"
    stands = (
        f"A copy that was kept {then} goes on: all variables, functions, imports and files are as they were {then}."
    )
    if gone.unkept:
        return (
            f"{stands} What was done since is gone, for no later copy could be kept: "
            f"{inline(gone.unkept).rstrip('.')}. {_AGAIN}"
        )
    return stands if cell is None else f"{stands} Nothing of cell {cell} is left."


def _done(cell: int, outcome: Outcome) -> str:
    error = outcome.error
    if error is None:
        silent = outcome.value is None and not outcome.images and not (outcome.stdout + outcome.stderr).strip()
        hint = " It printed nothing, and its last line has no value." if silent else ""
        return f"Cell {cell} ran{_after(outcome)}.{hint}"
    if outcome.complete == 0 and "Traceback (" not in error.traceback:  # no line of it stands in the traceback
        if error.type in ("SyntaxError", "IndentationError", "TabError"):
            return f"Cell {cell} is not valid Python: nothing of it ran. All variables are as before."
        if error.type == "ImportPolicyError":
            return f"Cell {cell} was not run, for what it imports. All variables are as before."
    kind = error.type if error.type.replace(".", "").isidentifier() and len(error.type) <= 60 else "an exception"
    return f"Cell {cell} raised {kind}{_after(outcome, ' after')}. What it did before that is kept."


def _why(gone: Gone) -> str:
    return inline(gone.why).rstrip(".") or "the reason is not known"


def _advice(outcome: Outcome, limits: Limits, known: Iterable[str], source: str) -> list[str]:
    error = outcome.error
    match outcome.ended:
        case "timeout":
            return ["Do less at once: smaller parts, a faster way, results kept in variables."]
        case "memory":
            return [_LESS_MEMORY]
        case "exit":
            return ["A cell must not end its process: let it run to its end."]
        case "signal":
            return ["Do not repeat what crashed it."]
        case "done" if error is not None:
            return _advice_on(error, limits, known, source)
        case _:
            return []


def _advice_on(error: CellError, limits: Limits, known: Iterable[str], source: str) -> list[str]:
    match error.type.rpartition(".")[2]:
        case "NameError" | "UnboundLocalError":
            found = re.search(r"name '(\w+)' is not defined", error.message)
            if found is None or "Did you mean" in error.traceback:
                return []
            calls = tuple(known)
            return [misnamed.meant(found[1], calls, source) or misnamed.near(found[1], calls)]
        case "ModuleNotFoundError":
            found = re.search(r"No module named '(\w+)'", error.message)
            where = misnamed.meant(found[1], known, source) if found else ""
            return [where or "It is not installed, and nothing can be installed here: do without it."]
        case "MemoryError":
            return [f"The memory limit is {size(limits.memory)}. {_LESS_MEMORY}"]
        case "SyntaxError":
            return _odd_character(error, source)
        case _:
            return outside.advice(error, limits)


def _odd_character(error: CellError, source: str) -> list[str]:
    """Where the character stands that CPython's tokenizer refused, since it may not be seen."""
    found = re.search(r"U\+([0-9A-F]{4,6})", error.message)
    if found is None or int(found[1], 16) > 0x10FFFF:
        return []
    char = chr(int(found[1], 16))
    line = source.count("\n", 0, source.find(char)) + 1
    column = source.find(char) - source.rfind("\n", 0, max(source.find(char), 0))
    where = f" at line {line}, column {column}" if char in source else ""
    name = unicodedata.name(char, "no name").lower()
    return [f"The character {char!a} ({name}){where} is not Python's: type a plain one in its place."]


def after_calls(answers: Sequence[CallAnswered]) -> str:
    """What came of calls in plain text, for a model that has no other place to read it in."""
    return "\n".join(_after_call(one) for one in answers)


def _after_call(one: CallAnswered) -> str:
    name = inline(one.call.name, 80)
    if one.answer is not None:
        return "Observation: the answer is given."
    delimiter = f"{zlib.crc32(one.text.encode('utf-8', 'replace')):08x}"  # it may be known: the text cannot hold it
    lines = [
        f"Observation: {name} failed" if one.failed else f"Observation: {name} gave",
        _data("error" if one.failed else "value", one.text, delimiter),
    ]
    return "\n".join([*lines, *(pictured(number, image) for number, image in enumerate(one.images, 1))])


def _data(name: str, text: str, delimiter: str) -> str:
    """Data between two marks that it cannot hold itself."""
    mark = f"{name} {delimiter}".rstrip()
    guard = delimiter or f"/{name}>"
    held = text.replace(guard, f"\\x{ord(guard[0]):02x}{guard[1:]}")
    return f"<{mark}>\n{held}\n</{mark}>"


def pictured(number: int, image: Image) -> str:
    """Where a picture stands, also for a model that does not see it."""
    return f"[image {number}: {image.size[0]}x{image.size[1]}]" if image.size else f"[image {number}]"


def user_said(text: str) -> str:
    """What the user said in the middle of a task, word for word."""
    return f"The user says:\n{text}"


def not_run(complaints: Sequence[str]) -> str:
    """Why a cell was not run at all."""
    count = "One mistake was" if len(complaints) == 1 else f"{len(complaints)} mistakes were"
    lines = [f"{count} found in your code before it ran, so nothing of it ran. All variables are as before."]
    lines += [f"- {inline(words, 400)}" for words in complaints]
    return "\n".join([*lines, "Mend that and write the whole block again. If you are sure, write it as it was."])


def rest_not_run(complaints: Sequence[str]) -> str:
    """Why a cell that was being written did not go on."""
    lines = ["Mistakes were found in what follows it before that ran, so it did not run:"]
    lines += [f"- {inline(words, 400)}" for words in complaints]
    return "\n".join([*lines, "Mend that and go on from there. If you are sure, write it as it was."])


def cut_short(broken: str | None, action: Code | Nothing) -> tuple[str, ...]:
    """What became of a reply whose code ran while it was written, where that is not all of it."""
    if broken is not None:
        return (f"Your reply {inline(broken, 300)}. Nothing of it after this code ran.",)
    match action:
        case Nothing("incomplete"):
            return ("Your reply was cut off before its end. This code of it had come whole and ran; be brief.",)
        case Nothing("refused"):
            return ("The rest of your reply was withheld by the provider's filter. Only this code of it ran.",)
        case Nothing("character", detail):
            return (f"The rest of your code did not run: it holds {detail}, which no Python source may.",)
        case Nothing("unclosed"):
            return ("The end of your last block is not whole and did not run.",)
        case _:
            return ("The rest of your reply did not run.",)


def not_allowed(reason: str) -> str:
    """Why somebody kept a cell from running."""
    why = f": {inline(reason, 1000)}" if reason else "."
    return f"The user did not allow this code to run, so nothing of it ran{why}\nFind another way, or ask less of it."


def cut_off(cell: int | None = None) -> str:
    """The user stopped a task in the middle of this cell, or of a call."""
    if cell is None:
        return "The user stopped the task in the middle of this call: whether it took effect is not known."
    return f"The user stopped the task before this one in the middle of cell {cell}: it may have done part of its work."


def not_begun() -> str:
    """The user stopped a task before what the model wrote last was done."""
    return "The user stopped the task before this one, and what you wrote last was not run to its end."


def edited(source: str) -> str:
    """What ran in place of the model's own code."""
    return f"The user changed this code before it ran. What ran is:\n{bounded(source, SHOWN)}"


def after_nothing(
    nothing: Nothing, *, notes: Sequence[str] = (), form: Form = "code", carrier: Carrier = "fence"
) -> str:
    """Why nothing of a reply was run."""
    if form == "json" and nothing.kind in _NO_CALL:
        return "\n".join([_NO_CALL[nothing.kind], *notes])
    if form == "text" and nothing.kind in _NO_LINE:
        return "\n".join([f"{_NO_LINE[nothing.kind]} {_LINE}", *notes])
    return "\n".join([_why_nothing(nothing, carrier), *notes])


_NO_CALL = {
    "empty": "Your reply held no tool call, so nothing happened. Call a tool, or give the answer by final_answer.",
    "prose": "Your reply held no tool call, so nothing happened. Call a tool, or give the answer by final_answer.",
    "incomplete": "Your reply was cut off before its end, so nothing was called. Be brief, and do less at once.",
}


_LINE = 'Write one line such as `Action: NAME, "text", 3`, or `Answer: ...`, and end your reply after it.'
_NO_LINE = {
    "empty": "Your reply held no action, so nothing happened.",
    "prose": "Your reply held neither an action nor an answer, so nothing happened.",
    "thinking": "Your reply was only thinking, so nothing happened.",
    "malformed": "Your action names no tool, so nothing happened.",
    "incomplete": "Your reply was cut off before its end, so nothing was called. Be brief, and do one thing at a time.",
}


def _why_nothing(nothing: Nothing, carrier: Carrier) -> str:
    detail = inline(nothing.detail, 80).replace("`", "'")
    match nothing.kind:
        case "empty":
            why = "Your reply held no code, so nothing ran."
        case "prose":
            why = (
                "Your reply held no code block, so nothing ran. Act in code, and give an answer with final_answer(...)."
            )
        case "thinking" if detail == "unclosed":
            why = "Your thinking was never ended, and code in it is not run."
        case "thinking":
            why = "Your reply was only thinking, and code in it is not run."
        case "language":
            why = f"Nothing ran: only Python is run here, and your block is tagged `{detail}`."
        case "untagged":
            why = "Nothing ran: your block has no tag, and it is not Python."
        case "unclosed":
            why = "Nothing ran: your last block is not whole, and was never closed."
        case "incomplete":
            why = "Your reply was cut off before its end, so nothing ran. Be brief, and do less in one block."
        case "refused":
            return "Your reply was withheld by the provider's filter, so nothing ran. Go on in another way."
        case "tool_call":
            why = f"Nothing ran: `{detail}` is a tool call in another form. Here tools are functions, called in Python."
        case "turn":
            why = f"Nothing ran: you wrote another's turn (`{detail}`) yourself, and all from there on was dropped."
        case "arguments":
            why = f"Nothing ran: there is no code in your call: {detail}."
        case "malformed":
            why = "Nothing ran: your action names no tool."
        case "character":
            return (
                f"Nothing ran: your code holds {detail}, which no Python source may. Leave it out, or write an escape."
            )
        case _:
            assert_never(nothing.kind)
    return f"{why} {carriers.form(carrier)}"


def interpreter_lost(gone: Gone) -> str:
    """The interpreter was lost between cells."""
    return f"The interpreter was lost: {_why(gone)}.\n{_what_stands(gone)}"


def begun_anew(cut: int | None) -> str:
    """The run goes on with a fresh interpreter; the cell of this number was running when it was cut off."""
    was = (
        "" if cut is None else f" Cell {cut} was cut off in the middle and is not run again: what it had done, stands."
    )
    return f"The run was cut off and goes on now.{was}\n{_ALL_GONE}"


def another_order(cells: Sequence[int]) -> str:
    """The run goes on, and these cells, which were run again, went through their objects in another order."""
    named = f"cell {cells[0]}" if len(cells) == 1 else f"cells {', '.join(map(str, cells))}"
    return (
        f"The run was cut off and goes on now. Variables were built again; what {named} put out came in another order "
        "then, and so may what was made of it: look before you rely on an order that you have seen."
    )


def set_again(names: Sequence[str], files: bool = False) -> str:
    """Which names of the user's a fresh interpreter was given again, and files; nothing where there are none."""
    told = []
    if names:
        told.append(f"{', '.join(f'`{name}`' for name in names)} {'is' if len(names) == 1 else 'are'} set again.")
    if files:
        told.append("The files under `inputs/` are there again.")
    return " ".join(told)


def same_again(times: int) -> str:
    """The same code had the same outcome; said to get a model out of its loop."""
    return f"The same code has now had the same outcome {times} times. It will not change: try another way."


def steps_left(left: int) -> str:
    """How many replies are left, when that is worth saying."""
    if left == 1:
        return "One reply is left: give final_answer(...) now, with the best you have."
    return f"{left} replies are left." if 1 < left <= LAST_STEPS else ""


def nearly_spent(event: BudgetWarned) -> str:
    """Most of a budget is spent."""
    words = f"{number_of(event.kind, event.spent)} of {in_words(event.kind, event.limit)}"
    return f"The budget is nearly used up: {words}. Give final_answer(...) soon, with the best you have."


def _after(outcome: Outcome, word: str = " in") -> str:
    return f"{word} {seconds(outcome.seconds)}" if outcome.seconds >= 0.1 else ""
